"""Training and generation killed with SIGKILL in the middle, then run again: the same bytes as if undisturbed.

The killed processes are forked from one server that has imported torch already: that import takes seconds.
"""

import shutil
from pathlib import Path

import pytest
import torch
from factories import inpainter_run, p2_run
from helpers import kill_when, tree
from safetensors.torch import load_file

from wsdl.config import P2Training
from wsdl.core.io import WsdlError, read_json
from wsdl.core.run import MODEL_FILE, is_done, read_stats
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.p2 import P2
from wsdl.generators.diffusion.train_p2 import train_p2
from wsdl.generators.diffusion.weights import load_unet, unet_fingerprint
from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter
from wsdl.generators.write_fakes import generate_full, generate_partial

TRAINING = {"images": 16, "channels": (16, 32), "batch": 4, "check_every": 8}


def pictures_in(folder: Path) -> int:
    return len(list(folder.rglob("[!.]*.png")))


def test_a_killed_training_ends_as_an_undisturbed_one(processes, faces, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = processes.Process(target=train_p2, args=(faces, killed, P2Training(**TRAINING)))
    kill_when(process, (killed / "trainer.pt").exists)
    assert not is_done(killed)

    resumed = train_p2(faces, killed, P2Training(**TRAINING))
    train_p2(faces, whole, P2Training(**TRAINING))
    assert is_done(killed)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (killed / "stats.jsonl").read_text() == (whole / "stats.jsonl").read_text()
    assert [line["images"] for line in read_stats(killed)] == [8, 16]
    assert tree(killed / "samples") == tree(whole / "samples")

    # What train_p2 returns is what it saved: the averaged weights, not the last raw ones.
    saved = P2(*load_unet(killed))
    assert (resumed.sample(2, 0, steps=3) == saved.sample(2, 0, steps=3)).all()


def test_killed_generators_end_as_undisturbed_ones(processes, faces, tmp_path):
    weights = p2_run(tmp_path / "p2", size=32)
    killed, whole = (shutil.copytree(faces, tmp_path / name) for name in ("killed", "whole"))
    full = {"args": (killed, weights, 30, 0), "kwargs": {"steps": 8, "batch": 4}}
    partial = {
        "args": ("repaint-p2", killed, killed, weights, 18, 0),
        "kwargs": {"batch": 4, "T": 10, "jump_length": 2, "resamplings": 2},
    }
    for generate, call, folder in ((generate_full, full, "p2"), (generate_partial, partial, "repaint-p2")):
        kill_when(
            processes.Process(target=generate, **call),
            lambda: pictures_in(killed / "fake" / folder) >= 6,  # noqa: B023
        )
        assert len(Dataset(killed).select(generator=folder)) == 0  # opens, as it was
        generate(*call["args"], **call["kwargs"])
        generate(*[whole if value == killed else value for value in call["args"]], **call["kwargs"])
        assert tree(killed) == tree(whole)
    assert len(Dataset(killed).table) == 24 + 30 + 18


@pytest.mark.parametrize("name", ["lama", "pluralistic"])
def test_a_killed_inpainter_ends_as_an_undisturbed_one(processes, faces, tmp_path, name):
    """Painter, critic and both of their Adams go on from the checkpoint."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    settings = InpainterTraining(images=24, width=64, blocks=1, batch=4, check_every=8)
    process = processes.Process(target=train_inpainter, args=(name, faces, killed, settings))
    kill_when(process, (killed / "trainer.pt").exists)
    assert not is_done(killed)
    for out in (killed, whole):
        train_inpainter(name, faces, out, settings)
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (killed / "stats.jsonl").read_text() == (whole / "stats.jsonl").read_text()
    assert tree(killed / "samples") == tree(whole / "samples")


def test_killed_inpainting_ends_as_undisturbed_inpainting(processes, faces, tmp_path):
    weights = inpainter_run(tmp_path / "pluralistic", "pluralistic", size=32)
    killed, whole = (shutil.copytree(faces, tmp_path / name) for name in ("killed", "whole"))
    rest, batch = (weights, 60, 0), {"batch": 2}
    process = processes.Process(target=generate_partial, args=("pluralistic", killed, killed, *rest), kwargs=batch)
    kill_when(process, lambda: pictures_in(killed / "fake") >= 4)
    assert len(Dataset(killed).select(generator="pluralistic")) == 0  # opens, as it was
    for data in (killed, whole):
        generate_partial("pluralistic", data, data, *rest, **batch)
    assert tree(killed) == tree(whole)


def test_a_training_begins_from_the_weights_it_is_given(faces, tmp_path):
    start = p2_run(tmp_path / "start", size=32, seed=1)
    still = TRAINING | {"images": 4, "channels": tuple(read_json(start / "config.json")["channels"]), "rate": 0.0}
    train_p2(faces, tmp_path / "on", P2Training(**still), start=start)
    train_p2(faces, tmp_path / "new", P2Training(**still))
    assert same_weights(tmp_path / "on", start)  # a rate of nothing leaves them as they were
    assert not same_weights(tmp_path / "new", start)
    assert read_json(tmp_path / "on" / "config.json")["start"] == unet_fingerprint(start)


def test_weights_of_another_shape_are_refused_as_a_start(faces, tmp_path):
    start = p2_run(tmp_path / "start", size=32)
    with pytest.raises(WsdlError, match=r"start: .*channels .*\[16, 32, 48\]"):
        train_p2(faces, tmp_path / "run", P2Training(**TRAINING | {"channels": (16, 32, 48)}), start=start)
    with pytest.raises(WsdlError, match=r"empty: .*weights"):
        train_p2(faces, tmp_path / "run", P2Training(**TRAINING), start=tmp_path / "empty")
    assert not (tmp_path / "run").exists()


def same_weights(one: Path, other: Path) -> bool:
    one, other = (load_file(run / MODEL_FILE) for run in (one, other))
    return all(torch.equal(one[name], other[name]) for name in other)
