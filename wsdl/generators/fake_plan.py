"""Which fakes to make: endless lists, in which item i depends on the seed and the real faces, never on the count."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, seed_for
from wsdl.data.masks import visible_components


@dataclass(frozen=True)
class Fake:
    """One fake to make: where it goes (paths in the dataset) and, if it is partial, which face it repaints."""

    path: str
    split: str
    source_id: str
    mask: str = ""
    component: str = ""
    use: int = 0  # how often this component of this face was repainted before
    face: object = None  # its row in the manifest of the real faces


def full_plan() -> Iterator[Fake]:
    """The full fakes, without end: item i goes to valid where i ends in 9, else to train."""
    for i in count():
        split = "valid" if i % 10 == 9 else "train"
        yield Fake(f"fake/p2/{split}/{i:06d}.png", split, f"p2/{i:06d}")


def partial_plan(faces: pd.DataFrame, labels: Callable, seed: int, generator: str = "repaint-p2") -> Iterator[Fake]:
    """The partial fakes, without end: round after round over the shuffled faces, each time another component.

    labels(face) gives a face's label map; it is asked for once a face, when the first round comes to it. Another
    generator plans the same regions of the same faces, in a folder of its own.
    """
    rows = sorted(faces.itertuples(), key=lambda face: seed_for(seed, "face", face.source_id))
    components: dict[str, list[str]] = {}
    for turn in count():
        for face in rows:
            if turn == 0:
                rng = np.random.default_rng(seed_for(seed, "components", face.source_id))
                components[face.path] = rng.permutation(visible_components(labels(face))).tolist()
            if names := components[face.path]:
                yield partial_fake(generator, face, names[turn % len(names)], turn // len(names))
        if not any(components.values()):
            raise WsdlError("--data: no real face in it shows a component that could be repainted; check its masks.")


def partial_fake(generator: str, face, component: str, use: int) -> Fake:
    name = f"{face.split}/{Path(face.path).stem}-{component}{f'-{use + 1}' if use else ''}.png"
    images, masks = (f"fake/{generator}/{what}/{name}" for what in ("images", "masks"))
    return Fake(images, face.split, face.source_id, masks, component, use, face)
