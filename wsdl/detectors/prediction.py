"""The return value of every detector and baseline."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    maps: np.ndarray  # float32 [n, h, w] in [0, 1], 1 = fake, at the detector's own resolution
    scores: np.ndarray  # float32 [n], higher = more fake


def scored_by_mean(maps: np.ndarray) -> Prediction:
    """`maps` [n, h, w] as a prediction whose scores are their means."""
    return Prediction(maps, np.array([float(np.mean(map_, dtype=np.float64)) for map_ in maps]))
