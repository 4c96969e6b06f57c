"""A run folder: config.json (what was asked), stats.jsonl (progress), run.json (status, versions), weights.

A run that was interrupted at any moment resumes from its last checkpoint and ends with the same numbers.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from pathlib import Path

from wsdl.core.io import WsdlError, read_json, write_json, write_text
from wsdl.core.ranks import first_goes_first, is_first, process_count
from wsdl.core.records import read_about, read_object, read_stats

MODEL_FILE = "model.safetensors"
TRAINER_FILE = "trainer.pt"  # model, optimizer, EMA and adversary at the last checkpoint
PER_IMAGE_FILE = "pictures.csv"  # in a run: the score and metrics of each test image

LIBRARIES = ("torch", "torchvision", "timm", "diffusers", "numpy")


def write_or_check_config(
    path: Path,
    config: dict,
    growing: tuple[str, ...] = (),
    understood: Callable[[dict], dict] = dict,
    begun: bool = True,
) -> None:
    """Write `config` to `path`; WsdlError where `path` exists with other values, except in the keys `growing`.

    A second command with other settings then never mixes its results with those of the first. Nested keys are written
    with dots: "profile.name". understood: converts what an earlier version wrote, so that it can be compared. begun:
    whether the folder holds results; where it holds none, a call that failed does not claim it for its settings.
    """
    if begun and Path(path).exists():
        check_same_config(Path(path).parent, understood(read_object(path)), config, growing)
    write_if_changed(path, config)


def holds_images(folder: Path) -> bool:
    """Whether there is a PNG file below `folder`: a call that writes images has begun there."""
    return next(Path(folder).rglob("*.png"), None) is not None


def write_if_changed(path: Path, config: dict) -> None:
    """Write `config` to `path` as JSON, unless the file holds the same already."""
    config = json.loads(json.dumps(config))
    if not (Path(path).exists() and read_json(path) == config):
        write_json(path, config)


def check_same_config(folder: Path, old: dict, new: dict, growing: tuple[str, ...] = ()) -> None:
    """WsdlError where `new` differs from `old`, with which `folder` was begun, in another key than `growing`."""
    if found := find_difference(old, new, growing):
        key, before, now = found
        raise WsdlError(
            f"{folder}: was begun with {key} = {before!r}, not {now!r}; choose another --out, or delete the folder."
        )


def find_difference(old: dict, new: dict, ignored: tuple[str, ...] = ()) -> tuple | None:
    """The first key in which two configs differ, and both values; None where they are the same."""
    old, new = (_flatten(json.loads(json.dumps(config))) for config in (old, new))
    for key in sorted({*old, *new} - set(ignored)):
        if old.get(key) != new.get(key):
            return key, old.get(key), new.get(key)
    return None


def _flatten(config: dict, before: str = "") -> dict:
    """{"profile": {"size": 8}} as {"profile.size": 8}."""
    flat = {}
    for key, value in config.items():
        flat |= _flatten(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return flat


class Run:
    """The folder of one training: `Run(folder, config)` begins or resumes it.

    `growing` names the settings that a later call may raise (how many images to train on). Of several processes
    (torchrun) the first begins it and writes all files.
    """

    def __init__(self, folder: Path, config: dict, growing: tuple[str, ...] = ("images",)):
        self.folder = Path(folder)
        self.config = config
        with first_goes_first():
            self._begin(growing)

    def _begin(self, growing: tuple[str, ...]) -> None:
        config, begun = self.config, self.path(MODEL_FILE).exists()
        if not begun and self._was_begun_with_other(config, growing):
            self.path(TRAINER_FILE).unlink(missing_ok=True)
        write_or_check_config(self.path("config.json"), config, growing, begun=begun)
        old = read_about(self.folder) if self.path("run.json").exists() else {}
        self._before = {key: old.get(key, 0.0) for key in ("seconds", "cpu_seconds")}
        self._start = time.monotonic(), time.process_time()
        self.report("running")

    def _was_begun_with_other(self, config: dict, growing: tuple[str, ...]) -> bool:
        path = self.path("config.json")
        return path.exists() and find_difference(read_object(path), config, growing) is not None

    def path(self, name: str) -> Path:
        return self.folder / name

    def report(self, status: str, **more) -> None:
        """Write run.json. `status` is running, done, failed or stopped; only "done" means that the run is complete."""
        if is_first():
            write_json(self.path("run.json"), {"status": status, **self.cost(), **run_environment(), **more})

    def cost(self) -> dict:
        """Wall-clock and CPU seconds so far, summed over all calls that worked on this run.

        Of several processes the CPU seconds of the first count for each of them: all do the same work.
        """
        cpu = process_count() * (time.process_time() - self._start[1])
        return {
            "seconds": round(self._before["seconds"] + time.monotonic() - self._start[0], 1),
            "cpu_seconds": round(self._before["cpu_seconds"] + cpu, 1),
        }

    def log(self, **numbers) -> None:
        """Append one line to stats.jsonl."""
        with open(self.path("stats.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(numbers) + "\n")
            file.flush()
            os.fsync(file.fileno())  # before the checkpoint that counts on this line

    def stats(self) -> list[dict]:
        return read_stats(self.folder)

    def forget_after(self, images: int) -> None:
        """Drop the log lines after the checkpoint at `images`; training will write them again."""
        if not is_first():
            return
        kept = [json.dumps(line) for line in self.stats() if line["images"] <= images]
        write_text(self.path("stats.jsonl"), "".join(line + "\n" for line in kept))


def record_outcome(work: Callable) -> Callable:
    """Decorate a function whose first argument is a Run: an error or interrupt is written to run.json and raised."""

    @wraps(work)
    def recorded(run: Run, *args, **kwargs):
        try:
            return work(run, *args, **kwargs)
        except KeyboardInterrupt:
            run.report("stopped")
            raise
        except Exception as error:
            run.report("failed", error=f"{type(error).__name__}: {error}")
            raise

    return recorded


def is_done(folder: Path) -> bool:
    """Whether the run in `folder` is complete."""
    return (Path(folder) / "run.json").exists() and read_about(folder)["status"] == "done"


def run_environment() -> dict:
    """Versions, device, precision and git commit: what results depend on besides the config."""
    from wsdl import __version__
    from wsdl.core.device import pick_device, pick_precision

    device = pick_device()
    return {
        "versions": {"wsdl": __version__, "python": platform.python_version(), **{n: version(n) for n in LIBRARIES}},
        "device": str(device),
        "hardware": _hardware(device),
        "precision": pick_precision(),
        "git": _git_commit(),
        **({"processes": process_count()} if process_count() > 1 else {}),
    }


def describe_environment(about: dict) -> str:
    """The result of `run_environment` as two lines: versions; device, hardware and precision."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{versions}\ndevice {about['device']} ({about['hardware']}), precision {about['precision']}"


def _hardware(device) -> str:
    """The name of the GPU, or of the CPU with the number of threads in use."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = getattr(torch.cpu, "get_capabilities", dict)()
    return f"{cpu.get('cpu_name') or platform.machine()}, threads: {torch.get_num_threads()}"


def repository_root() -> Path | None:
    """The checkout of the repository that wsdl runs from; None where it is installed from a package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "notebooks").is_dir() and (root / "pyproject.toml").is_file() else None


def short_path(path: Path) -> str:
    """`path` relative to the repository where it is inside, the same on every machine; else absolute."""
    path, root = Path(path).resolve(), repository_root()
    return path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)


def _git_commit() -> str | None:
    """The commit of that checkout, with "-dirty" where files were changed; None where there is none, or no git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return None
    return found.stdout.strip() or None
