"""Detectors that others published, run with their weights: `load_published`. One file per method."""

from functools import lru_cache
from pathlib import Path

from wsdl.core.io import WsdlError

PUBLISHED = ("noiseprint",)


def load_published(name: str, weights: str | Path):
    """The published method called `name` with the weights in a folder, cached.

    It has `predict(images, qualities) -> Prediction` and the attributes name, note and licence. WsdlError for an
    unknown name, no folder, or weights that are missing or not those of the method.
    """
    if name not in PUBLISHED:
        which = f"--detector is '{name}'" if name else "give one by --detector"
        raise WsdlError(f"--weights: is for published methods ({', '.join(PUBLISHED)}); {which}.")
    if not str(weights):
        raise WsdlError(
            f"{name}: its weights do not come with wsdl; give the folder of the published ones by --weights."
        )
    folder = Path(weights)
    if not folder.is_dir():
        raise WsdlError(f"{folder}: no such folder; give that of the published weights by --weights.")
    return _load_noiseprint(str(folder))


@lru_cache(maxsize=2)
def _load_noiseprint(folder: str):
    from wsdl.detectors.published.noiseprint import Noiseprint

    return Noiseprint(Path(folder))
