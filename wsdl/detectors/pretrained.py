"""Pretrained detectors of the package, by name, and the training data of a detector."""

from pathlib import Path

from wsdl.core.io import WsdlError
from wsdl.core.records import check_object, read_config, read_object
from wsdl.core.run import MODEL_FILE

PRETRAINED_FOLDER = Path(__file__).parent.parent / "assets" / "detectors"
_SCORES = ("iou", "iou_low", "iou_high", "pbca", "pbca_low", "pbca_high", "ap", "ap_low", "ap_high", "n")


def pretrained_names() -> list[str]:
    """The names of the pretrained detectors of this installation."""
    return sorted(path.parent.name for path in PRETRAINED_FOLDER.glob(f"*/{MODEL_FILE}"))


def find_detector(detector: str | Path) -> Path:
    """The run folder of a pretrained detector (by name) or of a training (by path). WsdlError if there is none."""
    names = pretrained_names()
    if not isinstance(detector, str | Path):
        raise WsdlError(f"detector is {detector!r}, but must be a text or a path; {describe_choices(names)}.")
    if str(detector) in names:
        return PRETRAINED_FOLDER / detector
    folder = Path(detector)
    if not (folder / "config.json").is_file():
        raise WsdlError(f"{detector}: no such detector; {describe_choices(names)}.")
    if "method" not in read_config(folder) or not (folder / MODEL_FILE).is_file():
        raise WsdlError(f"{detector}: is no run of `train` with a {MODEL_FILE}; {describe_choices(names)}.")
    return folder


def describe_choices(names: list[str]) -> str:
    """The detectors to choose from, as the second half of a message."""
    known = f"pretrained are {', '.join(names)}" if names else "this installation has no pretrained detector"
    return f"{known}; any run folder of `python -m wsdl train` works too"


def training_summary(folder: Path) -> dict:
    """Method, setup, source, generator, number of images and seed of a training; None where config.json lacks it."""
    config = read_config(folder)
    return {name: config.get(name) for name in ("method", "setup", "source", "generator", "images", "seed")}


def stored_metrics(folder: Path) -> dict | None:
    """IoU, PBCA and AP with intervals, n fakes, and the dataset that these are of (`on`); None without metrics.json."""
    if not (folder / "metrics.json").is_file():
        return None
    path = folder / "metrics.json"
    metrics = read_object(path, {"rows": list, "dataset": str}, needed=("rows",))
    rows = metrics["rows"] or [{}]
    # The first row is the detector's own; baselines follow.
    row = check_object(rows[0], dict.fromkeys(_SCORES, float), (), f"{path}: row 0", finite=False)
    on = metrics.get("dataset") or training_summary(folder)["source"]  # earlier versions did not store the dataset
    return {name: row.get(name) for name in _SCORES} | {"on": on}


def pretrained_table() -> list[dict]:
    """One row per pretrained detector: name, training data, scores."""
    rows = []
    for name in pretrained_names():
        folder = PRETRAINED_FOLDER / name
        scores = stored_metrics(folder) or dict.fromkeys((*_SCORES, "on"))
        rows.append({"detector": name, **training_summary(folder), **scores})
    return rows
