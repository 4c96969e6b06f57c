"""Checks that a study never shows results of other settings than those that it was opened with.

STUDY/study.json and STUDY/profile.json record what a study was begun with; config.json does so for each run.
"""

from dataclasses import asdict
from itertools import combinations
from pathlib import Path

from wsdl.config import SOURCES, USER_SOURCES, Profile, Training
from wsdl.core.io import WsdlError
from wsdl.core.records import read_config, read_object
from wsdl.core.run import check_same_config, find_difference, short_path, write_if_changed
from wsdl.core.settings import apply_changes
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import hash_manifest, read_info
from wsdl.profiles import complete_profile, profile_to_dict

PROFILE_LABELS = "profile.name", "profile.purpose"  # they describe a profile and change no result


def check_parameters(texts: dict, seed: int) -> None:
    """WsdlError where a parameter of a study is of another type: papermill's -p makes a number of 2024."""
    for name, value in texts.items():
        if not isinstance(value, str | Path):
            raise WsdlError(
                f"{name} is {value!r}, but must be a text; put it in quotes, or give it to papermill with -r, not -p."
            )
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise WsdlError(f"seed is {seed!r}, but must be a whole number.")


def check_source(source: str, has_images: bool) -> None:
    """WsdlError for an unknown source, and for one whose images the user must give but did not."""
    if source not in SOURCES:
        raise WsdlError(f"--source: is '{source}', but must be one of {', '.join(SOURCES)}.")
    if source in USER_SOURCES and not has_images:
        raise WsdlError(
            f"--images: missing; the source {source} needs a folder of images, and --masks where it holds none."
        )


def recorded_profile(out: Path) -> str:
    """The profile that the study in `out` was begun with, for `load_profile`; `quick` for a new one."""
    path = Path(out) / "profile.json"
    return str(path) if path.exists() else "quick"


def recorded_source(out: Path) -> str:
    """The source that the study in `out` was begun with; `studio` for a new one."""
    for name, key in (("study.json", "source"), ("data/dataset.json", "name")):
        path = Path(out) / name
        if path.exists() and read_object(path).get(key) in SOURCES:
            return read_object(path)[key]
    return "studio"


def record_study(out: Path, source: str, seed: int, profile: Profile) -> None:
    """Write study.json and profile.json. WsdlError where `out` was begun with another source, seed or profile.

    A study whose faces could not be made is not begun: it may be tried again with other settings.
    """
    asked = {"source": source, "seed": seed, "profile": profile_to_dict(profile)}
    old = _recorded(out, asked) if (out / "data" / "manifest.csv").exists() else asked
    if found := find_difference(old, asked, PROFILE_LABELS):
        key, before, now = found
        setting = key.removeprefix("profile.")
        if setting != key:  # the names tell the two profiles apart, unless they are the same
            names = old["profile"]["name"], profile.name
            before, now = (f"{value} (profile {name})" for value, name in zip((before, now), names, strict=True))
        raise WsdlError(
            f"{short_path(out)}: this study was begun with {setting} {before}, not {now}; "
            f"choose another out, or delete the folder."
        )
    write_if_changed(out / "study.json", asked)
    write_if_changed(out / "profile.json", asked["profile"])


def _recorded(out: Path, asked: dict) -> dict:
    """What the study in `out` was begun with; where nothing in it records a setting, the one that is asked for.

    An earlier version wrote study.json in the demo only, and profile.json with fewer settings.
    """
    kinds = {"source": str, "seed": int, "profile": dict}
    old = read_object(out / "study.json", kinds) if (out / "study.json").exists() else {}
    if (out / "profile.json").exists():
        old.setdefault("profile", read_object(out / "profile.json"))
    if (out / "data/dataset.json").exists():
        info = read_object(out / "data/dataset.json", {"name": str, "size": int}, needed=("name", "size"))
        old.setdefault("source", info["name"])
        old.setdefault("profile", asked["profile"] | {"size": info["size"]})
    old = asked | old
    return old | {"profile": complete_profile(old["profile"], f"{out / 'study.json'}: profile")}


def check_run(folder: Path, asked: dict) -> None:
    """WsdlError where the config.json of a run has other values than `asked`; keys that it lacks are not compared."""
    config = read_config(folder)
    check_same_config(folder, {key: config.get(key, value) for key, value in asked.items()}, asked)


def check_detector_run(
    folder: Path,
    method: str,
    setup: str,
    seed: int,
    settings: Training,
    generators: tuple[str, ...],  # whose fakes it was trained on
    data: Path,
) -> None:
    """WsdlError where the run in `folder` was trained with other settings, or on other images than those in `data`."""
    config = read_config(folder)
    images, batch, _ = settings.amounts(setup)
    asked = {"method": method, "setup": setup, "generator": ", ".join(sorted(set(generators))), "images": images,
             "batch": batch, "seed": seed, "settings": asdict(settings)}  # fmt: skip
    stored = config.get("settings", {})
    complete = asdict(apply_changes(type(settings)(), stored, f"{folder / 'config.json'}: settings"))
    check_same_config(folder, {key: config.get(key) for key in asked} | {"settings": complete}, asked)
    if (data / "dataset.json").exists():
        info = read_info(data)
        check_run(folder, {"source": info["name"], "size": info["size"]})
        if config.get("data", info["manifest_sha256"]) != info["manifest_sha256"]:
            _check_manifest(folder, config["data"], data, generators)


def _check_manifest(folder: Path, sha256: str, data: Path, used: tuple[str, ...]) -> None:
    """WsdlError unless `sha256` is of the manifest of `data` without fakes of some generators that are not in `used`.

    Fakes of further generators may be added to a dataset after a run was trained on it.
    """
    table = Dataset(data).table
    others = sorted(set(table.generator) - {"", *used})
    for count in range(1, len(others) + 1):
        for added in combinations(others, count):
            if hash_manifest(table[~table.generator.isin(added)]) == sha256:
                return
    raise WsdlError(
        f"{folder}: was trained on another version of {data} (sha256 of its manifest {sha256[:12]}, now "
        f"{hash_manifest(table)[:12]}); choose another --out, or delete the folder."
    )
