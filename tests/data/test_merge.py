"""Several datasets in one folder: nothing is lost, renamed twice or tested on what was trained on."""

import shutil

import numpy as np
import pytest
from helpers import run_command

from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.merge import merge_datasets


@pytest.fixture
def pair(dataset, tmp_path):
    """A dataset, and another whose images are all one grey level brighter."""
    from PIL import Image

    from wsdl.core.io import sha256
    from wsdl.data.manifest import write_manifest

    other = shutil.copytree(dataset, tmp_path / "other", ignore=shutil.ignore_patterns(".cache"))
    opened = Dataset(other)
    for path in opened.table.path:
        pixels = np.asarray(Image.open(other / path))
        Image.fromarray(np.where(pixels < 255, pixels + 1, pixels).astype(np.uint8)).save(other / path)
    table = opened.table.assign(sha256=[sha256(other / path) for path in opened.table.path])
    write_manifest(other, table, {**opened.info, "name": "brighter"})
    return dataset, other


def test_every_image_and_mask_of_both_is_there(pair, tmp_path):
    run_command("data", "merge", *map(str, pair), "--out", str(tmp_path / "both"))
    both, parts = Dataset(tmp_path / "both"), [Dataset(folder) for folder in pair]
    assert check_dataset(tmp_path / "both") is not None
    assert len(both.table) == sum(len(part.table) for part in parts)
    for part in parts:
        name = part.info["name"]
        for row in part.table.itertuples():
            folder, file = row.path.rsplit("/", 1)
            (found,) = both.table.index[both.table.path == f"{folder}/{name}-{file}"]
            assert both.table.split[found] == row.split
            assert np.array_equal(both.images[[found]], part.images[[row.Index]])
            assert np.array_equal(both.masks[[found]], part.masks[[row.Index]])
    fakes = both.select(kind="partial")
    assert (both.table.source_id[both.source_index(fakes)].to_numpy() == fakes.source_id.to_numpy()).all()
    real = both.select(kind="real").iloc[0]
    assert both.labels(real).shape == (both.size, both.size)


def test_a_second_call_changes_nothing(pair, tmp_path):
    merge_datasets(list(pair), tmp_path / "both")
    before = (tmp_path / "both" / "manifest.csv").read_bytes()
    merge_datasets(list(pair), tmp_path / "both")
    assert (tmp_path / "both" / "manifest.csv").read_bytes() == before


def test_other_datasets_do_not_enter_a_merged_folder(pair, tmp_path):
    merge_datasets(list(pair), tmp_path / "both")
    write_json(pair[1] / "dataset.json", read_json(pair[1] / "dataset.json") | {"name": "third"})
    with pytest.raises(WsdlError, match="merged"):
        merge_datasets(list(pair), tmp_path / "both")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"size": 64}, "64 px, but .* prepare both with one --size"), ({"name": None}, "is named .* rename one of them")],
)
def test_datasets_that_do_not_fit_are_refused(pair, tmp_path, change, message):
    info = read_json(pair[1] / "dataset.json")
    change = {key: value or Dataset(pair[0]).info["name"] for key, value in change.items()}
    write_json(pair[1] / "dataset.json", info | change)
    with pytest.raises(WsdlError, match=message):
        merge_datasets(list(pair), tmp_path / "both")
    assert not (tmp_path / "both").exists() or not list((tmp_path / "both").rglob("*.png"))


def test_one_image_in_training_and_test_is_refused(dataset, tmp_path):
    other = shutil.copytree(dataset, tmp_path / "other", ignore=shutil.ignore_patterns(".cache"))
    opened, swapped = Dataset(other), {"train": "test", "test": "train", "valid": "valid"}
    for folder in sorted({*other.rglob("train"), *other.rglob("test")}):
        folder.rename(folder.with_name(f"{folder.name}-old"))
    for folder in sorted({*other.rglob("train-old"), *other.rglob("test-old")}):
        folder.rename(folder.with_name(swapped[folder.name.removesuffix("-old")]))
    from wsdl.data.manifest import write_manifest

    table = opened.table.assign(split=opened.table.split.map(swapped))
    for column in ("path", "mask"):
        parts = table[column].str.replace("/train/", "/@/").str.replace("/test/", "/train/")
        table[column] = parts.str.replace("/@/", "/test/")
    write_manifest(other, table, {**opened.info, "name": "swapped"})
    with pytest.raises(WsdlError, match=r"is the same image as .* another split"):
        merge_datasets([dataset, other], tmp_path / "both")


def test_one_dataset_is_too_few(dataset, tmp_path):
    with pytest.raises(WsdlError, match="needs two or more"):
        merge_datasets([dataset], tmp_path / "both")


def test_a_file_that_is_not_the_manifests_is_named(pair, tmp_path):
    path = Dataset(pair[1]).table.path.iloc[0]
    shutil.copy(pair[1] / Dataset(pair[1]).table.path.iloc[1], pair[1] / path)
    with pytest.raises(WsdlError, match=f"{path}: is not the file of the manifest"):
        merge_datasets(list(pair), tmp_path / "both")
