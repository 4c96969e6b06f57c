"""Fakes by LaMa and Pluralistic in a dataset folder: the regions of repaint-p2, resumable, by command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from factories import Fills, inpainter_run, p2_run
from helpers import tree
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError, read_json
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.masks import read_mask
from wsdl.generators.inpainting import inpainter as module
from wsdl.generators.inpainting.inpainter import NETWORKS
from wsdl.generators.write_fakes import generate_partial

COUNT = 20


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: inpainter_run(folder / name, name, size=32) for name in NETWORKS}


@pytest.fixture(scope="module")
def made(faces, weights, tmp_path_factory) -> Path:
    """A dataset with 20 fakes each by repaint-p2, LaMa and Pluralistic."""
    out = shutil.copytree(faces, tmp_path_factory.mktemp("made") / "data")
    p2 = p2_run(out.parent / "p2", size=32)
    generate_partial("repaint-p2", out, out, p2, COUNT, 0, batch=8, T=4, jump_length=1, resamplings=1)
    for name in NETWORKS:
        generate_partial(name, out, out, weights[name], COUNT, 0, batch=8)
    return out


def test_all_generators_inpaint_the_same_masks(made):
    table = Dataset(made).select(kind="partial")
    assert table.generator.value_counts().to_dict() == {"repaint-p2": COUNT, "lama": COUNT, "pluralistic": COUNT}
    for row in table[table.generator == "repaint-p2"].itertuples():
        inpainted = [read_image(made / row.path)]
        for name in NETWORKS:
            assert (made / row.mask.replace("repaint-p2", name)).read_bytes() == (made / row.mask).read_bytes()
            inpainted.append(read_image(made / row.path.replace("repaint-p2", name)))
        inside = read_mask(made / row.mask) == 1
        assert all(np.array_equal(inpainted[0][~inside], other[~inside]) for other in inpainted[1:])
        assert not any(np.array_equal(inpainted[a][inside], inpainted[b][inside]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_fakes_are_their_faces_but_for_their_masks(made):
    dataset = Dataset(made)
    real = dataset.select(kind="real").set_index("source_id")
    for row in dataset.select(generator="lama").itertuples():
        face, mask = read_image(made / real.loc[row.source_id].path), read_mask(made / row.mask)
        fake = read_image(made / row.path)
        assert np.array_equal(fake[mask == 0], face[mask == 0])
        assert (fake != face).any(axis=-1)[mask == 1].mean() > 0.5


def test_a_larger_count_and_a_gap_end_in_the_same_bytes(faces, made, weights, tmp_path):
    grown = shutil.copytree(faces, tmp_path / "grown")
    shutil.copytree(made / "fake/repaint-p2", grown / "fake/repaint-p2")
    for name in NETWORKS:
        generate_partial(name, grown, grown, weights[name], 5, 0, batch=8)
        next((grown / "fake" / name / "images").rglob("*.png")).unlink()
        generate_partial(name, grown, grown, weights[name], COUNT, 0, batch=8)
        assert tree(grown / "fake" / name) == tree(made / "fake" / name)
    assert tree(grown / "fake") == tree(made / "fake")


def test_nothing_is_done_twice_and_made_by_is_complete(made, weights, tmp_path, monkeypatch):
    again = shutil.copytree(made, tmp_path / "again")
    monkeypatch.setattr(module, "load_inpainter", lambda *_: pytest.fail("the network was loaded for nothing"))
    generate_partial("lama", again, again, weights["lama"], COUNT, 0, batch=8)
    assert tree(again) == tree(made)
    commands = [entry["command"] for entry in read_json(made / "dataset.json")["made_by"]]
    assert commands[1:] == [
        f"python -m wsdl generate {name} --count {COUNT} --seed 0" for name in ("repaint-p2", *NETWORKS)
    ]


def test_the_recipe_keeps_other_weights_and_seeds_out(made, weights, tmp_path):
    other = inpainter_run(tmp_path / "other", "lama", size=32, seed=1)
    before = tree(made)
    with pytest.raises(WsdlError, match=r"fake/lama: .*weights = "):
        generate_partial("lama", made, made, other, COUNT, 0, batch=8)
    with pytest.raises(WsdlError, match=r"fake/lama: .*seed.* 0.* 1"):
        generate_partial("lama", made, made, weights["lama"], COUNT, 1, batch=8)
    assert tree(made) == before


def test_another_seed_gives_pluralistic_other_fillings(faces, made, weights, tmp_path):
    """The regions are drawn anew too, but skin and hair do not grow: their masks are the same."""
    generate_partial("pluralistic", faces, tmp_path / "other", weights["pluralistic"], 40, 1, batch=8)
    shared = set(Dataset(tmp_path / "other").table.path) & set(Dataset(made).table.path)
    shared = [path for path in shared if "-skin" in path or "-hair" in path]
    assert shared
    for path in shared:
        mask = path.replace("images", "masks")
        assert (made / mask).read_bytes() == (tmp_path / "other" / mask).read_bytes()
        assert (made / path).read_bytes() != (tmp_path / "other" / path).read_bytes()


def test_what_does_not_fit_is_refused_before_anything_is_written(faces, weights, tmp_path):
    small = inpainter_run(tmp_path / "small", "lama", size=16)
    message = r"^\S*data: has images of 32 px, but \S*small generates 16 px; prepare the data with --size 16, or .*\.$"
    with pytest.raises(WsdlError, match=message):
        generate_partial("lama", faces, tmp_path / "out", small, 4, 0)
    with pytest.raises(WsdlError, match=r"lama, not .*pluralistic"):
        generate_partial("pluralistic", faces, tmp_path / "out", weights["lama"], 4, 0)
    assert not (tmp_path / "out").exists()
    bare = shutil.copytree(faces, tmp_path / "bare")
    shutil.rmtree(bare / "components")
    with pytest.raises(WsdlError, match="component mask"):
        generate_partial("lama", bare, bare, weights["lama"], 4, 0)


def test_a_full_size_lama_inpaints_faces_of_any_size(faces, tmp_path):
    import torch

    torch.jit.script(Fills()).save(tmp_path / "big-lama.pt")
    generate_partial("lama", faces, tmp_path / "out", tmp_path / "big-lama.pt", 3, 0, batch=4)
    for row in Dataset(tmp_path / "out").table.itertuples():
        inside = read_mask(tmp_path / "out" / row.mask) == 1
        assert (read_image(tmp_path / "out" / row.path)[inside] == 51).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_by_command(name, faces, tmp_path):
    def run(*words) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stderr

    run("train-generator", name, "--data", faces, "--out", tmp_path / "run", "--images", 16, "--seed", 3)
    assert read_json(tmp_path / "run" / "config.json")["seed"] == 3
    options = ("--data", faces, "--weights", tmp_path / "run", "--count", 3, "--seed", 0, "--batch", 4)
    said = run("generate", name, *options, "--out", tmp_path / "out")
    assert f"{name}: 3 images to make, 1 network call each; in batches of 4 that is 1 call, about" in said
    assert " s per image." in said
    assert Dataset(tmp_path / "out").table.generator.tolist() == [name] * 3
