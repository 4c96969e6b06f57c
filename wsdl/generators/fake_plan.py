"""Plans of fakes: infinite sequences in which item i depends on the seed and the real faces, not on the count."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError, seed_for
from wsdl.data.layout import Counts
from wsdl.data.manifest import SPLITS
from wsdl.data.masks import visible_components


@dataclass(frozen=True)
class Fake:
    """One fake to make: its paths in the dataset and, for a partial fake, the face and component to inpaint."""

    path: str
    split: str
    source_id: str
    mask: str = ""
    component: str = ""
    use: int = 0  # number of earlier fakes of this component of this face
    face: object = None  # its row in the manifest of the real faces


def full_plan(generator: str = "p2") -> Iterator[Fake]:
    """Yield full fakes without end: item i goes to valid if i ends in 9, else to train."""
    for i in count():
        split = "valid" if i % 10 == 9 else "train"
        yield Fake(f"fake/{generator}/{split}/{i:06d}.png", split, f"{generator}/{i:06d}")


def partial_plan(faces: pd.DataFrame, labels: Callable, seed: int, generator: str = "repaint-p2") -> Iterator[Fake]:
    """Yield partial fakes without end: rounds over the shuffled faces, each with another component of the face.

    labels(face) returns the label map of a face, and is called once per face, in the first round. All generators get
    the same regions of the same faces, in folders of their own. WsdlError where no face has a component.
    """
    rows = sorted(faces.itertuples(), key=lambda face: seed_for(seed, "face", face.source_id))
    components: dict[str, list[str]] = {}
    for turn in count():
        for face in rows:
            if turn == 0:
                rng = np.random.default_rng(seed_for(seed, "components", face.source_id))
                components[face.path] = rng.permutation(visible_components(labels(face))).tolist()
            if names := components[face.path]:
                yield _partial_fake(generator, face, names[turn % len(names)], turn // len(names))
        if not any(components.values()):
            raise WsdlError("--data: no real face in it has a component that can be inpainted; check its masks.")


def with_counts(plan: Iterator[Fake], counts: Counts | None, faces: int, data: Path) -> Iterator[Fake]:
    """`plan` without the fakes of a split that has its number in `counts` (train, valid, test), until all have.

    faces: the number of faces, which is the most that one round of the plan yields. WsdlError where a whole round has
    none of a split that lacks some. None: the plan as it is.
    """
    left = dict(zip(SPLITS, counts or (0, 0, 0), strict=True))
    skipped = 0
    while any(left.values()):
        fake = next(plan)
        if left[fake.split]:
            left[fake.split] -= 1
            skipped = 0
            yield fake
        elif (skipped := skipped + 1) > faces:
            split = next(split for split, count in left.items() if count)
            raise WsdlError(f"{data}: has no face in {split} that can be inpainted, but --counts asks for fakes there.")
    yield from plan  # to fill the last batch


def _partial_fake(generator: str, face, component: str, use: int) -> Fake:
    name = f"{face.split}/{Path(face.path).stem}-{component}{f'-{use + 1}' if use else ''}.png"
    images, masks = (f"fake/{generator}/{what}/{name}" for what in ("images", "masks"))
    return Fake(images, face.split, face.source_id, masks, component, use, face)
