"""Training the small P2 model: what it returns, and from which weights it starts."""

from pathlib import Path

import pytest
import torch
from factories import p2_run
from safetensors.torch import load_file

from wsdl.config import P2Training
from wsdl.core.io import WsdlError, read_json
from wsdl.core.run import MODEL_FILE
from wsdl.generators.diffusion.p2 import P2
from wsdl.generators.diffusion.train_p2 import train_p2
from wsdl.generators.diffusion.weights import load_unet, unet_fingerprint

pytestmark = pytest.mark.slow

TRAINING = {"images": 16, "channels": (16, 32), "batch": 4, "check_every": 8}


def test_the_returned_generator_holds_the_saved_weights(faces, tmp_path):
    """The averaged weights, not the last raw ones."""
    trained = train_p2(faces, tmp_path, P2Training(**TRAINING))
    saved = P2(*load_unet(tmp_path))
    assert (trained.sample(2, 0, steps=3) == saved.sample(2, 0, steps=3)).all()


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
