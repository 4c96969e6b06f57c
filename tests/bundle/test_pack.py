"""Datasets that could not be unpacked unchanged are not packed."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from factories_bundle import blacken_fake, change_licence, first_partial_fake, rewrite_manifest
from PIL import Image
from safetensors.torch import load_file, save_file

from wsdl.bundle import archive as archive_format
from wsdl.bundle import pack as packing
from wsdl.bundle import unpack as unpacking
from wsdl.bundle.pack import pack_style
from wsdl.core.io import WsdlError, sha256, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import read_mask, write_mask


@pytest.fixture
def copy(free, tmp_path) -> Path:
    return shutil.copytree(free, tmp_path / "copy")


def leak(folder: Path) -> None:
    """Change one pixel outside the mask of a partial fake by one."""
    path = folder / first_partial_fake(folder).path
    pixels, mask = read_image(path).copy(), read_mask(folder / first_partial_fake(folder)["mask"])
    pixels[tuple(np.argwhere(mask == 0)[0])] ^= 1
    write_image(path, pixels)
    rewrite_manifest(folder)


def empty_the_mask(folder: Path) -> None:
    row = first_partial_fake(folder)
    write_mask(folder / row["mask"], np.zeros((32, 32), np.uint8))
    shutil.copy(folder / "real" / row.split / f"{row.source_id}.png", folder / row.path)
    rewrite_manifest(folder)


def lose_the_face(folder: Path) -> None:
    row, data = first_partial_fake(folder), Dataset(folder)
    face = f"real/{row.split}/{row.source_id}.png"
    (folder / face).unlink()
    (folder / "components" / row.split / f"{row.source_id}.png").unlink()
    write_manifest(folder, data.table[data.table.path != face], data.info)


def another_encoder(folder: Path) -> None:
    path = folder / Dataset(folder).select("real").iloc[0].path
    Image.open(path).save(path, compress_level=0)
    rewrite_manifest(folder)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (blacken_fake, "data check.*faults .1..*sha256"),
        (leak, "1 pixels outside"),
        (empty_the_mask, "is empty"),
        (lose_the_face, r"real face '\d+'"),
        (change_licence, "licence 'unknown'.*CC0-1.0"),
        (another_encoder, "manifest.csv: .*different"),
    ],
)
def test_what_could_not_be_unpacked_unchanged_is_refused(copy, p2, tmp_path, fault, sentence):
    fault(copy)
    with pytest.raises(WsdlError, match=sentence):
        pack_style("studio", copy, p2, tmp_path / "out" / "b.zip")
    assert not list((tmp_path / "out").glob("*"))  # no archive, and no part of one


@pytest.mark.parametrize("name", ["write_image", "write_mask"])
def test_packing_verifies_the_unpacked_archive(free, p2, tmp_path, monkeypatch, name):
    write = getattr(unpacking, name)
    monkeypatch.setattr(unpacking, name, lambda path, pixels: write(path, pixels ^ 1))
    with pytest.raises(WsdlError, match="different pixels"):
        pack_style("studio", free, p2, tmp_path / "b.zip")
    assert not list(tmp_path.iterdir())


def test_an_archive_that_is_too_large_is_refused(free, p2, archive, tmp_path, monkeypatch):
    size = archive.stat().st_size
    monkeypatch.setattr(archive_format, "MAX_BYTES", size - 1)
    with pytest.raises(WsdlError, match=f" {size:,} bytes.* {size:,} .* {size - 1:,}"):
        pack_style("studio", free, p2, tmp_path / "studio.zip")
    assert not list(tmp_path.iterdir())


def test_the_limit_holds_for_all_archives_in_the_folder(free, p2, archive, tmp_path, monkeypatch):
    size = archive.stat().st_size
    (tmp_path / "snapshot.zip").write_bytes(bytes(1000))
    (tmp_path / "notes.txt").write_bytes(bytes(5000))  # no archive
    (tmp_path / "studio.zip").write_bytes(b"the one before")  # to be replaced: not counted
    monkeypatch.setattr(archive_format, "MAX_BYTES", size + 999)
    with pytest.raises(WsdlError, match=f" {size:,} bytes.* {size + 1000:,} .* {size + 999:,}"):
        pack_style("studio", free, p2, tmp_path / "studio.zip")
    assert (tmp_path / "studio.zip").read_bytes() == b"the one before"
    monkeypatch.setattr(archive_format, "MAX_BYTES", size + 1000)
    pack_style("studio", free, p2, tmp_path / "studio.zip")
    assert sha256(tmp_path / "studio.zip") == sha256(archive)


@pytest.mark.parametrize("style", ["../studio", "a/b", ""])
def test_style_names_are_checked_before_anything_is_read(tmp_path, style):
    with pytest.raises(WsdlError, match="name of a style"):
        pack_style(style, tmp_path / "none", tmp_path / "none", tmp_path / "b.zip")


def test_the_size_limits():
    assert archive_format.MAX_BYTES == 110_000_000
    assert archive_format.MAX_MEMBER == 20_000_000


def test_generators_that_cannot_be_packed_are_refused(free, p2, tmp_path, monkeypatch):
    def refused(sentence: str, change) -> None:
        run = shutil.copytree(p2, tmp_path / f"run{len(list(tmp_path.iterdir()))}")
        change(run)
        with pytest.raises(WsdlError, match=sentence):
            pack_style("studio", free, run, tmp_path / "b.zip")

    def too_large_a_number(run: Path) -> None:
        tensors = load_file(run / MODEL_FILE)
        next(iter(tensors.values())).flatten()[0] = 70_000
        save_file(tensors, run / MODEL_FILE)

    def other_size(run: Path) -> None:
        write_json(run / "config.json", {"size": 64, "channels": [16], "patch": 4})

    refused("not finished", lambda run: write_json(run / "run.json", {"status": "running"}))
    refused("run.json: ", lambda run: (run / "run.json").unlink())
    refused("has values beyond fp16", too_large_a_number)
    refused("has images of 32 px, but .* generates 64 px", other_size)
    monkeypatch.setattr(packing, "MAX_MEMBER", 1000)
    refused("bytes in fp16.* 1,000", lambda run: None)
    assert not (tmp_path / "b.zip").exists()
