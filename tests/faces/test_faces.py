"""Drawn faces: the same for the same seed, framed as CelebA-HQ, with all components."""

import numpy as np
import pytest

from wsdl.core.io import WsdlError
from wsdl.data.images import list_image_files, read_image
from wsdl.data.masks import COMPONENTS, component_mask, read_label_map, visible_components
from wsdl.faces.drawn_faces import draw_face, draw_faces


@pytest.fixture(scope="module")
def labels(made_up) -> list[np.ndarray]:
    return [read_label_map(path) for path in list_image_files(made_up[1]).values()]


def test_every_component_occurs_and_glasses_on_about_a_third(labels):
    counts = {name: sum(name in visible_components(one) for one in labels) for name in COMPONENTS}
    assert min(counts.values()) > 0
    assert 0.15 < counts["glasses"] / len(labels) < 0.55
    assert counts["skin"] == counts["hair"] == counts["mouth"] == counts["nose"] == len(labels)


def test_eyes_have_the_position_of_celeba_hq(labels):
    found = {4: [], 5: []}
    for one in labels:
        for number, where in found.items():
            if (one == number).any():
                y, x = np.nonzero(one == number)
                where.append((x.mean() / 64, y.mean() / 64))
    assert np.mean(found[5], axis=0) == pytest.approx((0.385, 0.481), abs=0.015)  # the person's right eye
    assert np.mean(found[4], axis=0) == pytest.approx((0.627, 0.483), abs=0.015)


def test_labels_match_the_drawn_pixels():
    pixels, labels = draw_face(3, 128)
    assert pixels.shape == (128, 128, 3)
    assert pixels.dtype == labels.dtype == np.uint8
    skin = pixels[component_mask(labels, "skin")].astype(float)
    assert (skin[:, 0] > skin[:, 2]).mean() > 0.95  # skin of every tone is redder than blue


def test_a_face_depends_on_its_seed_only():
    again, other = draw_face(5, 32), draw_face(6, 32)
    assert all(np.array_equal(a, b) for a, b in zip(draw_face(5, 32), again, strict=True))
    assert not np.array_equal(again[0], other[0])


def test_drawing_resumes_and_grows(tmp_path):
    images, masks = draw_faces(tmp_path, 2, seed=1, size=32)
    first = {path.name: path.read_bytes() for path in images.iterdir()}
    (masks / "0001.png").unlink()
    before = (images / "0000.png").stat().st_mtime_ns
    draw_faces(tmp_path, 3, seed=1, size=32)
    assert (images / "0000.png").stat().st_mtime_ns == before
    assert (masks / "0001.png").exists()
    assert {name: (images / name).read_bytes() for name in first} == first
    assert len(list(images.iterdir())) == 3


def test_faces_of_another_seed_are_not_mixed_in(tmp_path):
    draw_faces(tmp_path, 1, seed=1, size=32)
    with pytest.raises(WsdlError, match=r"seed.* 1.* 2"):
        draw_faces(tmp_path, 1, seed=2, size=32)
    draw_faces(tmp_path / "other", 1, seed=2, size=32)
    one, other = (read_image(folder / "images" / "0000.png") for folder in (tmp_path, tmp_path / "other"))
    assert not np.array_equal(one, other)


def test_noise_is_like_that_of_a_camera(made_up):
    """Neighbouring pixels of flat regions differ a little, but not as white noise of full strength would."""
    steps = [np.abs(np.diff(read_image(path).astype(float)[:8, :8], axis=1)).mean() for path in made_up[0].iterdir()]
    assert 0.5 < np.median(steps) < 12
