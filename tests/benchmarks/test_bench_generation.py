"""`bench generation`: what is compared does the same work: the same calls, and without jumps the same images."""

import io

import numpy as np
import pandas as pd
import pytest
from factories import tiny_unet
from helpers import run_command

from wsdl.benchmarks import generation
from wsdl.core.io import WsdlError
from wsdl.generators.diffusion.p2 import P2
from wsdl.generators.diffusion.repaint import repaint_calls

RNG = np.random.default_rng(0)


@pytest.fixture(params=["x0", "noise"])
def weights(request, p2, tmp_path):
    """A network that predicts x0, as those of wsdl, and one that predicts the noise, in the layout of diffusers."""
    if request.param == "noise":
        tiny_unet(size=32).save_pretrained(tmp_path / "unet")
    return p2 if request.param == "x0" else tmp_path


def pair(weights, part, n=1):
    images, masks = RNG.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.zeros((n, 32, 32), np.uint8)
    masks[:, 4:20, 8:30] = 1
    both = generation.with_diffusers, generation.with_wsdl
    return [make(weights, images, masks, part)() for make in both], images, masks


def test_without_jumps_both_make_the_same_image(weights):
    (theirs, ours), images, masks = pair(weights, (10, 1, 1))
    assert np.abs(theirs.astype(int) - ours).max() <= 1  # grey levels
    assert (ours != images)[masks == 1].mean() > 0.9


def test_known_pixels_are_the_originals_in_both(weights):
    (theirs, ours), images, masks = pair(weights, (4, 2, 2), n=2)
    for made in (theirs, ours):
        assert np.array_equal(made[masks == 0], images[masks == 0])
        assert (made != images)[masks == 1].mean() > 0.9


def test_both_call_the_network_as_often(weights, monkeypatch):
    called = {"theirs": 0, "ours": 0}

    def counted(name, method):
        def call(*arguments):
            called[name] += 1
            return method(*arguments)

        return call

    monkeypatch.setattr(generation.PlainNoise, "forward", counted("theirs", generation.PlainNoise.forward))
    monkeypatch.setattr(P2, "noise", counted("ours", P2.noise))
    pair(weights, (10, 3, 2), n=2)
    assert set(called.values()) == {repaint_calls(10, 3, 2)}


def test_the_command_prints_rates_and_their_ratio(p2):
    words = "bench", "generation", "--weights", p2, "--schedule", "4/2/2", "--batch", "2", "--seconds", "0.001"
    row = pd.read_csv(io.StringIO(run_command(*words)), sep=r"\s+").iloc[0]
    assert (row["size"], row.schedule, row.calls, row.known) == (32, "4/2/2", repaint_calls(4, 2, 2), 0)
    assert row.ratio == pytest.approx(row.wsdl / row.diffusers, rel=0.05)


def test_wrong_words_are_named(p2):
    with pytest.raises(WsdlError, match="--seconds: is 0, but must be above 0"):
        generation.bench_generation(p2, "4/2/2", seconds=0)
    with pytest.raises(WsdlError, match=r"^--schedule: has '4/2', but must have T/jump_length/resamplings"):
        generation.bench_generation(p2, "4/2")
