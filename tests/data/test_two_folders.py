"""`data prepare --real --full|--partial`: alike encoding, unknown masks, groups, warnings; resumable."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import run_command, tree
from PIL import Image, ImageCms

from wsdl.core.io import WsdlError
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.groups import difference_hash, find_groups, near_duplicates
from wsdl.data.images import read_image
from wsdl.data.manifest import has_unknown_sources
from wsdl.data.masks import write_mask
from wsdl.data.shortcuts import file_properties
from wsdl.data.two_folders import prepare_two_folders
from wsdl.training.examples import setup_examples


def picture(number: int, height: int = 48, width: int = 48) -> Image.Image:
    """A smooth random image, of which no two are alike."""
    small = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def fill(folder: Path, numbers: range, suffix: str = ".png", name: str = "{:03d}", **options) -> Path:
    """A folder of `picture`s."""
    folder.mkdir(parents=True)
    for number in numbers:
        picture(number).save(folder / f"{name.format(number)}{suffix}", **options)
    return folder


@pytest.fixture
def real(tmp_path) -> Path:
    return fill(tmp_path / "real", range(30), ".jpg", quality=95)


@pytest.fixture
def fake(tmp_path) -> Path:
    return fill(tmp_path / "fake", range(100, 130))


@pytest.fixture
def prepared(real, fake, tmp_path) -> Path:
    """Edited images without masks."""
    prepare_two_folders(real, tmp_path / "out", partial=fake, size=32)
    return tmp_path / "out"


def test_two_folders_become_a_dataset(prepared):
    dataset = Dataset(prepared)
    assert len(dataset.select("real")) == len(dataset.select("partial")) == 30
    assert (dataset.select("partial")["mask"] == "").all()
    assert dataset.select("partial").area.isna().all()
    assert dataset.table.source_id.is_unique
    assert has_unknown_sources(dataset.info)
    assert all(len(dataset.select(kind, split)) >= 3 for kind in ("real", "partial") for split in ("valid", "test"))
    assert check_dataset(prepared) == []


def test_real_and_fake_of_equal_pixels_stay_equal(tmp_path):
    images = fill(tmp_path / "images", range(12))
    prepare_two_folders(images, tmp_path / "out", full=images, size=32)
    table = Dataset(tmp_path / "out").table
    sums = [table[table.kind == kind].sort_values("path").sha256.tolist() for kind in ("real", "full")]
    assert sums[0] == sums[1]
    assert set(table.groupby("sha256").split.nunique()) == {1}  # images of one stem are in one split


def test_formats_profiles_and_sizes_become_alike(real, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    fake = fill(tmp_path / "fake", range(100, 130), ".tif", icc_profile=profile)
    picture(7, 60, 90).save(fake / "wide.png")
    prepare_two_folders(real, tmp_path / "out", full=fake, size=32)
    paths = [tmp_path / "out" / path for path in Dataset(tmp_path / "out").table.path]
    assert {str(file_properties(path)) for path in paths} == {str(file_properties(paths[0]))}
    assert file_properties(paths[0]).side == 32


def test_a_colour_profile_is_converted_to_srgb(real, fake, tmp_path):
    """In a profile with the red and green primaries of sRGB swapped, red is green."""
    primaries = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = [primaries.index(name, 128) for name in (b"rXYZ", b"gXYZ")]
    swapped = bytearray(primaries)
    swapped[at[0] : at[0] + 4], swapped[at[1] : at[1] + 4] = b"gXYZ", b"rXYZ"
    name = bytes(swapped).replace(b"s\0R\0G\0B", b"x\0R\0G\0B").replace(b"sRGB built-in", b"xRGB built-in")
    Image.new("RGB", (48, 48), "red").save(fake / "tagged.png", icc_profile=name)
    prepare_two_folders(real, tmp_path / "out", full=fake, size=32)
    pixel = read_image(next((tmp_path / "out").rglob("tagged.png")))[0, 0]
    assert pixel[1] > 200
    assert pixel[0] < 60


def test_setups_a_and_b_train_setup_c_is_refused(prepared, real, fake, tmp_path):
    examples = setup_examples(Dataset(prepared), "b", "train")
    assert examples.masks is None
    assert len(examples.fake) == 24
    assert examples.batch(examples.fake[:2]).images.shape == (2, 32, 32, 3)
    with pytest.raises(WsdlError, match="setup c trains on masks, but 24 of 24 partial fakes in train have none"):
        setup_examples(Dataset(prepared), "c", "train")
    prepare_two_folders(real, tmp_path / "full", full=fake, size=32)
    assert len(setup_examples(Dataset(tmp_path / "full"), "a", "train").fake) == 24


def test_some_masks_are_read_others_are_unknown(real, fake, tmp_path):
    known = np.zeros((48, 48), np.uint8)
    known[12:24, 12:36] = 1
    for name in ("100", "101", "102"):
        write_mask(tmp_path / "masks" / f"{name}.png", known)
    prepare_two_folders(real, tmp_path / "out", partial=fake, masks=tmp_path / "masks", size=24)
    dataset = Dataset(tmp_path / "out")
    rows = dataset.table[dataset.table["mask"] != ""]
    assert len(rows) == 3
    assert np.allclose(rows.area, 0.125)
    for i in rows.index:
        assert dataset.masks[i][6:12, 6:18].all()
        assert dataset.masks[i].sum() == 72
    unknown = dataset.select("partial").index.difference(rows.index)[0]
    with pytest.raises(WsdlError, match="its inpainted region is not known"):
        dataset.masks[unknown]
    assert len(dataset.images[dataset.select("partial").index.to_numpy()]) == 30


def test_masks_of_wrong_size_name_or_polarity_are_refused(real, fake, tmp_path):
    write_mask(tmp_path / "masks" / "100.png", np.eye(40))
    with pytest.raises(WsdlError, match=r"100\.png: is 40x40, but its image is 48x48"):
        prepare_two_folders(real, tmp_path / "a", partial=fake, masks=tmp_path / "masks", size=24)
    write_mask(tmp_path / "masks" / "100.png", 1 - np.eye(48))
    with pytest.raises(WsdlError, match=r"mark \d+% of an image as fake on average"):
        prepare_two_folders(real, tmp_path / "b", partial=fake, masks=tmp_path / "masks", size=24)
    write_mask(tmp_path / "masks" / "nobody.png", np.eye(48))
    with pytest.raises(WsdlError, match=r"nobody\.png: mask without an image"):
        prepare_two_folders(real, tmp_path / "c", partial=fake, masks=tmp_path / "masks", size=24)


# --- splits -----------------------------------------------------------------------------------------------------------


def test_images_of_a_group_stay_in_one_split(tmp_path, capsys):
    real = fill(tmp_path / "real", range(30), name="p{:02d}_real")
    for i in range(30):
        (real / f"p{i:02d}_real.png").rename(real / f"p{i // 3:02d}_{i}.png")
    fake = fill(tmp_path / "fake", range(10), name="p{:02d}_fake")
    prepare_two_folders(real, tmp_path / "out", full=fake, size=32, group_by="_")
    table = Dataset(tmp_path / "out").table
    assert table.source_id.nunique() == 10
    assert (table.groupby("source_id").split.nunique() == 1).all()


def test_groups_come_from_a_number_or_a_csv(tmp_path):
    files = {"ann1": tmp_path / "ann1.png", "bob.x": tmp_path / "bob.x.png"}
    assert find_groups(files, "3") == {"ann1": "ann", "bob.x": "bob"}
    table = tmp_path / "groups.csv"
    table.write_text("file,group\nann1.png,A\nbob.x,B\n")
    assert find_groups(files, str(table)) == {"ann1": "A", "bob.x": "B"}
    table.write_text("file,group\nann1.png,A\n")
    with pytest.raises(WsdlError, match=r"lists no group for .*bob.x\.png"):
        find_groups(files, str(table))
    table.write_text("name\nann1.png\n")
    with pytest.raises(WsdlError, match="columns file and group"):
        find_groups(files, str(table))


def test_near_duplicates_across_splits_are_counted(real, fake, tmp_path, capsys):
    for i in range(30):  # under other names: a little brighter, resized, as JPEG
        picture(i).point(lambda v: min(255, v + 8)).resize((80, 80)).save(fake / f"edit-{i}.jpg", quality=60)
    prepare_two_folders(real, tmp_path / "out", partial=fake, size=32)
    said = " ".join(capsys.readouterr().err.split())
    assert "images of valid and test have a near-duplicate in another split" in said
    assert said.count(" and fake/unknown/images/") + said.count(" and real/") >= 3  # pairs
    assert "Give --group-by" in said


def test_images_that_differ_downwards_are_no_duplicates():
    """Right neighbours alone do not tell these two apart."""
    down, up = (Image.fromarray(np.repeat(np.arange(90, dtype=np.uint8)[::step, None], 90, 1)) for step in (1, -1))
    splits = np.array(["train", "test"])
    assert near_duplicates(np.array([difference_hash(down), difference_hash(up)], np.uint64), splits) == []
    assert near_duplicates(np.array([difference_hash(down)] * 2, np.uint64), splits) == [(1, 0)]


def test_without_near_duplicates_the_warning_stays(prepared, capfd, real, fake, tmp_path):
    capfd.readouterr()
    prepare_two_folders(real, tmp_path / "again", partial=fake, size=32)
    assert "may be in several splits, though none of valid and test looks" in capfd.readouterr().err
    prepare_two_folders(real, tmp_path / "grouped", partial=fake, size=32, group_by="3")
    assert "several splits" not in capfd.readouterr().err


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_differences_of_the_folders_are_named(real, tmp_path, capfd):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    fake = fill(tmp_path / "fake", range(100, 130), ".jpg", quality=60, icc_profile=profile)
    for path in fake.iterdir():
        with Image.open(path) as image:
            image.resize((96, 128)).save(path, quality=60, icc_profile=profile)
    prepare_two_folders(real, tmp_path / "out", full=fake, size=32)
    said = capfd.readouterr().err
    assert "JPEG quality differs: about 95 in real images, 60 in fakes" in said
    assert "size differs: the shorter side is 48 px in real images and 96 px in fakes" in said
    assert "colour profile differs: real images 100% none, fakes 100% sRGB built-in" in said
    assert "shape differs" in said
    assert "file format" not in said


def test_folders_that_are_alike_give_no_warning_of_files(tmp_path, capfd):
    real = fill(tmp_path / "real", range(30), ".jpg", quality=90)
    fake = fill(tmp_path / "fake", range(100, 130), ".jpg", quality=91)
    prepare_two_folders(real, tmp_path / "out", full=fake, size=32)
    assert "differs" not in capfd.readouterr().err


# --- again ------------------------------------------------------------------------------------------------------------


def test_an_interrupted_call_resumes_to_the_same_bytes(prepared, real, fake, tmp_path, monkeypatch):
    calls = []

    def write_some(path, pixels):
        calls.append(path)
        if len(calls) > 20:
            raise KeyboardInterrupt
        from wsdl.data.images import write_image

        write_image(path, pixels)

    with monkeypatch.context() as patch:
        patch.setattr("wsdl.data.two_folders.write_image", write_some)
        with pytest.raises(KeyboardInterrupt):
            prepare_two_folders(real, tmp_path / "again", partial=fake, size=32)
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "again").rglob("*.png")}
    assert 10 < len(done) < 60
    assert not (tmp_path / "again" / "manifest.csv").exists()
    prepare_two_folders(real, tmp_path / "again", partial=fake, size=32)
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert tree(tmp_path / "again") == tree(prepared)


def test_changed_files_and_settings_are_refused(prepared, real, fake):
    prepare_two_folders(real, prepared, partial=fake, size=32)  # nothing to do
    with pytest.raises(WsdlError, match="size"):
        prepare_two_folders(real, prepared, partial=fake, size=24)
    shutil.copy(fake / "101.png", fake / "100.png")
    with pytest.raises(WsdlError, match=r"partial/100\.png: has changed since"):
        prepare_two_folders(real, prepared, partial=fake, size=32)


def test_damaged_and_small_images_are_named_or_skipped(real, fake, tmp_path, capfd):
    (fake / "bad.png").write_bytes(b"no image")
    with pytest.raises(WsdlError, match=r"bad\.png: is not an image"):
        prepare_two_folders(real, tmp_path / "a", full=fake, size=32)
    prepare_two_folders(real, tmp_path / "b", full=fake, size=32, skip_bad=True)
    assert len(Dataset(tmp_path / "b").select("full")) == 30
    assert "skipped: " in capfd.readouterr().err
    with pytest.raises(WsdlError, match="is 48x48, smaller than the target of 64 px"):
        prepare_two_folders(real, tmp_path / "c", full=real, size=64)


def test_the_command_takes_one_kind_of_folders(real, fake, tmp_path):
    run_command("data", "prepare", "--real", real, "--full", fake, "--size", 32, "--out", tmp_path / "out")
    assert len(Dataset(tmp_path / "out").select("full")) == 30
    for words in (("--real", real, "--images", real), (), ("--images", real, "--full", fake)):
        with pytest.raises(AssertionError, match="--real"):
            run_command("data", "prepare", *words, "--out", tmp_path / "none")
    with pytest.raises(WsdlError, match="--real: needs fakes"):
        run_command("data", "prepare", "--real", real, "--out", tmp_path / "none")


def test_sub_folders_are_read(real, fake, tmp_path):
    for folder in (real, fake):
        shutil.move(folder, tmp_path / "parts" / folder.name / "inside")
    parts = tmp_path / "parts"
    prepare_two_folders(parts / "real", tmp_path / "out", full=parts / "fake", size=32)
    assert len(Dataset(tmp_path / "out").table) == 60


def test_known_and_unknown_fakes_are_decoded_apart(prepared, real, fake, tmp_path):
    """Half of the training fakes have a mask, so both parts have the same shape."""
    train = Dataset(prepared).select("partial", "train").path
    for path in train.iloc[:12]:
        write_mask(tmp_path / "masks" / Path(path).name, np.eye(48))
    prepare_two_folders(real, tmp_path / "half", partial=fake, masks=tmp_path / "masks", size=32)
    dataset = Dataset(tmp_path / "half")
    for i, row in dataset.select("partial", "train").iterrows():
        assert np.array_equal(dataset.images[i], read_image(dataset.folder / row.path))
