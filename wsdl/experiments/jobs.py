"""The jobs of a grid, each one training with its tests: the named grids, and files that list jobs."""

import re
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from wsdl.bundle.generator_archives import bundled_generators
from wsdl.config import ALL_METHODS, DEFAULT_GENERATORS, METHODS, SETUPS, SOURCES, Profile
from wsdl.core.io import WsdlError, read_json, read_toml
from wsdl.core.settings import apply_changes
from wsdl.detectors import build_detector, network_options
from wsdl.experiments.variants import ABLATIONS, LOSS_VARIANTS, VARIANTS, find_variant

RENDERED = "snapshot", "studio"  # the sources of `cross-source`: snapshots and studio portraits


@dataclass(frozen=True)
class Job:
    """One training. It is tested on the test split of its own dataset, and on each of `tests`."""

    method: str
    setup: str
    train_source: str
    seed: int
    generators: tuple[str, ...] = ()  # whose partial fakes setups b and c train on; (): DEFAULT_GENERATORS
    tests: tuple[str, ...] = ()  # further tests: SOURCE/GENERATOR, or SOURCE for DEFAULT_GENERATORS
    variant: str = ""  # name of `settings`
    settings: tuple[tuple[str, object], ...] = ()  # those that differ from the profile, sorted by name

    @property
    def own_generators(self) -> tuple[str, ...]:
        """The generators whose partial fakes it is tested on in its own dataset (setup a trains on none of them)."""
        return self.generators or DEFAULT_GENERATORS

    def needs(self) -> dict[str, tuple[str, ...]]:
        """Source -> generators whose fakes must exist before it can run."""
        found = {self.train_source: self.own_generators}
        for test in self.tests:
            source, generator = parse_test(test)
            found[source] = (*found.get(source, ()), generator)
        return found


def parse_test(test: str) -> tuple[str, str]:
    """Source and generator of one of the tests of a job: "studio/lama", or "studio" for the default generator."""
    source, _, generator = test.partition("/")
    return source, generator or DEFAULT_GENERATORS[0]


def table2(source: str, seeds: tuple[int, ...], photos: str, generators: tuple[str, ...]) -> list[Job]:
    """The paper's Table 2: every method in every setup, trained and tested on one source."""
    return [Job(method, setup, source, seed) for seed in seeds for method in METHODS for setup in SETUPS]


def cross_source(source: str, seeds: tuple[int, ...], photos: str, generators: tuple[str, ...]) -> list[Job]:
    """Patches in every setup, trained on each rendered source and tested on the other, and on the source `photos`."""
    others = {one: tuple(name for name in RENDERED if name != one) for one in RENDERED}
    more = (photos,) if photos else ()
    return [Job("patches", setup, one, seed, tests=others[one] + more)
            for seed in seeds for one in RENDERED for setup in SETUPS]  # fmt: skip


def cross_generator(source: str, seeds: tuple[int, ...], photos: str, generators: tuple[str, ...]) -> list[Job]:
    """Patches in setups c and b, trained on the fakes of each generator and tested on each; then on all but one.

    Every training uses the same number of images. With two generators, "all but one" is a single one and is left out.
    """
    rest = {left: tuple(name for name in generators if name != left) for left in generators}
    each = [((name,), rest[name]) for name in generators]
    each += [(rest[left], (left,)) for left in generators if len(generators) > 2]
    return [Job("patches", setup, source, seed, trained, tuple(f"{source}/{other}" for other in tested))
            for seed in seeds for setup in "cb" for trained, tested in each]  # fmt: skip


def weak_losses(source: str, seeds: tuple[int, ...], photos: str, generators: tuple[str, ...]) -> list[Job]:
    """Patches-MIL from image labels: every label loss alone in setup B, parts of the recipe in A, and full recipes.

    Those in A, B and C are also tested on the other rendered source, and on fakes of generators that none trained on.
    """
    jobs = []
    for seed in seeds:
        jobs += _recipes(source, seed, generators)
        jobs += [_variant_job("b", source, seed, name) for name in ("paper", *LOSS_VARIANTS)]
        jobs += [_variant_job("a", source, seed, name) for name in ("paper", "no-paste")]
    return jobs


def weak_ablations(source: str, seeds: tuple[int, ...], photos: str, generators: tuple[str, ...]) -> list[Job]:
    """The recipe of Patches-MIL in setup B with one setting changed at a time; setups A and C where it has that too."""
    jobs = []
    for seed in seeds:
        jobs += _recipes(source, seed, generators)
        jobs += [_variant_job(setup, source, seed, "block2") for setup in "abc"]
        jobs += [_variant_job("b", source, seed, name) for name in ABLATIONS if name != "block2"]
    return jobs


def _recipes(source: str, seed: int, generators: tuple[str, ...]) -> list[Job]:
    """Patches-MIL with the settings of the profile in setups A, B and C, with further tests where their fakes exist."""
    tests = [f"{source}/{name}" for name in generators if name in bundled_generators(source)]
    tests += [name for name in RENDERED if name != source and source in RENDERED]
    return [Job("patches-mil", setup, source, seed, tests=tuple(tests)) for setup in "abc"]


def _variant_job(setup: str, source: str, seed: int, variant: str) -> Job:
    changes = find_variant(variant, "variant")
    return Job("patches-mil", setup, source, seed, variant=variant, settings=tuple(sorted(changes.items())))


GRIDS = {
    "table2": table2,
    "cross-source": cross_source,
    "cross-generator": cross_generator,
    "weak-losses": weak_losses,
    "weak-ablations": weak_ablations,
}


def grid_jobs(
    name: str,  # one of GRIDS, or a JSON or TOML file with a list `jobs`
    source: str,  # where a job in a file states none
    seeds: tuple[int, ...],  # each job runs with each of them, unless a job in a file states its own
    photos: str,  # the source of the user, which cross-source tests on; "" for none
    generators: tuple[str, ...],  # of cross-generator
) -> list[Job]:
    """The jobs of the grid `name`. WsdlError where there is no such grid or file."""
    if name in GRIDS:
        return GRIDS[name](source, seeds, photos, generators)
    if Path(name).is_file():
        return _read_jobs(Path(name), source, seeds)
    raise WsdlError(f"{name}: no such grid; choose {', '.join(GRIDS)}, or a JSON or TOML file with a list `jobs`.")


def _read_jobs(path: Path, source: str, seeds: tuple[int, ...]) -> list[Job]:
    """The jobs of a file {"jobs": [{"method": "patches", "setup": "b", "train_source": "studio", "seed": 0}]}."""
    content = read_toml(path) if path.suffix == ".toml" else read_json(path)
    key = "cells" if isinstance(content, dict) and "cells" in content else "jobs"  # the name in earlier versions
    if not isinstance(content, dict) or set(content) != {key} or not isinstance(content[key], list):
        raise WsdlError(f"{path}: must hold one list, `jobs`, and nothing else.")
    return [
        _read_job(entry, f"{path}: job {n}", source, seed) for n, entry in enumerate(content[key]) for seed in seeds
    ]


def _read_job(entry: dict, where: str, source: str, seed: int) -> Job:
    """A job of a file: `variant` names one of `wsdl.experiments.variants`, or is the name of its own `settings`."""
    base, sources = Job("", "", source, seed), (*SOURCES, source)
    job = job_from_dict(entry, where, base, sources)
    if job.variant and not job.settings:
        entry = entry | {"settings": find_variant(job.variant, where)}
        return job_from_dict(entry, where, base, sources)
    if job.variant in VARIANTS and dict(job.settings) != VARIANTS[job.variant].changes:
        raise WsdlError(f"{where}: the variant '{job.variant}' has other settings; choose another name for these.")
    try:
        _build_network(job.method, job.setup, job.settings)
    except WsdlError as error:
        raise WsdlError(f"{where}: settings: {error}") from None
    return job


@cache  # the same for all seeds
def _build_network(method: str, setup: str, changes: tuple[tuple[str, object], ...]) -> None:
    """WsdlError where there is no network with these settings."""
    settings = asdict(Profile().training(method)) | dict(changes)
    build_detector(method, setup, **network_options(settings))


def job_to_dict(job: Job) -> dict:
    """`job` for JSON. Jobs without a variant are written as by earlier versions."""
    written = asdict(job) | {"settings": dict(job.settings)}
    return {key: value for key, value in written.items() if value or key not in ("variant", "settings")}


def job_from_dict(entry: dict, where: str, base: Job, sources: tuple[str, ...] | None = SOURCES) -> Job:
    """The job that `entry` of a file describes; `base` has what it does not say. WsdlError where it is no job."""
    if not isinstance(entry, dict) or "settings" not in entry:
        return check_job(apply_changes(base, entry, where), where, sources)
    job = apply_changes(base, {key: value for key, value in entry.items() if key != "settings"}, where)
    check_job(job, where, sources)
    changed = apply_changes(Profile().training(job.method), entry["settings"], f"{where}: settings")
    settings = tuple((name, getattr(changed, name)) for name in sorted(entry["settings"]))
    return check_job(replace(job, settings=settings), where, sources)


def check_job(job: Job, where: str, sources: tuple[str, ...] | None) -> Job:
    """Return `job`, which a file at `where` describes. WsdlError where it cannot be trained or tested.

    sources: those that it may name; None: any name that can be part of the name of a folder.
    """
    if job.method not in ALL_METHODS or job.setup not in SETUPS:
        raise WsdlError(
            f"{where}: is {job}, but must have a method ({', '.join(ALL_METHODS)}) and a setup (a, b or c)."
        )
    if job.generators and SETUPS[job.setup].fakes == "full":
        raise WsdlError(f"{where}: is {job}, but setup {job.setup} trains on full fakes; leave `generators` out.")
    for source in job.needs():
        if not (source in sources if sources else re.fullmatch(r"[\w.+-]+", source)):
            raise WsdlError(f"{where}: source is {source!r}, but must be one of {', '.join(sources or ('a name',))}.")
    if job.settings and not job.variant:
        raise WsdlError(f"{where}: has settings, but no name for them; add a `variant`, such as mine.")
    if job.variant and not re.fullmatch(r"[\w.+-]+", job.variant):  # it becomes part of the name of a folder
        raise WsdlError(f"{where}: variant is {job.variant!r}, but must be a name such as top-k.")
    for name in (*job.generators, *(parse_test(test)[1] for test in job.tests)):
        if not re.fullmatch(r"[\w.+-]+", name):  # it becomes part of the name of a folder
            raise WsdlError(f"{where}: {name!r} is no name of a generator; give one such as lama.")
    return job
