"""Control rows: maps that know nothing, scored by the same code as a detector.

A method below these has learned nothing. Each control is a function (picture's number, (H, W)) -> float32 [H, W] in
[0, 1]; none looks at the picture.
"""

import numpy as np

from wsdl.core.io import seed_for

PRIOR_AREA = 0.19  # of the centre prior above 0.5: the mean mask area of the paper's test set


def all_fake(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Every pixel is fake. IoU is the area of the mask, PBCA too."""
    return np.ones(shape, np.float32)


def all_real(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Every pixel is real. IoU is 0 (of a partial fake), PBCA is one minus the area of the mask."""
    return np.zeros(shape, np.float32)


def random_map(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Uniform noise, another for each picture, the same at each call. PBCA is about .5."""
    return np.random.default_rng(seed_for("random control", number)).random(shape, np.float32)


def centre_prior(number: int, shape: tuple[int, int]) -> np.ndarray:
    """A smooth blob in the middle, where faces are, always the same; 0.5 on an ellipse of PRIOR_AREA of the picture."""
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in shape)
    squared = (y[:, None] ** 2 + x[None, :] ** 2) * np.pi / PRIOR_AREA  # 1 on the ellipse
    return (0.5**squared).astype(np.float32)


def mean_score(map_: np.ndarray) -> float:
    """The score of a control: the mean of its map. All but `random` are constant, so their balanced AP is .5."""
    return float(np.mean(map_, dtype=np.float64))


def row_kind(method: str) -> str:
    """The kind of a table's row: "detector", "trivial" (a baseline that ignores the image) or "forensic"."""
    kinds = {"control": "trivial", "forensic": "forensic"}
    return kinds.get(method.partition(":")[0], "detector")


def row_label(method: str) -> str:
    """The text shown for a row name in a file: "control: centre-prior" -> "baseline: centre prior"; detectors as is."""
    if row_kind(method) == "detector":
        return method
    name = method.partition(": ")[2]
    shown = {"centre-prior": "centre prior", "ela": "ELA"}
    return f"baseline: {shown.get(name, name)}"


TRIVIAL_BASELINES = {"all-fake": all_fake, "all-real": all_real, "random": random_map, "centre-prior": centre_prior}
