"""Detectors that come with wsdl, by name, and what a detector was trained on."""

from pathlib import Path

from wsdl.core.io import WsdlError, read_json

PRETRAINED_FOLDER = Path(__file__).parent.parent / "assets" / "detectors"
DEFAULT_DETECTOR = "patches-c-studio"
WEIGHTS = "model.safetensors"
SCORES = ("iou", "iou_low", "iou_high", "pbca", "pbca_low", "pbca_high", "ap", "ap_low", "ap_high", "n")


def pretrained_names() -> list[str]:
    """The names of the detectors that are there."""
    return sorted(path.parent.name for path in PRETRAINED_FOLDER.glob(f"*/{WEIGHTS}"))


def find_detector(detector: str | Path) -> Path:
    """The run folder of a detector: a shipped one by name, or a run of `train` by path."""
    names = pretrained_names()
    if str(detector) in names:
        return PRETRAINED_FOLDER / detector
    folder = Path(detector)
    if not (folder / "config.json").is_file():
        raise WsdlError(f"{detector}: no such detector; {describe_choices(names)}.")
    if "method" not in read_json(folder / "config.json") or not (folder / WEIGHTS).is_file():
        raise WsdlError(f"{detector}: is no run of `train` with a {WEIGHTS}; {describe_choices(names)}.")
    return folder


def describe_choices(names: list[str]) -> str:
    known = f"shipped are {', '.join(names)}" if names else "this copy of wsdl has none of its own"
    return f"{known}, and any run folder of `python -m wsdl train` will do"


def training_summary(folder: Path) -> dict:
    """What a detector learned from: method, setup, source, generator, images seen and seed (None: not written down)."""
    config = read_json(folder / "config.json")
    return {name: config.get(name) for name in ("method", "setup", "source", "generator", "images", "seed")}


def stored_metrics(folder: Path) -> dict | None:
    """How good a detector was on its own test set: IoU, PBCA and AP with intervals, n fakes. None: not evaluated."""
    if not (folder / "metrics.json").is_file():
        return None
    row = read_json(folder / "metrics.json")["rows"][0]  # the detector's own; baselines follow
    return {name: row.get(name) for name in SCORES}


def pretrained_table() -> list[dict]:
    """One row for each shipped detector: its name, what it was trained on, its scores."""
    rows = []
    for name in pretrained_names():
        scores = stored_metrics(PRETRAINED_FOLDER / name) or dict.fromkeys(SCORES)
        rows.append({"detector": name, **training_summary(PRETRAINED_FOLDER / name), **scores})
    return rows
