"""`generate GENERATOR --out DIR` without weights and faces takes the bundled ones."""

import pytest
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.bundle import generator_archives, unpack
from wsdl.config import DEFAULT_GENERATORS, EXTRA_GENERATORS, GRID_GENERATORS, Fakes
from wsdl.core.io import read_json
from wsdl.data.dataset import Dataset
from wsdl.generators.registry import GENERATORS
from wsdl.generators.shards import ALL


def generate(*words, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["generate", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.output + str(result.exception or "")


@pytest.fixture
def bundled(archive, lama_archive, tmp_path, monkeypatch):
    """A tiny bundle of the style studio, with a LaMa."""
    monkeypatch.setattr(unpack, "STYLE_ARCHIVES", archive.parent)
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", lama_archive.parent)
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "cache"))


def test_the_bundled_faces_are_copied_once_and_inpainted(bundled, tmp_path):
    out = tmp_path / "out"
    generate("lama", "--count", 2, "--out", out)
    reals = Dataset(out).select("real")
    assert len(reals) > 2
    assert list(Dataset(out).select("partial").generator) == ["lama"] * 2
    assert read_json(out / "fake/lama/recipe.json")["batch"] == Fakes().batch
    generate("p2", "--count", 2, "--steps", 2, "--out", out)
    assert Dataset(out).select("real").sha256.tolist() == reals.sha256.tolist()
    assert len(Dataset(out).select("full")) == 2


def test_bundled_weights_take_the_schedule_of_the_bundled_fakes(bundled, tmp_path):
    generate("repaint-p2", "--count", 1, "--batch", 1, "--out", tmp_path / "out")
    recipe = read_json(tmp_path / "out/fake/repaint-p2/recipe.json")
    assert Fakes().schedule.items() <= recipe.items()
    generate("repaint-p2", "--count", 1, "--batch", 1, "--T", 4, "--jump-length", 2, "--out", tmp_path / "other")
    recipe = read_json(tmp_path / "other/fake/repaint-p2/recipe.json")
    assert (recipe["T"], recipe["jump_length"], recipe["resamplings"]) == (4, 2, Fakes().resamplings)


def test_other_weights_take_the_schedule_of_the_paper(bundled, p2, faces, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("wsdl.generators.write_fakes.generate_partial", lambda *words, **more: asked.update(more))
    generate("repaint-p2", "--data", faces, "--weights", p2)
    assert asked == {"T": 250, "jump_length": 10, "resamplings": 10, "batch": 32, "shard": ALL}


def test_missing_weights_and_folders_are_named(bundled, tmp_path):
    assert "--weights: missing" in generate("sd-inpaint", "--out", tmp_path / "out", code=1)
    assert not (tmp_path / "out").exists()
    assert "--out" in generate("lama", code=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["p2", "repaint-p2", "repaint-ldm", "lama", "pluralistic"])
def test_each_bundled_generator_works_without_weights_and_faces(name, tmp_path):
    few = {"p2": ("--steps", 2)}.get(
        name, ("--T", 4, "--jump-length", 2, "--resamplings", 1) if "repaint" in name else ()
    )
    generate(name, "--count", 2, "--batch", 2, *few, "--out", tmp_path / "out")
    made = Dataset(tmp_path / "out")
    assert list(made.table[made.table.kind != "real"].generator) == [name] * 2


def test_the_registry_names_every_generator_and_what_it_restores():
    assert [name for name in GENERATORS if GENERATORS[name].clean] == [
        "repaint-p2", "repaint-ldm-clean", "lama", "pluralistic", "reencode", "sd-inpaint-clean"
    ]  # fmt: skip
    assert GENERATORS["repaint-p2"].calls(T=250, jump_length=10, resamplings=10) == 2410
    assert GENERATORS["lama"].calls() == 1
    assert GENERATORS["p2"].calls(steps=50) == GENERATORS["sd-inpaint"].calls(steps=50, prompt="", guidance=1) == 50
    assert {*DEFAULT_GENERATORS, *EXTRA_GENERATORS, *GRID_GENERATORS} <= set(GENERATORS)
