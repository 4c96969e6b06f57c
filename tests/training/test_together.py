"""Two processes train one network, as under torchrun: to the result of one process, and they end together."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from children import run_main
from factories import TINY_PROFILE
from helpers import run_command, wait_until
from safetensors.numpy import load_file
from torchrun import SOON, run_together, started_together, wait_for_end

from wsdl.core.device import seed_torch
from wsdl.core.io import read_json, write_json
from wsdl.core.run import MODEL_FILE, read_stats
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch
from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining, train_autoencoder
from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter
from wsdl.parsing.train import ParserTraining, train_parser
from wsdl.training.together import make_accelerator, share_batch_statistics

MIL = {"input_size": 48, "images": 48, "batch": 4, "check_every": 8, "warm_up_images": 4, "label_images": 8,
       "pseudo_labels": 0.5}  # fmt: skip
PROFILE = TINY_PROFILE | {
    "generator": {"images": 64, "channels": [16, 32], "batch": 8, "check_every": 16},
    "patches": {"input_size": 48, "images": 64, "batch": 8, "check_every": 32},
    "patches_mil": MIL,
}
COMMANDS = {
    "patches": "train --method patches --setup b --data {data} --profile {profile}",
    "self-training": "train --method patches-mil --setup b --data {data} --profile {profile}",
    "p2": "train-generator p2 --data {data} --profile {profile}",
}
COMMON = {"images": 16, "batch": 4, "check_every": 8}
TRAINERS = {
    "autoencoder": lambda data, out: train_autoencoder(
        data, out, AutoencoderTraining(**COMMON, widths=(8, 8, 8), ema_decay=0.9)
    ),
    "parser": lambda data, out: train_parser([data], out, ParserTraining(**COMMON, widths=(8, 16, 24, 32))),
    "lama": lambda data, out: train_inpainter("lama", data, out, INPAINTER),
    "pluralistic": lambda data, out: train_inpainter("pluralistic", data, out, INPAINTER),
}
INPAINTER = InpainterTraining(**COMMON, width=64, blocks=1)


def train_small(words: str, log: Path) -> None:
    """`words`: a name in TRAINERS, the dataset, and where to write the run."""
    name, data, out = words.split()
    TRAINERS[name](Path(data), Path(out))
    log.touch()


def write_gradients(method: str, log: Path) -> None:
    """Write the gradient of one step, and the batch statistics, to the log with the ending .pt.

    The batch has masks with unknown pixels, as many in one image as in none of another: a mean over each share differs.
    """
    seed_torch(0)
    accelerator = make_accelerator(batch=8)
    model = share_batch_statistics(build_detector(method, "c", input_size=48)).train()
    images = torch.randint(256, (8, 48, 48, 3), dtype=torch.uint8)
    masks = torch.randint(2, (8, 48, 48), dtype=torch.uint8)
    masks[1::2, 10:] = 2 if method == "patches-mil" else 1
    share = slice(accelerator.process_index, None, accelerator.num_processes)
    wrapped = accelerator.prepare(model)
    accelerator.backward(wrapped(Batch(images[share], torch.ones(8, dtype=torch.long), masks)))
    gradient = {name: parameter.grad for name, parameter in model.named_parameters()}
    torch.save({"gradient": gradient, "batch statistics": dict(model.named_buffers())}, log.with_suffix(".pt"))
    log.touch()


@pytest.mark.parametrize("method", ["patches", "patches-mil", "attention"])
def test_two_processes_have_the_gradient_of_one(method, tmp_path):
    write_gradients(method, tmp_path / "one.log")
    assert run_together(tmp_path, write_gradients, method) == ([0, 0], ["", ""])
    one, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("one", "rank-0", "rank-1"))
    assert all(torch.equal(first[kind][name], second[kind][name]) for kind in first for name in first[kind])
    for kind in ("gradient", "batch statistics"):
        ours, theirs = (torch.cat([v.double().ravel() for v in found[kind].values()]) for found in (one, first))
        # Rounding turns the sign of an activation near 0 now and then, so gradients differ by up to 3e-3.
        assert (ours - theirs).norm() < (1e-2 if kind == "gradient" else 1e-5) * ours.norm()


@pytest.fixture(scope="module")
def fill(dataset, tmp_path_factory):
    """Fill in the paths of a command."""
    profile = tmp_path_factory.mktemp("profile") / "tiny.json"
    write_json(profile, PROFILE)
    return lambda command: command.format(data=dataset, profile=profile)


def losses(run: Path) -> np.ndarray:
    """Every number of stats.jsonl, one row for each check."""
    return np.array([list(line.values()) for line in read_stats(run)])


def difference(one: Path, two: Path) -> float:
    """The distance of the weights of two runs, as a fraction of their length."""
    first, second = (np.concatenate([v.ravel() for v in load_file(run / MODEL_FILE).values()]) for run in (one, two))
    return float(np.linalg.norm(first - second) / np.linalg.norm(first))


@pytest.mark.parametrize("name", COMMANDS)
def test_two_processes_train_as_one(name, fill, tmp_path):
    command = fill(COMMANDS[name])
    run_command(*f"{command} --out {tmp_path}/one".split())
    assert run_together(tmp_path / "logs", run_main, f"{command} --out {tmp_path}/two")[0] == [0, 0]
    # Adam makes a full step where a gradient is all rounding. In self-training such a step moves a region by a pixel.
    exact = name == "p2"
    assert difference(tmp_path / "one", tmp_path / "two") < (1e-5 if exact else 3e-3)
    assert np.abs(losses(tmp_path / "one") - losses(tmp_path / "two")).max() < (1e-5 if exact else 0.03)
    assert read_json(tmp_path / "two" / "run.json")["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINERS)
def test_two_processes_train_every_network_as_one(name, faces, tmp_path):
    train_small(f"{name} {faces} {tmp_path}/one", tmp_path / "log")
    assert run_together(tmp_path / "logs", train_small, f"{name} {faces} {tmp_path}/two")[0] == [0, 0]
    assert difference(tmp_path / "one", tmp_path / "two") < 1e-3
    ours, theirs = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert np.abs(ours - theirs).max() < 1e-2 * np.abs(ours).max()


@pytest.mark.parametrize("first", [1, 2])
def test_a_checkpoint_of_one_resumes_in_two_and_back(first, fill, tmp_path):
    def train(processes: int, images: int, name: str) -> None:
        command = f"{fill(COMMANDS['p2'])} --images {images} --out {tmp_path}/{name}"
        if processes == 1:
            run_command(*command.split())
        else:
            assert run_together(tmp_path / "logs", run_main, command)[0] == [0, 0]

    train(first, 16, "run")
    train(3 - first, 32, "run")
    train(1, 32, "whole")
    assert difference(tmp_path / "run", tmp_path / "whole") < 1e-5
    assert np.abs(losses(tmp_path / "run") - losses(tmp_path / "whole")).max() < 1e-5


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_other(killed, fill, tmp_path):
    """Without torchrun, which would end it, too."""
    command = f"{fill(COMMANDS['p2'])} --images 100000 --out {tmp_path}/run"
    with started_together(tmp_path, run_main, command) as processes:
        wait_until(lambda: (tmp_path / "run" / "trainer.pt").exists(), SOON)
        processes[killed].kill()
        codes, logs = wait_for_end(tmp_path, processes)
    assert codes[killed] == -9
    assert codes[1 - killed] == 1
    _, _, said = logs[1 - killed].partition("wsdl: ")  # a progress bar may stand before it
    assert said == (
        f"{tmp_path}/run: one of its 2 processes has ended; run the same command again to resume from the last "
        f"checkpoint.\n"
    )


def test_an_error_of_all_is_said_once(fill, tmp_path):
    command = f"{fill(COMMANDS['p2'])} --out {tmp_path}/run"
    codes, logs = run_together(tmp_path, run_main, command, count=3)
    assert codes == [1, 1, 1]
    assert "".join(logs) == (
        "wsdl: batch: is 8, which 3 processes cannot share equally; start torchrun with a --nproc-per-node that "
        "divides it, or change the batch size in the profile.\n"
    )


@pytest.mark.slow
def test_torchrun_ends_when_a_process_is_killed(fill, tmp_path):
    command = f"{fill(COMMANDS['p2'])} --images 100000 --out {tmp_path}/run"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "wsdl"]
    process = subprocess.Popen([*torchrun, *command.split()], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: (tmp_path / "run" / "trainer.pt").exists(), SOON)
        os.kill(int(child_of(process.pid)), signal.SIGKILL)
        _, messages = process.communicate(timeout=SOON)
    finally:
        process.kill()
    assert process.returncode == 1
    assert sum(line.startswith("wsdl: ") for line in messages.splitlines()) == 1


def child_of(pid: int) -> str:
    """The last process that `pid` has started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1]
