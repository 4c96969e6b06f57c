"""Archives of further generators: their fakes equal those that `generate` makes, and nothing else is written."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from factories_bundle import first_name, rewrite_archive
from helpers import left_by_the_dead, tree
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.bundle import generator_archives
from wsdl.bundle import unpack as unpacking
from wsdl.bundle.generator_archives import add_fakes, unpack_generator
from wsdl.bundle.unpack import copy_dataset, unpack_dataset
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import write_manifest
from wsdl.generators.inpainting import inpainter as inpaint
from wsdl.generators.inpainting.inpainter import inpainter_fingerprint, load_inpainter
from wsdl.generators.write_fakes import generate_partial

RECIPE = "fake/lama/recipe.json"


@pytest.fixture
def mine(archive, inpainted, tmp_path) -> Path:
    """A copy of the bundled dataset."""
    copy_dataset(tmp_path / "mine", "studio", archive=archive, cache=inpainted.parent / "cache")
    return tmp_path / "mine"


def refuses(sentence: str, folder: Path, archive: Path, style="studio", generator="lama") -> None:
    before = tree(folder)
    with pytest.raises(WsdlError, match=sentence) as caught:
        add_fakes(folder, style, generator, archive)
    assert "\n" not in str(caught.value)
    assert tree(folder) == before


def test_added_fakes_equal_those_of_generate(mine, inpainted, lama_archive, monkeypatch, capsys):
    add_fakes(mine, "studio", "lama", lama_archive)
    assert tree(mine) == tree(inpainted)  # images, masks, recipe, manifest.csv and dataset.json
    assert check_dataset(mine) == []
    assert len(Dataset(mine).select(generator="lama")) == 12
    monkeypatch.setattr(generator_archives, "write_partial_fake", None)  # a second call has nothing to write
    before = {path: path.stat().st_mtime_ns for path in mine.rglob("*.*") if path.name != "recipe.json"}
    add_fakes(mine, "studio", "lama", lama_archive)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "has the 12 fakes by lama already" in capsys.readouterr().err


def test_generate_makes_only_fakes_beyond_the_added_ones(mine, inpainted, lama, lama_archive, tmp_path, monkeypatch):
    add_fakes(mine, "studio", "lama", lama_archive)
    run = unpack_generator("studio", "lama", lama_archive, tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(inpaint, "load_inpainter", lambda *_: pytest.fail("the network was loaded for nothing"))
        generate_partial("lama", mine, mine, run, 12, 0, batch=4)
    assert tree(mine) == tree(inpainted)
    more = shutil.copytree(inpainted, tmp_path / "more")
    for folder, used in ((mine, run), (more, lama)):
        generate_partial("lama", folder, folder, used, 15, 0, batch=4)
    assert tree(mine) == tree(more)
    add_fakes(mine, "studio", "lama", lama_archive)  # more than these are there
    assert tree(mine) == tree(more)


def test_a_killed_call_is_completed_by_the_next(mine, inpainted, lama_archive, monkeypatch):
    write, written, before = generator_archives.write_partial_fake, [], tree(mine)

    def killed(folder, row, *rest):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(row.path)
        write(folder, row, *rest)

    monkeypatch.setattr(
        generator_archives, "parallel_map", lambda work, items, what: [work(item) for item in items]
    )  # one after another
    monkeypatch.setattr(generator_archives, "write_partial_fake", killed)
    with pytest.raises(KeyboardInterrupt):
        add_fakes(mine, "studio", "lama", lama_archive)
    assert {name: tree(mine)[name] for name in before} == before  # the dataset opens as it was
    assert Dataset(mine).select(generator="lama").empty
    (mine / written[0]).unlink()  # killed between mask and image
    left_by_the_dead(mine / written[0]).write_bytes(b"half")
    again = []
    monkeypatch.setattr(
        generator_archives, "write_partial_fake", lambda *words: again.append(words[1].path) or write(*words)
    )
    add_fakes(mine, "studio", "lama", lama_archive)
    assert tree(mine) == tree(inpainted)
    assert set(again) == set(Dataset(mine).select(generator="lama").path) - set(written[1:])  # nothing twice


def test_a_gap_is_filled(mine, inpainted, lama_archive):
    add_fakes(mine, "studio", "lama", lama_archive)
    next((mine / "fake/lama/images").rglob("*.png")).unlink()
    add_fakes(mine, "studio", "lama", lama_archive)
    assert tree(mine) == tree(inpainted)


def test_fakes_by_other_weights_and_other_faces_are_not_mixed(mine, inpainted, lama_archive, free):
    data = Dataset(mine)
    shutil.copytree(inpainted / "fake/lama/images", mine / "fake/lama/images")
    write_json(mine / RECIPE, {**read_json(inpainted / RECIPE), "weights": "f" * 64})
    refuses("fake/lama: .*weights = 'ffff", mine, lama_archive)
    shutil.rmtree(mine / "fake/lama")
    face = data.select(kind="real").path.iloc[0]
    write_manifest(mine, data.table[data.table.path != face], data.info)
    refuses("real faces .*studio.* lama", mine, lama_archive)


def test_the_weights_are_those_that_made_the_fakes(lama_archive, lama, inpainted, tmp_path, monkeypatch):
    run = unpack_generator("studio", "lama", lama_archive, tmp_path)
    assert tree(run) == tree(lama)
    assert inpainter_fingerprint("lama", run) == read_json(inpainted / RECIPE)["weights"]
    assert load_inpainter("lama", run).size == 32
    monkeypatch.setattr(generator_archives, "unpack_run", lambda target, archive, *rest: archive.name)
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", tmp_path)
    for name in ("studio-repaint-ldm-clean.zip", "studio-lama.zip", "snapshot-lama.zip"):
        (tmp_path / name).touch()
    assert generator_archives.bundled_generators("studio") == ["lama", "repaint-ldm-clean"]
    assert generator_archives.bundled_generators("photos") == []
    for name in ("repaint-ldm", "repaint-ldm-clean"):
        assert (
            unpack_generator("studio", name, cache=tmp_path) == "studio-repaint-ldm-clean.zip"
        )  # one model, two ways to inpaint
    with pytest.raises(WsdlError, match=r"studio-repaint-ldm.zip: is missing.*: lama, repaint-ldm-clean\b"):
        add_fakes(tmp_path, "studio", "repaint-ldm")


# --- full fakes ---------------------------------------------------------------------------------------------------


def test_added_full_fakes_equal_those_of_generate(mine, full_data, full_archive, capsys):
    add_fakes(mine, "studio", "p2-ddpm", full_archive)
    assert tree(mine) == tree(full_data)  # images, recipe, manifest.csv and dataset.json
    assert check_dataset(mine) == []
    made_by = read_json(mine / "dataset.json")["made_by"]
    assert made_by[-1]["command"] == "python -m wsdl generate p2 --sampler ddpm --count 12 --seed 0"
    add_fakes(mine, "studio", "p2-ddpm", full_archive)
    assert "has the 12 fakes by p2-ddpm already" in capsys.readouterr().err


def test_full_fakes_are_no_further_generator(full_archive, tmp_path, monkeypatch):
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", full_archive.parent)
    assert generator_archives.archived_fakes("studio") == ["p2-ddpm"]
    assert generator_archives.bundled_generators("studio") == []
    with pytest.raises(WsdlError, match=r"p2-ddpm.zip: holds no weights"):
        unpack_generator("studio", "p2-ddpm", cache=tmp_path)


def test_full_fakes_of_another_source_are_refused(mine, full_archive):
    write_json(mine / "dataset.json", Dataset(mine).info | {"name": "photos"})
    refuses("its real faces differ from those of studio", mine, full_archive, generator="p2-ddpm")


def test_damaged_archives_of_full_fakes_are_refused(mine, full_archive, lama_archive, tmp_path):
    def swap(members: dict) -> None:
        one, other = [name for name in members if name.endswith(".webp")][:2]
        members[one] = members[other]

    def relabel(members: dict) -> None:
        about, rows = json.loads(members["manifest.json"]), members["manifest.csv"].decode()
        members["manifest.csv"] = rows.replace(",full,", ",partial,").encode()
        digest = hashlib.sha256(members["manifest.csv"]).hexdigest()
        about["files"]["manifest.csv"] = about["dataset"]["manifest_sha256"] = digest
        members["manifest.json"] = json.dumps(about).encode()

    def refuses_full(sentence: str, archive: Path) -> None:
        refuses(sentence, mine, archive, generator="p2-ddpm")

    refuses_full("a.zip: is damaged .*is not the file", rewrite_archive(full_archive, tmp_path / "a.zip", swap))
    refuses_full("b.zip: is damaged .*more than fakes", rewrite_archive(full_archive, tmp_path / "b.zip", relabel))
    refuses_full("'lama', not 'p2-ddpm'", lama_archive)
    (tmp_path / "c.zip").write_bytes(full_archive.read_bytes()[:-100])
    refuses_full("c.zip: is damaged", tmp_path / "c.zip")


# --- archives that are damaged, or a stranger's -------------------------------------------------------------------


def test_another_style_generator_or_kind_of_archive_is_refused(mine, archive, lama_archive, tmp_path):
    refuses("'studio', not 'snapshot'", mine, lama_archive, style="snapshot")
    refuses("'lama', not 'pluralistic'", mine, lama_archive, generator="pluralistic")
    refuses("None, not 'lama'", mine, archive)
    with pytest.raises(WsdlError, match="'lama', not None"):
        unpack_dataset("studio", lama_archive, tmp_path / "c")
    for words in (("../studio", "lama"), ("studio", "../lama"), ("studio", "")):
        with pytest.raises(WsdlError, match="name of a"):
            unpack_generator(*words, cache=tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_a_truncated_archive_is_refused(mine, lama_archive, tmp_path, keep):
    data = lama_archive.read_bytes()
    (tmp_path / "b.zip").write_bytes(data[: int(keep * len(data))])
    refuses("b.zip: is damaged", mine, tmp_path / "b.zip")


def test_a_file_that_was_changed_or_lost_is_refused(mine, lama_archive, tmp_path):
    def swap(members: dict) -> None:
        one, other = [name for name in members if name.endswith(".webp")][:2]
        members[one] = members[other]

    def spoil(members: dict) -> None:
        members[f"run/{MODEL_FILE}"] = members[f"run/{MODEL_FILE}"][:-1] + b"?"

    changed = rewrite_archive(lama_archive, tmp_path / "a.zip", swap)
    refuses("a.zip: is damaged .*fake/lama/images/.*is not the file that its manifest", mine, changed)
    lost = rewrite_archive(
        lama_archive, tmp_path / "b.zip", lambda members: members.pop(first_name(members, "fake/lama/images"))
    )
    refuses("b.zip: is damaged .*There is no item named 'fake/lama", mine, lost)
    with pytest.raises(WsdlError, match=f"c.zip: is damaged .*run/{MODEL_FILE}"):
        unpack_generator("studio", "lama", rewrite_archive(lama_archive, tmp_path / "c.zip", spoil), tmp_path / "c")


@pytest.mark.parametrize("evil", ["fake/lama/../../../evil.png", "real/train/evil.png", "fake/lama/\\evil.png"])
def test_only_fakes_of_this_generator_are_written(mine, lama_archive, tmp_path, evil):
    def lead_out(members: dict) -> None:
        about = json.loads(members["manifest.json"])
        rows = members["manifest.csv"].decode().splitlines()
        cells = rows[1].split(",")
        kept, cells[0] = cells[0], evil
        rows[1] = ",".join(cells)
        members["manifest.csv"] = "".join(row + "\n" for row in rows).encode()
        digest = hashlib.sha256(members["manifest.csv"]).hexdigest()
        about["files"]["manifest.csv"] = about["dataset"]["manifest_sha256"] = digest
        about["boxes"][evil] = about["boxes"][kept]
        members["manifest.json"] = json.dumps(about).encode()

    changed = rewrite_archive(lama_archive, tmp_path / "b.zip", lead_out)
    refuses("not a name within|more than fakes by lama", mine, changed)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("recipe", [b"[]", b"{", b'{"faces": 1, "seed": 0}', b'{"faces": "x"}', b"null"])
def test_a_recipe_without_faces_and_seed_is_refused(mine, lama_archive, tmp_path, recipe):
    def spoil(members: dict) -> None:
        about = json.loads(members["manifest.json"])
        members[RECIPE], about["files"][RECIPE] = recipe, hashlib.sha256(recipe).hexdigest()
        members["manifest.json"] = json.dumps(about).encode()

    changed = rewrite_archive(lama_archive, tmp_path / "b.zip", spoil)
    refuses("b.zip: is damaged .*names no faces and seed", mine, changed)


# --- by command ---------------------------------------------------------------------------------------------------


def test_unpack_adds_the_named_generators(archive, lama_archive, free, inpainted, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "STYLE_ARCHIVES", archive.parent)
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", lama_archive.parent)
    monkeypatch.setenv("WSDL_CACHE", str(inpainted.parent / "cache"))

    def run(*words):
        return CliRunner().invoke(app, ["data", "unpack", "studio", "--out", str(tmp_path / "out"), *words])

    unknown = run("--generators", "lama,watercolour")
    assert isinstance(unknown.exception, WsdlError)
    sentence = "studio-watercolour.zip: is missing; available further generators of studio: lama."
    assert str(unknown.exception).endswith(sentence)
    assert not (tmp_path / "out").exists()
    assert run().exit_code == 0
    assert not (tmp_path / "out/fake/lama").exists()  # only what is asked for
    for _ in range(2):
        assert run("--generators", "lama").exit_code == 0
        assert tree(tmp_path / "out") == tree(inpainted)
