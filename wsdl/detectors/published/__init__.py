"""Detectors that others published, run with their weights: `load_published`."""

from functools import lru_cache
from pathlib import Path

from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr

PUBLISHED = ("mantranet", "noiseprint", "psccnet", "trufor", "hifi-net")  # in the order of the paper's table


def load_published(name: str, weights: str | Path):
    """The published method called `name` with the weights in WEIGHTS/NAME or in WEIGHTS, a folder; cached.

    Other methods than Noiseprint also take a file, a checkpoint. The result has `predict(images, qualities) ->
    Prediction` and the attributes name, note and licence. WsdlError for an unknown name, no such folder, weights that
    are missing or not those of the method, or a missing package.
    """
    if name not in PUBLISHED:
        which = f"--detector is '{name}'" if name else "give one by --detector"
        raise WsdlError(f"--weights: is for published methods ({', '.join(PUBLISHED)}); {which}.")
    if not str(weights):
        raise WsdlError(
            f"{name}: its weights do not come with wsdl; give the folder of the published ones by --weights."
        )
    path = Path(weights)
    if not path.is_dir() and (name == "noiseprint" or not path.is_file()):
        raise WsdlError(f"{path}: no such folder; give that of the published weights by --weights.")
    return _load(name, str(path / name if (path / name).is_dir() else path))


def find_published(weights: str | Path) -> dict:
    """Each of PUBLISHED, loaded; None, with the reason on stderr, where it cannot be. WsdlError where no folder."""
    if not Path(weights).is_dir():
        raise WsdlError(f"{weights}: no such folder; give that of the published weights by --weights.")
    found = {}
    for name in PUBLISHED:
        try:
            found[name] = load_published(name, weights)
            print_stderr(f"wsdl: {name}: licence of its weights: {found[name].licence}")
        except WsdlError as error:
            print_stderr(f"wsdl: {error}")
            found[name] = None
    return found


def random_method(name: str):
    """The published method called `name` with random weights, to measure its cost. WsdlError for a missing package."""
    return _build(name, None)


@lru_cache(maxsize=len(PUBLISHED))
def _load(name: str, weights: str):
    return _build(name, Path(weights))


def _build(name: str, weights: Path | None):
    if name == "noiseprint":
        from wsdl.detectors.published.noiseprint import Noiseprint

        return Noiseprint(weights)
    from wsdl.detectors.published.peers import PeerMethod

    return PeerMethod(name, weights)
