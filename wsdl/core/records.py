"""Read back the files of a run folder, each checked: one sentence names the file, what is wrong, what would be right.

A damaged run can then be left out of a report and named in it, and the others are reported.
"""

import json
import math
from pathlib import Path

from wsdl.core.io import WsdlError, read_json, read_text

STATUSES = ("running", "done", "failed", "stopped")
_KINDS = {str: "a text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}
_CONFIG = {"method": str, "setup": str, "source": str, "generator": str, "seed": int, "images": int, "settings": dict}
_METRICS = {"preset": str, "data": str, "rows": list}
_ROW = {"method": str, "setup": str, "iou": float, "pbca": float, "ap": float, "n": int}
_ENDS = dict.fromkeys((f"{score}_{end}" for score in ("iou", "pbca", "ap") for end in ("low", "high")), float)


def read_object(path: Path, kinds: dict[str, type] | None = None, needed: tuple[str, ...] = ()) -> dict:
    """The JSON object in `path`. WsdlError where it is none, lacks a key in `needed`, or a value is not of its kind."""
    return check_object(read_json(path), kinds or {}, needed, str(path))


def read_config(folder: Path) -> dict:
    """config.json of a run: what was asked."""
    return read_object(Path(folder) / "config.json", _CONFIG)


def read_about(folder: Path) -> dict:
    """run.json of a run: its status, one of STATUSES, and what its results depend on."""
    path = Path(folder) / "run.json"
    about = read_object(path, {"status": str, "seconds": float, "error": str}, needed=("status",))
    if about["status"] not in STATUSES:
        raise WsdlError(f"{path}: status is {_shown(about['status'])}, but must be one of {', '.join(STATUSES)}.")
    return about


def read_metrics(folder: Path) -> dict:
    """metrics.json of an evaluation: its preset, the sha256 of the manifest of its data, and its rows, detector first.

    The rows of preset `dolos` have finite IoU, PBCA and AP; without any mask (n_masks 0) IoU and PBCA are NaN.
    """
    path = Path(folder) / "metrics.json"
    metrics = read_object(path, _METRICS, needed=tuple(_METRICS))
    if not metrics["rows"]:
        raise WsdlError(f"{path}: has no rows; evaluate the run again.")
    for number, row in enumerate(metrics["rows"]):
        lacking = ("iou", "pbca") if isinstance(row, dict) and row.get("n_masks") == 0 else ()
        needed = tuple(key for key in _ROW if key not in lacking) if metrics["preset"] == "dolos" else ("method",)
        check_object(row, _ROW, needed, f"{path}: row {number}")
        check_object(row, _ENDS, (), f"{path}: row {number}", finite=False)  # of too few faces there is no interval
        row |= dict.fromkeys(lacking, math.nan)
    return metrics


def read_stats(folder: Path) -> list[dict]:
    """The lines of stats.jsonl, without a last line that a kill cut short; each an object of numbers with `images`."""
    path = Path(folder) / "stats.jsonl"
    if not path.exists():
        return []
    lines = read_text(path).split("\n")[:-1]
    return [_stats_line(line, f"{path}: line {number}") for number, line in enumerate(lines, 1)]


def _stats_line(line: str, where: str) -> dict:
    try:
        numbers = json.loads(line)
    except (ValueError, RecursionError):
        raise WsdlError(f"{where} is {_shown(line)}, but must be a JSON object.") from None
    numbers = check_object(numbers, {"images": int}, ("images",), where)
    return check_object(numbers, dict.fromkeys(numbers.keys() - {"images"}, float), (), where, finite=False)


def check_object(value, kinds: dict[str, type], needed: tuple[str, ...], where: str, finite: bool = True) -> dict:
    """`value` if it is an object with the keys `needed` whose values are of `kinds`, else WsdlError.

    None is of every kind, but not the value of a key that is needed. finite: NaN and infinity are no numbers.
    """
    if not isinstance(value, dict):
        raise WsdlError(f"{where}: is {_shown(value)}, but must be a JSON object.")
    for key in needed:
        if value.get(key) is None:
            raise WsdlError(f"{where}: has no {key}, which must be {_KINDS[kinds[key]]}.")
    for key, kind in kinds.items():
        if value.get(key) is not None and not _is_of(value[key], kind, finite):
            raise WsdlError(f"{where}: {key} is {_shown(value[key])}, but must be {_KINDS[kind]}.")
    return value


def _is_of(value, kind: type, finite: bool) -> bool:
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float) and (math.isfinite(value) or not finite)
    return isinstance(value, kind)


def _shown(value) -> str:
    """`value` as it is printed in a sentence, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
