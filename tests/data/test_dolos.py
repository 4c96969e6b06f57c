"""The official Dolos download has no manifest: opening it writes one, or raises and writes nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.dolos import _source_face
from wsdl.data.masks import read_mask, write_mask


@pytest.fixture
def download(dataset, tmp_path) -> Path:
    """A folder like the download: images and masks only."""
    for part in ("real", "fake"):
        shutil.copytree(dataset / part, tmp_path / "celebahq" / part)
    return tmp_path / "celebahq"


def test_a_download_gets_the_manifest_of_the_original_dataset(download, dataset):
    adopted, original = Dataset(download), Dataset(dataset)
    same = ["path", "mask", "kind", "generator", "split", "sha256"]
    assert adopted.table[same].equals(original.table[same])
    assert adopted.table.area.to_numpy() == pytest.approx(original.table.area.to_numpy(), abs=1e-6)
    not_full = adopted.table.kind != "full"
    assert adopted.table.source_id[not_full].tolist() == original.table.source_id[not_full].tolist()
    assert adopted.table.source_id[~not_full].is_unique
    assert set(adopted.table.component) == {""}
    assert (adopted.size, adopted.info["name"]) == (32, "celebahq")
    assert "CC BY-NC-SA 4.0" in adopted.info["licence"]
    assert check_dataset(download) == []


def test_full_fakes_with_equal_names_in_two_splits_are_no_leak(download):
    path = first(download, "fake/p2/test/*")
    path.rename(path.with_name("0000.png"))  # train has a 0000.png, too
    table = Dataset(download).select("full")
    assert {"p2/test/0000", "p2/train/0000"} <= set(table.source_id)


def test_masks_in_jpeg_have_their_true_area(download, dataset, capsys):
    for path in download.glob("fake/*/masks/*/*.png"):
        Image.open(path).save(path.with_suffix(".jpg"), quality=75)
        path.unlink()
    masks, true_masks = np.array(Dataset(download).masks), np.array(Dataset(dataset).masks)
    partial = (Dataset(dataset).table.kind == "partial").to_numpy()
    overlap = (masks & true_masks)[partial].sum(axis=(1, 2)) / (masks | true_masks)[partial].sum(axis=(1, 2))
    assert overlap.mean() > 0.97
    assert capsys.readouterr().err.count("is not two-valued") == 3  # one line for a folder: train, valid, test


def test_empty_masks_are_reported(download, capsys):
    path = first(download, "fake/*/masks/train/*")
    write_mask(path, read_mask(path) * 0)
    Dataset(download)
    assert f"{path}: is empty (255 everywhere), one of 1 such masks" in capsys.readouterr().err


def move_face(folder: Path) -> tuple[Path, Path]:
    """A test fake in train: where it is, and its real face."""
    path = first(folder, "fake/repaint-p2/images/test/*.png")
    for part in ("images", "masks"):
        there = folder / "fake/repaint-p2" / part
        (there / "test" / path.name).rename(there / "train" / path.name)
    return path.parents[1] / "train" / path.name, folder / "real" / "test" / f"{path.name[:4]}.png"


def same_image_twice(folder: Path) -> tuple[Path, Path]:
    """The subset of 9,000 is split in another way: a training image of it is a test image of the whole."""
    for old, new in (("test", "train"), ("train", "valid")):
        for part in ("images", "masks"):
            there = folder / "fake/repaint-p2-9k" / part / new
            shutil.copytree(folder / "fake/repaint-p2" / part / old, there)
    path = first(folder, "fake/repaint-p2/images/test/*.png")
    return path, folder / "fake/repaint-p2-9k/images/train" / path.name


def running_numbers(folder: Path) -> tuple[Path, Path]:
    """All files are numbered: real and fake images of one number have nothing in common."""
    for there in {path.parent for path in folder.rglob("*.png")}:
        for i, path in enumerate(sorted(there.iterdir())):
            path.rename(there / f"{i:05d}.png")
    return folder / "real/test/00000.png", folder / "real/train/00000.png"


@pytest.mark.parametrize("rename", [move_face, same_image_twice, running_numbers])
def test_names_that_contradict_the_splits_are_unknown(download, capsys, rename):
    one, other = rename(download)
    data, printed = Dataset(download), capsys.readouterr().err
    assert "file names do not tell the source faces; those guessed from them contradict the splits" in printed
    assert all(path.relative_to(download).as_posix() in printed for path in (one, other))
    assert data.table.source_id.is_unique
    assert (data.table.split == data.table.path.map(lambda path: Path(path).parent.name)).all()
    assert data.info["made_by"]["source_faces"] == "unknown"
    with pytest.raises(WsdlError, match="its file names do not tell which real face a fake was made of"):
        data.source_index(data.select("partial"))
    capsys.readouterr()
    assert check_dataset(download) == []
    repeated = "images are in several splits"
    assert (repeated in printed) == (repeated in capsys.readouterr().err) == (rename is same_image_twice)


def test_three_examples_of_contradicting_names_are_shown(download, capsys):
    running_numbers(download)
    Dataset(download)
    line = next(line for line in capsys.readouterr().err.splitlines() if "do not tell" in line)
    assert line.count(" and ") == 4  # one in each example, and one in the last sentence


def test_a_folder_val_is_the_split_valid(download, capsys):
    for path in [path for path in download.rglob("valid") if path.is_dir()]:
        path.rename(path.with_name("val"))
    (download / "real/val").rename(download / "real/validation")
    data = Dataset(download)
    assert set(data.select("partial", "valid").path.str.split("/").str[3]) == {"val"}
    assert data.select("real", "valid").empty
    assert (
        "real/validation: is not read; the folders of the splits are train, valid (or val)" in capsys.readouterr().err
    )


def test_254_for_real_pixels_is_read_and_named(download, dataset, capsys):
    for path in download.glob("fake/repaint-p2/masks/valid/*.png"):
        Image.open(path).point(lambda value: value * 254 // 255).save(path)
    assert np.array_equal(Dataset(download).masks, Dataset(dataset).masks)
    printed = capsys.readouterr().err
    assert printed.count("has 254 for real pixels, which should be 255; here and in other such masks") == 1


def test_the_manifest_is_written_once(download):
    Dataset(download)
    before = (download / "manifest.csv").stat().st_mtime_ns
    Dataset(download)
    assert (download / "manifest.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("stem", "source"),
    [
        ("00012", "00012"),
        ("00012-hair", "00012"),
        ("00012_3", "00012"),
        ("a_b-1", "a_b"),  # the longest start that is a real face
        ("img_7-hair", "img"),  # no real face: up to the first mark
    ],
)
def test_the_source_face_is_read_from_the_name(stem, source):
    assert _source_face(stem, {"00012", "a_b", "a"}) == source


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def invert(folder: Path) -> None:
    for path in folder.glob("fake/*/masks/*/*.png"):
        write_mask(path, 1 - read_mask(path))


def invert_one_split(folder: Path) -> None:
    """16 inverted masks in train, few against the 80 others: their mean alone is above one half."""
    for path in sorted(folder.glob("fake/repaint-p2/*/*/*.png")):
        for i in range(1 if "/train/" in str(path) else 9):
            shutil.copy(path, path.with_stem(f"{path.stem}-{i}"))
    for path in folder.glob("fake/repaint-p2/masks/train/*.png"):
        write_mask(path, 1 - read_mask(path))


def odd_first_image(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(first(folder, "fake/p2/*/*.png"))


def not_square(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        Image.open(path).crop((0, 0, 32, 16)).save(path)


def wrong_size(folder: Path) -> None:
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(first(folder, "fake/*/masks/test/*"))


BROKEN = [
    (lambda d: [shutil.rmtree(d / part) for part in ("real", "fake")], "celebahq: .*no dataset"),
    (
        lambda d: first(d, "fake/*/masks/train/*").unlink(),
        r"\.png: .*without a mask.*masks/train",
    ),
    (lambda d: first(d, "fake/*/images/train/*").unlink(), r"\.png: mask without .*images/train"),
    (invert, r"repaint-p2/masks: .*8\d% .*inverted.*255"),
    (invert_one_split, r"repaint-p2/masks/train: .*8\d% .*inverted.*255"),
    (wrong_size, r"masks/.*\.png: .*8x8.*image is 32x32"),
    (odd_first_image, r"fake/p2/.*\.png: is 8x8, but 47 of 48 images are 32x32; resize it or take it out"),
    (not_square, r"celebahq: has images of 32x16 pixels, but a dataset has square ones"),
    (lambda d: first(d, "real/test/*").write_bytes(b"\x89PNG no"), r"real/test/0003\.png: .*not an image"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=[m[:30] for _, m in BROKEN])
def test_faults_are_reported_and_no_manifest_is_written(download, spoil, message):
    spoil(download)
    with pytest.raises(WsdlError, match=message):
        Dataset(download)
    if "not an image" not in message:
        assert not list(download.glob("*manifest*"))
        assert not (download / "dataset.json").exists()


def test_a_parent_folder_names_the_datasets_inside(download):
    with pytest.raises(WsdlError, match=r"\(celebahq\)"):
        Dataset(download.parent)


def test_other_files_are_ignored(download):
    (download / "real" / "train" / ".DS_Store").write_text("x")
    (download / "fake" / "p2" / "notes.txt").write_text("x")
    (download / "fake" / ".Trash" / "test").mkdir(parents=True)
    shutil.copy(first(download, "fake/p2/test/*.png"), download / "fake" / ".Trash" / "test")
    for folder in ("real/valid", "real/test", "fake/repaint-p2/masks/test", "fake/lama/images/test"):
        (download / folder).mkdir(parents=True, exist_ok=True)
        (download / folder / "._0003.png").write_bytes(b"\0\5\x16\7")
    (download / "fake" / "lama" / "images" / "test" / "Thumbs.db").write_text("x")
    assert len(Dataset(download).table) == 48
    assert check_dataset(download) == []
