"""The training loop: which checkpoint becomes model.safetensors, and who may read it."""

import pytest
import torch

from wsdl.core.io import WsdlError
from wsdl.core.run import MODEL_FILE, Run
from wsdl.core.weights import load_model
from wsdl.training.loop import fit

NAN = float("nan")


def train(folder, validations: list[float], losses: dict[int, float] | None = None, **more) -> torch.nn.Module:
    """Train one weight for a step per value; `validations` are the results of the checks, one after each step.

    losses: factors of the loss at some steps.
    """
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    results = iter(validations)
    return fit(
        Run(folder, {"batch": 1}),
        model,
        # every step raises the weight
        lambda network, step, share: -network(torch.ones(1, 1)).sum() * (losses or {}).get(step, 1),
        lambda network, images: {"validation": next(results)},
        images=len(validations),
        batch=1,
        rate=0.1,
        check_every=1,
        **more,
    )


def weight(folder) -> float:
    return float(load_model(torch.nn.Linear(1, 1, bias=False), folder).weight)


@pytest.mark.parametrize(("validations", "best"), [([NAN, 2.0, 1.0], 2), ([1.0, NAN, 2.0], 0), ([2.0, 1.0, NAN], 1)])
def test_a_validation_loss_of_nan_never_wins(validations, best, tmp_path):
    train(tmp_path / "run", validations)
    train(tmp_path / "until_best", validations[: best + 1])
    assert weight(tmp_path / "run") == weight(tmp_path / "until_best") != 0


def test_a_training_loss_of_nan_never_wins(tmp_path):
    train(tmp_path / "run", [2.0, 1.0], losses={1: NAN})
    train(tmp_path / "before", [2.0])
    assert weight(tmp_path / "run") == weight(tmp_path / "before") != 0


@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_training_without_a_finite_validation_loss_fails(value, tmp_path):
    with pytest.raises(WsdlError, match="never finite"):
        train(tmp_path / "run", [value, value])
    assert not (tmp_path / "run" / MODEL_FILE).exists()


def test_the_learning_rate_falls_over_the_last_images(tmp_path):
    last_is_best = [4.0, 3.0, 2.0, 1.0]  # each step of Adam moves the weight by the learning rate
    train(tmp_path / "constant", last_is_best)
    train(tmp_path / "falling", last_is_best, rate_decay=0.5)
    assert weight(tmp_path / "constant") == pytest.approx(0.1 + 0.1 + 0.1 + 0.1)
    assert weight(tmp_path / "falling") == pytest.approx(0.1 + 0.1 + 0.1 + 0.05)


def test_weights_are_as_readable_as_other_files(tmp_path):
    train(tmp_path / "run", [1.0])
    modes = {name: (tmp_path / "run" / name).stat().st_mode for name in (MODEL_FILE, "config.json")}
    assert modes[MODEL_FILE] == modes["config.json"]
