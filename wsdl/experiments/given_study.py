"""A study of a dataset folder that exists, such as the Dolos download: it makes neither faces nor fakes."""

import re
from pathlib import Path

from wsdl.config import DEFAULT_GENERATORS, FULL_GENERATORS, SETUPS, SOURCES, Profile
from wsdl.core.io import WsdlError
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import is_download, read_info
from wsdl.data.paper_sets import paper_generators
from wsdl.experiments.study import Study


class GivenStudy(Study):
    """The runs in `out` of detectors that are trained and tested on the dataset `data`, which stays as it is.

    Of a Dolos download setup B trains on the subset of 9,000 fakes, where there is one.
    """

    is_bundled = False

    def __init__(self, out: Path, data: Path, profile: Profile, seed: int, data_seed: int, variant: str = ""):
        super().__init__(out, profile, SOURCES[0], seed=seed, data_seed=data_seed, variant=variant)
        self.data, self.source = Path(data), Path(out).name
        if self.source != (name := read_info(self.data)["name"]):
            raise WsdlError(f"--data: holds the source {name} only, but a job needs {self.source}; leave --data out.")

    @property
    def sampler(self) -> str:
        made = set(Dataset(self.data).select("full").generator)
        return "ddpm" if FULL_GENERATORS["ddpm"] in made else "ddim"

    def faces(self) -> Dataset:
        return Dataset(self.data)

    def fakes(self) -> Dataset:
        return Dataset(self.data)

    def fakes_by(self, generators: tuple[str, ...]) -> Dataset:
        return Dataset(self.data, generators)

    def trained_on(self, setup: str, generators: tuple[str, ...]) -> tuple[str, ...]:
        if generators != DEFAULT_GENERATORS or SETUPS[setup].fakes == "full" or not is_download(read_info(self.data)):
            return super().trained_on(setup, generators)
        available = set(Dataset(self.data).select("partial", "train").generator)
        return tuple(name for name in paper_generators(setup) if name in available)[:1] or generators


def given_source(data: Path) -> str:
    """The name of the dataset in `data`. WsdlError where it is no dataset, or cannot be part of the name of a run."""
    name = Dataset(data).info["name"]
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise WsdlError(f"{Path(data) / 'dataset.json'}: its name is {name[:80]!r}, but must be one such as celebahq.")
    return name
