"""Full fakes without generated content: real faces that were encoded and decoded by a generator (round trips).

A reconstruction shows the content of its real face at the same place in the same light; it differs only in the traces
of the generator. So a detector trained on both with image labels (setup a) can learn nothing else.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.core.io import copy_if_missing, is_written, sha256
from wsdl.core.locks import one_writer
from wsdl.core.progress import in_batches
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces, label_map_path, write_manifest

_BATCH = 16
_SPLITS = "train", "valid"  # as with other full fakes, none for testing


@one_writer("out")
def write_round_trips(dataset: Dataset, out: Path, name: str, reconstruct: Callable, recipe: dict) -> Dataset:
    """Write the real faces of `dataset` to `out`, and those of train and valid again as full fakes by `name`.

    reconstruct(uint8 [n, S, S, 3], source ids) -> uint8 [n, S, S, 3]; recipe: what decides the reconstructions, such as
    the weights. A second call makes only what is missing; WsdlError where `out` was begun with another recipe or other
    faces.
    """
    out, real = Path(out), dataset.select(kind="real")
    recipe = {"round trips": name, "of": hash_faces(real), **recipe}
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    for row in real.itertuples():
        for path in (row.path, label_map_path(row)):
            copy_if_missing(dataset.folder / path, out / path)
    fakes = real[real.split.isin(_SPLITS)].assign(kind="full", generator=name, area=1.0)
    fakes["path"] = [f"fake/{name}/{row.split}/{Path(row.path).name}" for row in fakes.itertuples()]
    missing = fakes[[not is_written(out / path) for path in fakes.path]]
    for some in in_batches(missing, _BATCH, "reconstructing"):
        images = reconstruct(np.asarray(dataset.images[some.index.to_numpy()]), list(some.source_id))
        for path, image in zip(some.path, images, strict=True):
            write_image(out / path, image)
    fakes["sha256"] = [sha256(out / path) for path in fakes.path]
    write_manifest(out, pd.concat([real, fakes]), {**dataset.info, "name": f"{dataset.info['name']}-{name}"})
    return Dataset(out)
