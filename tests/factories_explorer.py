"""A small explorer: four images, two maps each."""

import numpy as np

from wsdl.evaluation.metrics import upsample
from wsdl.explorer import Explorer, explore

SIZE = 32


def explorer_arrays() -> dict:
    """Four pictures at 32 px: two partial fakes, a real one, a full fake; a map of their size and one of 8 px."""
    rng = np.random.default_rng(0)
    images = np.zeros((4, SIZE, SIZE, 3), np.uint8)
    images[:] = np.array([[200, 120, 40], [30, 60, 90], [240, 240, 240], [10, 20, 10]])[:, None, None]
    masks = np.zeros((4, SIZE, SIZE), np.uint8)
    masks[0, 4:20, 6:18] = masks[1, 20:, :9] = masks[3] = 1
    fine = np.clip(masks * 0.5 + rng.random((4, SIZE, SIZE)) * 0.6, 0, 1).astype(np.float32)
    fine[:, :4, :4] = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1)), 0.0, 1.0])[:, None, None]
    return {
        "images": images,
        "maps": {"setup C": fine, "10": rng.random((4, 8, 8)).astype(np.float32)},
        "masks": masks,
        "scores": {"setup C": [0.9, 0.3, 0.1, 0.7]},
        "labels": ["partial fake", "partial fake", "real", "full fake"],
        "components": ["nose", "hair", "", "mouth"],
        "names": ["a<b>", "b", "c", "d"],
    }


def small_explorer(**more) -> Explorer:
    return explore(**{**explorer_arrays(), **more})


GIVEN = explorer_arrays()


FULL = {name: np.array([upsample(m, (SIZE, SIZE)) for m in maps]) for name, maps in GIVEN["maps"].items()}


ZOOM = 512 // SIZE  # canvas pixels of a picture pixel where there is one panel
