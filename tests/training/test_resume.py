"""A training that was interrupted or killed ends as one that was not, for every trainer."""

import multiprocessing
from pathlib import Path

import pytest
from accelerate import Accelerator
from helpers import kill_when, tree

from wsdl.config import P2Training, PatchesMilTraining, Training
from wsdl.core.run import is_done, read_stats
from wsdl.generators.diffusion import train_ldm as train_ldm_module
from wsdl.generators.diffusion import train_p2 as train_p2_module
from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining, train_autoencoder
from wsdl.generators.diffusion.train_ldm import LDMTraining, train_ldm
from wsdl.generators.diffusion.train_p2 import train_p2
from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter
from wsdl.parsing.train import ParserTraining, train_parser
from wsdl.training import pasting
from wsdl.training.detector import train_detector

pytestmark = pytest.mark.slow

COMMON = {"images": 16, "batch": 4, "check_every": 8}
AUTOENCODER = AutoencoderTraining(**COMMON, widths=(8, 8, 8), rate=3e-3, ema_decay=0.9)
INPAINTER = InpainterTraining(**COMMON, width=64, blocks=1)
PARSER = ParserTraining(**COMMON, widths=(8, 16, 24, 32), rate=5e-3, ema_decay=0.95)
DETECTOR = Training(input_size=48, images_c=160, batch_c=8, check_every=32)
# Warm-up, labels and cut and paste within 24 images; self-training begins at the first checkpoint.
MIL = PatchesMilTraining(input_size=48, images=24, batch=4, check_every=8, warm_up_images=4, label_images=8)
TRAINERS = ("detector", "self-training", "p2", "autoencoder", "ldm", "lama", "pluralistic", "parser")


@pytest.fixture(scope="module")
def autoencoder(faces, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("autoencoder") / "run"
    train_autoencoder(faces, out, AUTOENCODER)
    return out


def train_briefly(name: str, out: Path, faces: Path, dataset: Path, autoencoder: Path) -> None:
    if name == "detector":
        train_detector(
            "patches",
            "c",
            dataset,
            out,
            seed=0,
            settings=Training(input_size=48, images_c=64, batch_c=8, check_every=32),
        )
    elif name == "self-training":
        train_detector("patches-mil", "b", dataset, out, seed=0, settings=MIL)
    elif name == "p2":
        train_p2(faces, out, P2Training(**COMMON, channels=(16, 32)))
    elif name == "autoencoder":
        train_autoencoder(faces, out, AUTOENCODER)
    elif name == "ldm":
        train_ldm(faces, autoencoder, out, LDMTraining(**COMMON, widths=(16, 32)))
    elif name == "parser":
        train_parser([faces], out, PARSER)
    else:
        train_inpainter(name, faces, out, INPAINTER)


def interrupt_after_checkpoint(patch: pytest.MonkeyPatch, run: Path) -> None:
    """Raise KeyboardInterrupt at the second backward pass after the first checkpoint of `run`."""
    backward, passes = Accelerator.backward, []

    def interrupting(self, *args, **more):
        if (run / "trainer.pt").exists():
            passes.append(1)
            if len(passes) == 2:
                raise KeyboardInterrupt
        return backward(self, *args, **more)

    patch.setattr(Accelerator, "backward", interrupting)


def files_of(run: Path) -> dict[str, bytes]:
    """Every file of a run, but for run.json (times), trainer.pt and what a kill left half written (`.*.part`)."""
    return {
        name: data
        for name, data in tree(run).items()
        if name not in ("run.json", "trainer.pt") and not name.startswith(".")
    }


@pytest.mark.parametrize("name", TRAINERS)
def test_an_interrupted_training_ends_as_any_other(name, faces, dataset, autoencoder, tmp_path, monkeypatch):
    for module in (train_p2_module, train_ldm_module):
        monkeypatch.setattr(module, "SAMPLES", 2)
    monkeypatch.setattr(pasting, "LEARNED", 9.0)
    others = (faces, dataset, autoencoder)
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after_checkpoint(patch, stopped)
        with pytest.raises(KeyboardInterrupt):
            train_briefly(name, stopped, *others)
    assert not is_done(stopped)
    assert len(read_stats(stopped)) == 1
    for out in (stopped, whole):
        train_briefly(name, out, *others)
    assert is_done(stopped)
    assert len(read_stats(stopped)) == len(read_stats(whole)) > 1
    assert files_of(stopped) == files_of(whole)


def test_a_killed_training_ends_as_any_other(dataset, tmp_path):
    """SIGKILL, at any moment: no file is half written."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["wsdl.training.detector", "wsdl.detectors.patches"])
    process = processes.Process(target=train_detector, args=("patches", "c", dataset, killed, 0, DETECTOR))
    kill_when(process, lambda: len(read_stats(killed)) >= 2)
    assert not is_done(killed)
    for out in (killed, whole):
        train_detector("patches", "c", dataset, out, 0, DETECTOR)
    assert is_done(killed)
    assert files_of(killed) == files_of(whole)
