"""`bench published`: the methods of others on a dataset, as in the last table of the paper."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.benchmarks.localize import score_triples
from wsdl.core.io import WsdlError
from wsdl.data.dataset import Dataset
from wsdl.data.paper_sets import choose_generators
from wsdl.detectors import load_detector
from wsdl.detectors.pretrained import find_detector
from wsdl.detectors.published import PUBLISHED, find_published, load_published
from wsdl.detectors.published.peers import NotInstalledError
from wsdl.evaluation.baselines import baseline_rows, row_label
from wsdl.evaluation.evaluate import metrics_rows
from wsdl.evaluation.metrics import average_precision, bootstrap, bootstrap_ap
from wsdl.evaluation.scoring import score_protocols

MEASURED, QUOTED = "measured", "quoted"  # kinds of rows
NOT_GIVEN, NOT_INSTALLED = "weights not given", "not installed"  # why there are none
# IoU and PBCA in percent, from the paper (Tantaru et al. 2024): on Repaint-P2/CelebA-HQ, and on COCO Glide.
_QUOTED = {
    "mantranet": ((4.8, 81.9), (25.1, 79.8)),
    "noiseprint": ((18.2, 23.8), (23.9, 29.0)),
    "psccnet": ((14.3, 66.5), (33.3, 80.6)),
    "trufor": ((23.1, 81.3), (29.2, 81.4)),
    "hifi-net": ((0.0, 81.0), (2.6, 3.2)),
    "psccnet, trained in c": ((89.0, 98.8), (13.3, 18.4)),
    "patches, trained in c": ((84.5, 98.7), (30.8, 64.8)),
}
_QUOTED_ON = "repaint-p2, celebahq", "coco-glide"
COLUMNS = ("method", "numbers", "on", *(name + end for name in ("iou", "pbca", "ap") for end in ("", "_low", "_high")),
           "n")  # fmt: skip


def bench_published(
    data: Sequence[Path], weights: Path | None, generators: Sequence[str] = (), detectors: Sequence[str] = (),
    triples: Path | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The published methods, `detectors` and all baselines on each dataset; then what the paper states, as such.

    data: dataset folders, of which the test split is scored; triples: a folder as in `bench_localize`, each set of it
    a dataset; detectors: pretrained ones by name, or run folders. Columns are COLUMNS, numbers in percent under preset
    dolos with 95 % intervals over source faces (of triples: over images); `numbers` is MEASURED, QUOTED, NOT_GIVEN
    where the weights of a method are not in `weights`, or NOT_INSTALLED where they are but its package is missing.
    WsdlError as `evaluate`, `load_detector` and `bench_localize`.
    """
    found = find_published(weights) if weights else {}
    methods = {name: found.get(name) for name in PUBLISHED}
    missing = {name: _why_not(name, weights) for name, method in methods.items() if method is None}
    methods |= {name: load_detector(find_detector(name)) for name in detectors}
    rows = [row for folder in data for row in _rows_on(folder, tuple(generators), methods, missing)]
    if triples:
        rows += _rows_on_triples(score_triples(triples, tuple(detectors), weights or ""), missing)
    return pd.DataFrame([*rows, *_quoted_rows()], columns=COLUMNS)


def _rows_on(data: Path, generators: tuple[str, ...], methods: dict, missing: dict[str, str]) -> list[dict]:
    """The rows of all methods and baselines on one dataset; missing: why a method has no numbers."""
    dataset = Dataset(data, choose_generators(data, generators))
    on = dataset.info.get("name") or Path(data).name
    rows = []
    for name, method in methods.items():
        if name in missing:
            rows.append({"method": name, "numbers": missing[name], "on": on})
            continue

        def predict(index, method=method):
            return method.predict(dataset.images[index])

        rows.append({"numbers": MEASURED, "on": on, **_row(name, score_protocols(dataset, predict)[1])})
    scored = baseline_rows(dataset, seed=0)
    for name in dict.fromkeys(row["method"] for row in scored):
        of = [row for row in scored if row["method"] == name]
        rows.append({"numbers": MEASURED, "on": on, **_row(row_label(name), of)})
    return rows


def _rows_on_triples(images: pd.DataFrame, missing: dict[str, str]) -> list[dict]:
    """The rows of all methods and baselines on each set of triples; missing: as for `_rows_on`."""
    rows = []
    for on, some in images.groupby("set", sort=False):
        rows += [{"method": name, "numbers": reason, "on": on} for name, reason in missing.items()]
        for name, of in some.groupby("method", sort=False):
            row = {"method": row_label(name), "numbers": MEASURED, "on": on, "n": len(of)}
            ids, reals, fakes = of.name.to_numpy(), of.score_real.to_numpy(), of.score_fake.to_numpy()
            for measure in ("iou", "pbca"):
                values = of[measure].to_numpy()
                row |= _percent(measure, values.mean(), *bootstrap(values, ids))
            ap = average_precision(np.repeat([0, 1], len(of)), np.concatenate([reals, fakes]))
            rows.append(row | _percent("ap", ap, *bootstrap_ap(reals, ids, fakes, ids)))
    return rows


def _percent(measure: str, value: float, low: float, high: float) -> dict:
    numbers = {measure: value, f"{measure}_low": low, f"{measure}_high": high}
    return {name: round(100 * float(number), 1) for name, number in numbers.items()}


def format_published(table: pd.DataFrame) -> str:
    """The table as Markdown in the form of the paper's: a column per dataset, "IoU (low to high) / PBCA", in percent.

    What was measured, or could not be, comes first; what the paper states is a table of its own.
    """
    quoted = table.numbers == QUOTED
    blocks = [("", table[~quoted]), ("Stated by the paper, on its own data:\n\n", table[quoted])]
    return "\n\n".join(title + _pivot(rows) for title, rows in blocks if len(rows))


def _pivot(rows: pd.DataFrame) -> str:
    cells = {(row.method, row.on): _cell(row) for row in rows.itertuples()}
    sets = list(dict.fromkeys(rows.on))
    lines = [["method", *sets], ["---"] * (len(sets) + 1)]
    lines += [[name, *(cells.get((name, on), "") for on in sets)] for name in dict.fromkeys(rows.method)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(row) -> str:
    if np.isnan(row.iou):
        return row.numbers
    interval = "" if np.isnan(row.iou_low) else f" ({row.iou_low:.1f} to {row.iou_high:.1f})"
    return f"{row.iou:.1f}{interval} / {row.pbca:.1f}"


def _why_not(name: str, weights: Path | None) -> str:
    """Why the method `name` of PUBLISHED, which `find_published` did not load, cannot be run."""
    try:
        load_published(name, weights or "")
    except NotInstalledError:
        return NOT_INSTALLED
    except WsdlError:
        pass
    return NOT_GIVEN


def _row(name: str, scored: list[dict]) -> dict:
    """One method's numbers in percent."""
    (row,) = metrics_rows([{"method": name, "setup": "", "seed": 0, **each} for each in scored], "dolos")
    percent = {key: 100 * row[key] if row[key] is not None else np.nan for key in COLUMNS[3:-1]}
    return {"method": name, "n": row["n"], **{key: round(value, 1) for key, value in percent.items()}}


def _quoted_rows() -> list[dict]:
    return [
        {"method": name, "numbers": QUOTED, "on": on, "iou": iou, "pbca": pbca}
        for column, on in enumerate(_QUOTED_ON)
        for name, (iou, pbca) in ((name, of[column]) for name, of in _QUOTED.items())
    ]
