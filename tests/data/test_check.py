"""`data check` finds changes that the manifest does not list."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from wsdl.core.io import WsdlError, sha256
from wsdl.data.check import check_dataset, summarize_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import read_mask, write_mask


@pytest.fixture
def copy(dataset, tmp_path) -> Path:
    return Path(shutil.copytree(dataset, tmp_path / "copy"))


def partial(folder: Path):
    return Dataset(folder).select("partial").iloc[0]


def change_mask(folder: Path, change) -> None:
    path = folder / partial(folder)["mask"]
    write_mask(path, change(read_mask(path)))


def rewrite(folder: Path, **columns) -> None:
    """Change the first partial fake's row in the manifest."""
    data = Dataset(folder)
    table = data.table.copy()
    for name, value in columns.items():
        table.loc[data.select("partial").index[0], name] = value
    write_manifest(folder, table, data.info)


def same_bytes_in_two_splits(folder: Path) -> None:
    data = Dataset(folder)
    one, other = data.select("real", "train").iloc[0], data.select("real", "test").iloc[1]
    shutil.copy(folder / one.path, folder / other.path)
    table = data.table.copy()
    table.loc[table.path == other.path, "sha256"] = sha256(folder / one.path)
    write_manifest(folder, table, data.info)


def twice(folder: Path) -> None:
    data = Dataset(folder)
    write_manifest(folder, pd.concat([data.table, data.select("partial").head(1)]), data.info)


def other_pixels(folder: Path) -> None:
    write_image(folder / partial(folder).path, np.zeros((32, 32, 3), np.uint8))


def stray(folder: Path) -> None:
    shutil.copy(folder / partial(folder).path, folder / "real" / "train" / "stray.png")


def empty_mask(folder: Path) -> None:
    change_mask(folder, lambda mask: mask * 0)
    rewrite(folder, area=0.0)


def edit_manifest(folder: Path) -> None:
    (folder / "manifest.csv").write_text("path\n")


CASES = [
    (lambda d: (d / partial(d).path).unlink(), [r"0003-03-mouth.png: is in the manifest but does not exist"]),
    (other_pixels, ["its sha256 differs"]),
    (lambda d: (d / partial(d).path).write_bytes(b"x"), ["its sha256 differs", "is not an image"]),
    (lambda d: (d / partial(d)["mask"]).unlink(), ["masks/test/0003-03-mouth.png: no such file"]),
    (lambda d: change_mask(d, lambda m: 1 - m), ["is inverted; 255 must be real and 0 fake"]),
    (lambda d: change_mask(d, lambda m: m * 0), ["marks 0.00% of the image as fake, but the manifest lists 0.78%"]),
    (lambda d: change_mask(d, lambda m: m[:8, :8]), ["is 8x8, but this dataset has 32x32"]),
    (lambda d: rewrite(d, mask=""), ["names no mask", "masks/test/0003-03-mouth.png: is not in the manifest"]),
    (lambda d: rewrite(d, source_id="0001"), ["source face '0001' is in test and train"]),
    (lambda d: rewrite(d, split="dev"), ["has split 'dev', but splits are train, valid, test"]),
    (same_bytes_in_two_splits, ["are the same image in different splits"]),
    (lambda d: rewrite(d, kind="fake"), ["has kind 'fake', but kinds are real, full, partial"]),
    (lambda d: rewrite(d, component="chin"), ["has component 'chin', but components are skin, "]),
    (lambda d: rewrite(d, area=1.5), ["has area '1.5', but an area is a fraction from 0 to 1"]),
    (twice, ["has path 'fake/repaint-p2/images/test/0003-03-mouth.png', which another line has too"]),
    (stray, ["real/train/stray.png: is not in the manifest"]),
    (empty_mask, ["is empty (255 everywhere); a partial fake has an inpainted region"]),
    (edit_manifest, ["manifest.csv: has sha256"]),
]


@pytest.mark.parametrize(("spoil", "expected"), CASES, ids=[expected[0][:30] for _, expected in CASES])
def test_each_fault_is_found_and_nothing_else(copy, spoil, expected):
    spoil(copy)
    problems = check_dataset(copy)
    assert len(problems) == len(expected)
    for problem, words in zip(problems, expected, strict=True):
        assert words in problem
        assert problem.startswith(str(copy))
        assert problem.endswith(".")


def test_a_good_dataset_has_no_problems(dataset, faces):
    assert check_dataset(dataset) == []
    assert check_dataset(faces) == []


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    with pytest.raises(WsdlError, match="no such folder"):
        check_dataset(tmp_path / "nowhere")
    with pytest.raises(WsdlError, match="no dataset"):
        check_dataset(tmp_path)


def test_summary_counts(dataset):
    table = summarize_dataset(dataset)
    assert table.kind.tolist() == ["real", "full", "partial"]
    assert table.generator.tolist() == ["", "p2", "repaint-p2"]
    assert table[["train", "valid", "test"]].to_numpy().tolist() == [[20, 2, 2], [4, 2, 2], [8, 4, 4]]
    assert table.images.tolist() == [24, 8, 16]
    assert table.faces.tolist() == [24, 8, 8]
    areas = Dataset(dataset).select("partial").area
    assert table.mean_area.tolist() == pytest.approx([0, 1, areas.mean()])
