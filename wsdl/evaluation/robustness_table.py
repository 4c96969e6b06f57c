"""The results of `evaluate --robustness` of many runs as one table: corrupted images beside clean ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.config import method_order
from wsdl.core.io import WsdlError, sha256
from wsdl.core.progress import print_problem
from wsdl.core.records import check_object, read_config, read_object
from wsdl.core.run import MODEL_FILE
from wsdl.evaluation.baselines import row_kind, row_label
from wsdl.evaluation.robustness import ROBUSTNESS_FILE
from wsdl.evaluation.tables import SCORE_TITLES, format_score, source_name

# Heading -> corruption and level, as in the rows of robustness.json.
CONDITIONS = {
    "clean": ("none", None),
    "JPEG 90": ("JPEG", 90),
    "JPEG 75": ("JPEG", 75),
    "resize 0.5": ("resize", 0.5),
    "noise 4": ("noise", 4),
}
SHOWN_SCORES = ("iou", "ap")
_NUMBERS = tuple(score + end for score in SHOWN_SCORES for end in ("", "_low", "_high"))
TABLE_COLUMNS = ("run", "source", "method", "setup", "seed", "condition", *_NUMBERS, "n")
_ROW = {"treatment": str, "method": str, "level": float, "n": int, **dict.fromkeys(_NUMBERS, float)}


def find_robustness(folder: Path) -> dict[str, Path]:
    """The runs in `folder`, at any depth, that `evaluate --robustness` scored, by their path below it."""
    folder = Path(folder)
    found = sorted(path.parent for path in folder.rglob(ROBUSTNESS_FILE) if (path.parent / "config.json").exists())
    return {run.name if run == folder else str(run.relative_to(folder)): run for run in found}


def robustness_table(runs: dict[str, Path], problem: Callable[[str], object] = print_problem) -> pd.DataFrame:
    """The stored results of `runs`: a row per run and one of CONDITIONS, then the baselines of each source.

    Columns are TABLE_COLUMNS: IoU and AP in [0, 1] with 95 % intervals over source faces; `n` test fakes. Conditions
    that a run of an earlier version lacks are left out. The baselines are those that ignore the image, so they have the
    same numbers in every condition. A run whose results are damaged or of another model is left out with
    problem(message). WsdlError where none remains.
    """
    rows, baselines = [], {}
    for name, run in sorted(runs.items(), key=lambda item: item[0]):
        try:
            config, stored = _read_robustness(run)
        except WsdlError as error:
            problem(str(error))
            continue
        who = {"run": name, "source": source_name(config), "seed": config["seed"]}
        for condition, wanted in CONDITIONS.items():
            rows += [who | {"condition": condition} | _numbers(row) for row in stored if _condition(row) == wanted]
        trivial = [row for row in stored if row_kind(row["method"]) == "trivial"]
        baselines.setdefault(config["source"], trivial)
    if not rows:
        raise WsdlError("no run has scores of corrupted images; make them by `evaluate RUN --data DIR --robustness`.")
    rows.sort(key=lambda row: method_order(row["method"]))  # stable: otherwise by name
    for source, some in baselines.items():
        about = {"run": "", "source": source, "seed": ""}
        rows += [about | {"condition": name} | _numbers(row) for row in some for name in CONDITIONS]
    return pd.DataFrame(rows, columns=TABLE_COLUMNS).astype(dict.fromkeys(_NUMBERS, float))


def _read_robustness(run: Path) -> tuple[dict, list[dict]]:
    """config.json and the rows of robustness.json. WsdlError where either is damaged, or of another model."""
    path, config = run / ROBUSTNESS_FILE, read_config(run)
    for key in ("method", "setup", "source", "seed"):
        if config.get(key) is None:
            raise WsdlError(f"{run / 'config.json'}: has no {key}; it is not that of a run of `train`.")
    stored = read_object(path, {"model": str, "rows": list}, needed=("model", "rows"))
    for number, row in enumerate(stored["rows"]):
        check_object(row, _ROW, ("treatment", "method", "n"), f"{path}: row {number}", finite=False)
    if (run / MODEL_FILE).is_file() and sha256(run / MODEL_FILE) != stored["model"]:
        raise WsdlError(f"{path}: was made with another {MODEL_FILE}; run `evaluate --robustness` again.")
    return config, stored["rows"]


def _condition(row: dict) -> tuple[str, float | None]:
    return row["treatment"], row.get("level")


def _numbers(row: dict) -> dict:
    return {key: row.get(key, np.nan) for key in (*_NUMBERS, "n")} | {
        "method": row["method"],
        "setup": row.get("setup", ""),
    }


def robustness_lines(table: pd.DataFrame, cell: Callable[[dict, str], object]) -> list[list]:
    """`robustness_table` for reading: a line per run and score, with a cell(row, score) per condition after both names.

    The rows are as in `format_score`. A cell is None where the run was not scored in that condition.
    """
    table = table.assign(**{f"{score}_{end}": np.nan for score in SHOWN_SCORES for end in ("least", "most")})
    several = table.source.nunique() > 1
    lines = []
    for (run, source, method), rows in table.groupby(["run", "source", "method"], sort=False):
        name = run or row_label(method) + (f", {source}" if several else "")
        by_condition = {row["condition"]: row for row in rows.to_dict("records")}
        for score in SHOWN_SCORES:
            cells = [cell(by_condition[one], score) if one in by_condition else None for one in CONDITIONS]
            lines.append([name, SCORE_TITLES[score], *cells])
    return lines


def robustness_to_markdown(table: pd.DataFrame) -> str:
    """`robustness_table` as Markdown, in percent: "52.4 (44.5 to 59.2)"."""
    heads = ("run", "score", *CONDITIONS)
    lines = [heads, *robustness_lines(table, format_score)]
    shown = ["| " + " | ".join("" if text is None else str(text) for text in line) + " |" for line in lines]
    return "\n".join([shown[0], "|---" * len(heads) + "|", *shown[1:]])
