"""A run is a folder: what was asked (config.json), how it went (stats.jsonl, run.json), what came out.

Killed at any moment, the same call goes on from the last checkpoint and ends with the same numbers.
"""

import json
import platform
import subprocess
import time
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from pathlib import Path

from wsdl.core.io import WsdlError, atomic, read_json, write_json, write_text

MODEL_FILE = "model.safetensors"
PER_IMAGE_FILE = "pictures.csv"  # in a run: what the detector said of each test picture

LIBRARIES = ("torch", "torchvision", "timm", "diffusers", "numpy")


def write_or_check_config(
    path: Path, recipe: dict, growing: tuple[str, ...] = (), understood: Callable[[dict], dict] = dict
) -> None:
    """Write `recipe` to `path`, or check that what stands there is the same but for the keys in `growing`.

    So that a second command with other settings never mixes its results with the first one's. understood: makes what
    an earlier version wrote comparable.
    """
    recipe = json.loads(json.dumps(recipe))
    if Path(path).exists():
        old = json.loads(json.dumps(understood(read_json(path))))
        for key in sorted({*old, *recipe} - set(growing)):
            if old.get(key) != recipe.get(key):
                raise WsdlError(
                    f"{path.parent}: was begun with {key} = {old.get(key)!r}, not {recipe.get(key)!r}; "
                    f"choose another --out, or delete the folder."
                )
    write_json(path, recipe)


class Run:
    """The folder of one training: `Run(folder, config)` begins it or goes on with it.

    `growing` names the settings that a later call may raise (how many images to train for).
    """

    def __init__(self, folder: Path, config: dict, growing: tuple[str, ...] = ("images",)):
        self.folder = Path(folder)
        self.config = config
        write_or_check_config(self.folder / "config.json", config, growing)
        old = read_json(self.path("run.json")) if self.path("run.json").exists() else {}
        self._before = {key: old.get(key, 0.0) for key in ("seconds", "cpu_seconds")}
        self._start = time.monotonic(), time.process_time()
        self.report("running")

    def path(self, name: str) -> Path:
        return self.folder / name

    def report(self, status: str, **more) -> None:
        """Write run.json: `status` is running, done, failed or stopped. Only "done" means done."""
        write_json(self.path("run.json"), {"status": status, **self.cost(), **run_environment(), **more})

    def cost(self) -> dict:
        """Seconds on the clock and of all cores so far, over all calls that worked on this run."""
        return {
            "seconds": round(self._before["seconds"] + time.monotonic() - self._start[0], 1),
            "cpu_seconds": round(self._before["cpu_seconds"] + time.process_time() - self._start[1], 1),
        }

    def log(self, **numbers) -> None:
        """Append one line to stats.jsonl."""
        with open(self.path("stats.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(numbers) + "\n")

    def stats(self) -> list[dict]:
        return read_stats(self.folder)

    def forget_after(self, images: int) -> None:
        """Drop what was logged after the checkpoint at `images`: it will be logged again."""
        kept = [json.dumps(line) for line in self.stats() if line["images"] <= images]
        write_text(self.path("stats.jsonl"), "".join(line + "\n" for line in kept))

    def save(self, name: str, state: dict) -> None:
        import torch

        with atomic(self.path(name)) as temporary:
            torch.save(state, temporary)

    def load(self, name: str) -> dict | None:
        """The state saved as `name`, or None where there is none yet. Tensors and plain values only (weights_only)."""
        import torch

        if not self.path(name).exists():
            return None
        return torch.load(self.path(name), map_location="cpu", weights_only=True)


def record_outcome(work: Callable) -> Callable:
    """A decorator of work on a Run, its first argument: what ends it early is written into run.json, and raised."""

    @wraps(work)
    def told(run: Run, *words, **more):
        try:
            return work(run, *words, **more)
        except KeyboardInterrupt:
            run.report("stopped")
            raise
        except Exception as error:
            run.report("failed", error=f"{type(error).__name__}: {error}")
            raise

    return told


def read_stats(folder: Path) -> list[dict]:
    """The lines of stats.jsonl; a last line cut short by a kill is left out."""
    path = Path(folder) / "stats.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def is_done(folder: Path) -> bool:
    path = Path(folder) / "run.json"
    return path.exists() and read_json(path)["status"] == "done"


def run_environment() -> dict:
    """Versions, device, precision and git commit: what a number depends on besides the config."""
    from wsdl import __version__
    from wsdl.core.device import pick_device, pick_precision

    device = pick_device()
    return {
        "versions": {"wsdl": __version__, "python": platform.python_version(), **{n: version(n) for n in LIBRARIES}},
        "device": str(device),
        "hardware": hardware(device),
        "precision": pick_precision(),
        "git": git_commit(),
    }


def describe_environment(about: dict) -> str:
    """`surroundings` as two lines: versions; device, hardware and precision."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"{versions}\ndevice {about['device']} ({about['hardware']}), precision {about['precision']}"


def hardware(device) -> str:
    """The name of the GPU, or of the CPU with the threads in use."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpu = getattr(torch.cpu, "get_capabilities", dict)()
    return f"{cpu.get('cpu_name') or platform.machine()}, threads: {torch.get_num_threads()}"


def git_commit() -> str | None:
    """The commit of the checkout that wsdl runs from; None where it is installed from a package."""
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or None
