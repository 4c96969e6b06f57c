"""Folders of triples: real image, partial fake, mask with 255 = inpainted."""

import numpy as np
import pytest
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.masks import read_mask, write_mask
from wsdl.data.triples import check_triples, find_triples


def save(path, pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


@pytest.fixture
def triples(tmp_path):
    """Two sets with two triples each, 24x16 px."""
    rng = np.random.default_rng(0)
    for set_ in ("crude", "fine"):
        for name in ("a", "b"):
            real, mask = rng.integers(0, 200, (16, 24, 3)), np.zeros((16, 24))
            mask[4:10, 3:9] = 255
            folder = tmp_path / "triples" / set_
            save(folder / f"real/{name}.png", real)
            save(folder / f"fake/{name}.png", np.where(mask[..., None] > 0, 255 - real, real))
            save(folder / f"mask/{name}.png", mask)
    return tmp_path / "triples"


def refusal(folder) -> str:
    with pytest.raises(WsdlError) as caught:
        check_triples(find_triples(folder))
    return str(caught.value)


def test_triples_are_found_and_white_is_fake(triples):
    found = find_triples(triples)
    check_triples(found)
    assert [(one.set, one.name) for one in found] == [("crude", "a"), ("crude", "b"), ("fine", "a"), ("fine", "b")]
    mask = found[0].read_mask()
    assert mask[4:10, 3:9].all()
    assert mask.sum() == 36
    np.testing.assert_array_equal(1 - read_mask(found[0].mask), mask)  # the Dolos convention is the other one


@pytest.mark.parametrize("part", ["real", "fake", "mask"])
def test_a_missing_twin_is_named(triples, part):
    (triples / "fine" / part / "b.png").unlink()
    other = "fake" if part == "real" else "real"
    assert refusal(triples).startswith(
        f"{triples / 'fine' / other / 'b.png'}: has no twin in {triples / 'fine' / part}"
    )


def test_a_mask_of_other_values_is_named(triples):
    save(triples / "crude/mask/b.png", np.linspace(0, 255, 16 * 24).reshape(16, 24))
    assert refusal(triples).startswith(f"{triples / 'crude/mask/b.png'}: is not a mask of 0 and 255")


@pytest.mark.parametrize("value", [0, 255])
def test_a_mask_of_one_value_is_named(triples, value):
    save(triples / "crude/mask/b.png", np.full((16, 24), value))
    assert refusal(triples).startswith(f"{triples / 'crude/mask/b.png'}: is {value} everywhere")


@pytest.mark.parametrize(("part", "shape"), [("fake", (16, 23, 3)), ("mask", (24, 16))])
def test_a_file_of_another_size_is_named(triples, part, shape):
    values = np.zeros(shape)
    values[:4] = 255
    save(triples / f"fine/{part}/a.png", values)
    shown = f"is {shape[1]}x{shape[0]}, but {triples / 'fine/real/a.png'} is 24x16."
    assert refusal(triples) == f"{triples / f'fine/{part}/a.png'}: {shown}"


def test_masks_in_the_dolos_convention_are_refused(triples):
    for one in find_triples(triples)[2:]:
        write_mask(one.mask, one.read_mask())
    assert refusal(triples).startswith(f"{triples / 'fine/mask'}: real and fake differ more where masks are 0")


def test_a_folder_without_sets_is_refused(triples):
    assert "must hold SET/{real,fake,mask}/ID.png" in refusal(triples / "fine")
    assert "no such folder" in refusal(triples / "none")
    (triples / "new").mkdir()
    assert refusal(triples) == f"{triples / 'new/real'}: no such folder."
