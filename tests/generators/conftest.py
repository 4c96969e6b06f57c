"""Fixtures of the tests of generators."""

from pathlib import Path

import numpy as np
import pytest
from factories import SIZE, p2_run


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A run of P2 with random weights, for faces of 32 px."""
    return p2_run(tmp_path_factory.mktemp("weights") / "p2", size=32)


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """A hole on the left, at the top, and nowhere."""
    masks = np.zeros((3, SIZE, SIZE), np.uint8)
    masks[0, :, :6], masks[1, :5] = 1, 1
    return masks
