"""`bench profile` and the limit of `bench detectors`: known work gets its own column and its own count."""

import io

import pandas as pd
import pytest
import torch
from helpers import run_command

from wsdl.benchmarks import detectors, step_profile
from wsdl.benchmarks.timing import matrix_rate


def largest(loop) -> str:
    shares = step_profile.profile_loop(loop)
    assert sum(shares.values()) == pytest.approx(100)
    return max(shares, key=shares.get)


@pytest.mark.parametrize(("layer", "kind"), [
    (torch.nn.Conv2d(64, 64, 3, padding=1), "convolution"),
    (torch.nn.Conv2d(64, 1, 5, padding=2), "convolution"),
    (torch.nn.Conv2d(64, 64, 5, padding=2, groups=64), "depthwise"),
    (torch.nn.BatchNorm2d(64), "normalisation"),
    (torch.nn.ReLU(), "elementwise"),
])  # fmt: skip
def test_known_work_is_in_its_own_column(layer, kind):
    x = torch.rand(8, 64, 48, 48, requires_grad=True)
    gradient = torch.ones_like(layer(x))
    assert largest(lambda: layer(x).backward(gradient)) == kind


def test_the_steps_of_an_optimizer_are_its_own():
    parameter = torch.nn.Parameter(torch.rand(300, 300))
    parameter.grad = torch.rand(300, 300)
    optimizer = torch.optim.Adam([parameter])
    assert largest(optimizer.step) == "optimizer"
    assert largest(parameter.clone) == "copies"


def test_the_command_prints_a_row_for_each_work(monkeypatch):
    monkeypatch.setattr("wsdl.commands.bench.METHODS", ("attention",))
    monkeypatch.setattr(detectors, "INPUT", 64)
    table = pd.read_csv(io.StringIO(run_command("bench", "profile", "--batch", "2")), sep=r"\s+")
    assert tuple(table.columns) == step_profile.PROFILE_COLUMNS
    assert table.iloc[:, 2:].sum(axis=1).to_numpy() == pytest.approx(100, abs=0.4)
    assert (table.optimizer > 0).tolist() == (table.work == "training").tolist()


def test_the_limit_is_that_of_the_operations_counted_by_hand(monkeypatch):
    """Of one 1 x 1 convolution from 3 to 8 channels at 64 px."""

    class One(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 8, 1)

        def forward(self, batch):
            return self.layer(torch.zeros(len(batch.images), 3, 64, 64)).sum()

    monkeypatch.setattr(detectors, "INPUT", 64)
    monkeypatch.setattr(detectors, "build_detector", lambda *_: One())
    assert detectors._operations("one", "b") == 2 * 64 * 64 * 3 * 8


def test_training_counts_as_three_predictions(monkeypatch):
    monkeypatch.setattr(detectors, "INPUT", 64)
    monkeypatch.setattr(detectors, "matrix_rate", lambda: 1e12)
    table = detectors.bench_detectors(("patches",), batch=2, seconds=0.01).set_index("work")
    operations = 1e12 / (table.limit * table.plain)
    assert operations.training / operations.prediction == pytest.approx(3, rel=0.1)
    assert 1e9 < matrix_rate(512) < 1e15
