"""Packing the archive of a further generator: its content, and what is refused."""

import hashlib
import json
import shutil
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest
from factories import FEW_STEPS, fp16_run, untrained_run
from factories_bundle import blacken_fake, change_licence, rewrite_manifest
from helpers import tree
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.bundle import archive as archive_format
from wsdl.bundle import generator_archives
from wsdl.bundle import unpack as unpacking
from wsdl.bundle.archive import list_contents
from wsdl.bundle.generator_archives import add_fakes, unpack_generator
from wsdl.bundle.pack_generator import pack_generator
from wsdl.bundle.unpack import copy_dataset
from wsdl.core.io import WsdlError, sha256, write_json
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image, write_image
from wsdl.data.manifest import write_manifest
from wsdl.data.masks import read_mask
from wsdl.generators.diffusion.ldm import load_ldm
from wsdl.generators.write_fakes import generate_partial


@pytest.fixture
def copy(inpainted, tmp_path) -> Path:
    return shutil.copytree(inpainted, tmp_path / "data")


@pytest.fixture
def pack_lama(archive, lama, inpainted, tmp_path):
    """pack_lama(data): the result of `pack_generator`."""

    def pack(data: Path, run: Path = lama, out: Path = tmp_path / "out/studio-lama.zip", generator: str = "lama"):
        return pack_generator("studio", data, generator, run, out, archive, inpainted.parent / "cache")

    return pack


def test_the_archive_lists_its_members_and_is_reproducible(lama_archive, copy, lama, pack_lama, tmp_path):
    with ZipFile(lama_archive) as bundle:
        about = json.loads(bundle.read("manifest.json"))
        members = {member.filename: member for member in bundle.infolist()}
        assert {name: hashlib.sha256(bundle.read(name)).hexdigest() for name in about["files"]} == about["files"]
    assert (about["format"], about["licence"], about["style"], about["generator"]) == (1, "CC0-1.0", "studio", "lama")
    assert about["command"] == (
        "python -m wsdl data bundle-generator --style studio --data data --generator lama --run fp32-fp16 "
        "--out studio-lama.zip"
    )
    assert [entry["command"] for entry in about["dataset"]["made_by"]] == [
        "python -m wsdl generate lama --count 12 --seed 0"
    ]
    assert set(members) == {*about["files"], "manifest.json"}
    assert {member.compress_type for member in members.values()} == {ZIP_STORED}
    assert {name.split("/")[0] for name in members} == {"manifest.json", "manifest.csv", "fake", "run"}
    assert {name for name in members if name.startswith("run/")} == {f"run/{name}" for name in tree(lama)}
    assert len(about["boxes"]) == 12  # regions alone: no real face, no mask, and nobody else's fakes
    assert len([name for name in members if name.startswith("fake/lama/images/")]) == 12
    pack_lama(copy)
    assert sha256(tmp_path / "out/studio-lama.zip") == sha256(lama_archive)


def leak(folder: Path) -> None:
    """Change one pixel outside the mask of a fake by one."""
    row = Dataset(folder).select(generator="lama").iloc[0]
    pixels, outside = read_image(folder / row.path).copy(), read_mask(folder / row["mask"]) == 0
    pixels[tuple(part[0] for part in outside.nonzero())] ^= 1
    write_image(folder / row.path, pixels)
    rewrite_manifest(folder)


def fewer_faces(folder: Path) -> None:
    """Remove a face without fakes."""
    data = Dataset(folder)
    used = set(data.select(kind="partial").source_id)
    face = next(row for row in data.select(kind="real").itertuples() if row.source_id not in used)
    (folder / face.path).unlink()
    (folder / "components" / face.split / Path(face.path).name).unlink()
    write_manifest(folder, data.table[data.table.path != face.path], data.info)


def no_fakes(folder: Path) -> None:
    data = Dataset(folder)
    shutil.rmtree(folder / "fake/lama")
    write_manifest(folder, data.table[data.table.generator != "lama"], data.info)


def other_origin(folder: Path) -> None:
    """Fakes of the faces of another dataset."""
    path = folder / "fake/lama/recipe.json"
    write_json(path, {**json.loads(path.read_text()), "faces": "f" * 64})


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (blacken_fake, "data check.*faults .1..*sha256"),
        (leak, "1 pixels outside"),
        (change_licence, "licence 'unknown'.*CC0-1.0"),
        (
            fewer_faces,
            "its real faces differ from those of the bundled studio; make the fakes in a folder that ",
        ),
        (no_fakes, "has no partial fakes by 'lama'"),
        (other_origin, "its real faces differ from those of studio for which lama made the fakes"),
        (lambda folder: (folder / "fake/lama/recipe.json").unlink(), "recipe.json: no such file"),
    ],
)
def test_what_could_not_be_unpacked_unchanged_is_refused(copy, pack_lama, tmp_path, fault, sentence):
    fault(copy)
    with pytest.raises(WsdlError, match=sentence):
        pack_lama(copy)
    assert not list((tmp_path / "out").glob("*"))  # no archive, and no part of one


def test_weights_that_did_not_make_the_fakes_are_refused(inpainted, pack_lama, tmp_path):
    other = fp16_run(untrained_run("lama", tmp_path / "other", seed=1))
    with pytest.raises(WsdlError, match=r"lama/recipe.json: .*sha256 .*data halve"):
        pack_lama(inpainted, other)
    with pytest.raises(WsdlError, match=r"pluralistic, not .*lama"):
        pack_lama(inpainted, untrained_run("pluralistic", tmp_path / "pluralistic"))
    write_json(other / "run.json", {"status": "running"})
    with pytest.raises(WsdlError, match="not finished"):
        pack_lama(inpainted, other)


@pytest.mark.parametrize("name", ["write_image", "write_mask"])
def test_packing_verifies_the_unpacked_archive(inpainted, pack_lama, tmp_path, monkeypatch, name):
    write = getattr(unpacking, name)
    monkeypatch.setattr(unpacking, name, lambda path, pixels: write(path, pixels ^ 1))
    with pytest.raises(WsdlError, match="different pixels"):
        pack_lama(inpainted)
    assert not list((tmp_path / "out").iterdir())


def test_the_limit_holds_for_styles_and_generators_together(inpainted, pack_lama, lama_archive, tmp_path, monkeypatch):
    size, out = lama_archive.stat().st_size, tmp_path / "generators/studio-lama.zip"
    for name in ("bundle/studio.zip", "generators/studio-pluralistic.zip", "generators/studio-lama.zip", "other/b.zip"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(1000))  # the one to be replaced, and strangers, do not count
    monkeypatch.setattr(archive_format, "MAX_BYTES", size + 1999)
    with pytest.raises(WsdlError, match=f" {size + 2000:,} .* {size + 1999:,}"):
        pack_lama(inpainted, out=out)
    monkeypatch.setattr(archive_format, "MAX_BYTES", size + 2000)
    pack_lama(inpainted, out=out)
    assert sha256(out) == sha256(lama_archive)
    with pytest.raises(WsdlError, match="more than"):
        archive_format.check_total_size(1, tmp_path / "bundle/snapshot.zip")


def test_full_fakes_are_packed_without_a_run(full_data, full_archive, pack_lama, lama, tmp_path):
    row = list_contents(full_archive).iloc[0]
    assert (row.generator, row.full, row.run_MB) == ("p2-ddpm", 12, 0)
    with ZipFile(full_archive) as bundle:
        assert {name.split("/")[0] for name in bundle.namelist()} == {"manifest.json", "manifest.csv", "fake"}
    with pytest.raises(WsdlError, match="--run: for fakes by p2-ddpm it must be left out"):
        pack_lama(full_data, lama, generator="p2-ddpm")
    with pytest.raises(WsdlError, match="--run: for fakes by lama it is missing"):
        pack_lama(full_data, None)
    copy = shutil.copytree(full_data, tmp_path / "copy")
    write_json(copy / "fake/p2-ddpm/recipe.json", {"weights": "f" * 64, "seed": 0})
    with pytest.raises(WsdlError, match=r"p2-ddpm/recipe.json: .*sha256 ffff"):
        pack_lama(copy, None, generator="p2-ddpm")


def test_latent_diffusion_comes_with_its_autoencoder_and_clean(archive, inpainted, pack_lama, tmp_path):
    run, data, out = fp16_run(untrained_run("ldm", tmp_path / "ldm")), tmp_path / "faces", tmp_path / "ldm.zip"
    copy_dataset(data, "studio", archive=archive, cache=inpainted.parent / "cache")
    for name in ("repaint-ldm", "repaint-ldm-clean"):
        generate_partial(name, data, data, run, 4, 0, batch=4, **FEW_STEPS)
    with pytest.raises(WsdlError, match=r"repaint-ldm/.* pixels outside"):
        pack_lama(data, run, out, "repaint-ldm")
    pack_lama(data, run, out, "repaint-ldm-clean")
    for name in ("repaint-ldm", "repaint-ldm-clean"):
        found = unpack_generator("studio", name, out, tmp_path / "cache")
        assert tree(found) == tree(run)
        assert load_ldm(found).size == 32
    again = tmp_path / "again"
    copy_dataset(again, "studio", archive=archive, cache=inpainted.parent / "cache")
    add_fakes(again, "studio", "repaint-ldm-clean", out)
    assert tree(again / "fake/repaint-ldm-clean") == tree(data / "fake/repaint-ldm-clean")


def test_by_command(archive, inpainted, lama, lama_archive, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "STYLE_ARCHIVES", archive.parent)
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", tmp_path)
    monkeypatch.setenv("WSDL_CACHE", str(inpainted.parent / "cache"))
    words = [
        "--style",
        "studio",
        "--data",
        inpainted,
        "--generator",
        "lama",
        "--run",
        lama,
        "--out",
        tmp_path / "b.zip",
    ]
    result = CliRunner().invoke(app, ["data", "bundle-generator", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    header, row = (line.split() for line in result.stdout.splitlines())
    assert header == ["style", "generator", "partial", "partial_MB", "run_MB", "tables_MB", "all_MB"]
    assert row[:3] == ["studio", "lama", "12"]
    assert sha256(tmp_path / "b.zip") == sha256(lama_archive)
    (found,) = list_contents(lama_archive).to_dict("records")
    with ZipFile(lama_archive) as bundle:
        size = {member.filename: member.file_size / 1e6 for member in bundle.infolist()}
    assert found["run_MB"] == pytest.approx(sum(size[name] for name in size if name.startswith("run/")))
    assert found["partial_MB"] == pytest.approx(sum(size[name] for name in size if name.endswith(".webp")))
    assert found["tables_MB"] == pytest.approx(size["manifest.csv"] + size["fake/lama/recipe.json"])
    assert found["all_MB"] == pytest.approx(lama_archive.stat().st_size / 1e6)
