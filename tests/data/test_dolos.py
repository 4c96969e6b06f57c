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
    masks, true_masks = Dataset(download).masks, Dataset(dataset).masks
    partial = (Dataset(dataset).table.kind == "partial").to_numpy()
    overlap = (masks & true_masks)[partial].sum(axis=(1, 2)) / (masks | true_masks)[partial].sum(axis=(1, 2))
    assert overlap.mean() > 0.97
    assert capsys.readouterr().err.count("is not two-valued") == 3  # one line for a folder: train, valid, test


def test_empty_masks_are_reported(download, capsys):
    path = first(download, "fake/*/masks/train/*")
    write_mask(path, read_mask(path) * 0)
    Dataset(download)
    assert f"{path}: is empty (255 everywhere), one of 1 such masks" in capsys.readouterr().err


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


def move_face(folder: Path) -> None:
    path = first(folder, "fake/repaint-p2/images/test/*.png")
    for part in ("images", "masks"):
        there = folder / "fake/repaint-p2" / part
        (there / "test" / path.name).rename(there / "train" / path.name)


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
    (move_face, "'0003'.*test and train"),
    (wrong_size, r"\.png: .*8x8.*32x32"),
    (lambda d: first(d, "real/test/*").write_bytes(b"\x89PNG no"), r"real/test/0003\.png: .*not an image"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=[m[:30] for _, m in BROKEN])
def test_faults_are_reported_and_no_manifest_is_written(download, spoil, message):
    spoil(download)
    with pytest.raises(WsdlError, match=message):
        Dataset(download).images  # noqa: B018 (an image without a mask is checked when it is decoded)
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
