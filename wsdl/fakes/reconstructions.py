"""Whole fakes in which nothing was painted: real faces that went through a generator and came back.

A round trip shows what its real face shows, in the same light and the same place. All that is new are the traces of the
generator, so a detector that is shown both with their labels (setup A) has nothing else to learn.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import copy_if_missing, sha256
from wsdl.core.progress import progress_bar
from wsdl.core.run import write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces, label_map_path, write_manifest

_BATCH = 16  # faces that travel together
_SPLITS = "train", "valid"  # as with other full fakes, none for testing


def write_round_trips(dataset: Dataset, out: Path, name: str, travel: Callable, recipe: dict) -> Dataset:
    """Write the real faces of `dataset` to `out`, and those of train and valid once more as full fakes by `name`.

    travel(uint8 [n, S, S, 3], their source ids) -> uint8 [n, S, S, 3]; recipe: what decides how they come back. Run
    again, it makes only what is missing; WsdlError where `out` was begun with another recipe or other faces.
    """
    out, real = Path(out), dataset.select(kind="real")
    write_or_check_config(out / "recipe.json", {"round trips": name, "of": hash_faces(real), **recipe})
    for row in real.itertuples():
        for path in (row.path, label_map_path(row)):
            copy_if_missing(dataset.folder / path, out / path)
    trips = real[real.split.isin(_SPLITS)].assign(kind="full", generator=name, area=1.0)
    trips["path"] = [f"fake/{name}/{row.split}/{Path(row.path).name}" for row in trips.itertuples()]
    absent = trips[[not (out / path).exists() for path in trips.path]]
    progress = progress_bar(len(absent), "there and back")
    for start in range(0, len(absent), _BATCH):
        some = absent.iloc[start : start + _BATCH]
        back = travel(np.asarray(dataset.images[some.index.to_numpy()]), list(some.source_id))
        for path, picture in zip(some.path, back, strict=True):
            write_image(out / path, picture)
        progress.update(len(some))
    progress.close()
    trips["sha256"] = [sha256(out / path) for path in trips.path]
    write_manifest(out, pd.concat([real, trips]), {**dataset.info, "name": f"{dataset.info['name']}-{name}"})
    return Dataset(out)
