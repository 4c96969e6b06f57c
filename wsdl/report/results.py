"""The results table of a report, and what its intervals support, in sentences."""

import re

import pandas as pd
from markupsafe import Markup

from wsdl.core.html import html_table
from wsdl.evaluation.baselines import row_kind, row_label, run_label
from wsdl.evaluation.breakdown import partial_fakes
from wsdl.evaluation.metrics import bootstrap_ratio
from wsdl.evaluation.robustness_table import CONDITIONS, robustness_lines
from wsdl.evaluation.tables import RESULT_SCORES, SCORE_TITLES, count_images, format_score
from wsdl.report.collect import RunRecord

NOTE = Markup('<p class="small">{}</p>').format(
    "In percent: means over partially fake test images, with 95 % bootstrap intervals over source faces (in round "
    "brackets) and, for several seeds, the lowest and highest result of one seed [in square brackets]. IoU and PBCA "
    "score the map at threshold 0.5, pixel by pixel; AP scores the image score. Shaded rows are baselines without "
    "training: constant, random and centre-prior maps, and forensic methods (ELA, noise residual). A detector whose "
    "interval does not exceed that of the best baseline is not shown to be better. Setup A: labels of real images and "
    "full fakes; B: labels of real images and partial fakes; C: masks of partial fakes, no real images."
)
ROBUSTNESS_NOTE = Markup('<p class="small">{}</p>').format(
    "In percent, with 95 % bootstrap intervals over source faces. Test images, real and fake, were analysed as they "
    "are, saved as JPEG of quality 90 and 75, reduced to half their size and enlarged again, and with added Gaussian "
    "noise of 4 grey levels. Baselines ignore the image. RUN/robustness.json has further levels, and blur."
)
NO_BREAK = str.maketrans(" -", "\N{NO-BREAK SPACE}\N{NON-BREAKING HYPHEN}")  # keeps "grad-cam c 36.1" on one line
COMPARED = {  # scores that constant maps can reach, and what they say
    "iou": "overlap of the marked with the inpainted region",
    "pbca": "pixels rightly called real or fake",
}


def results_section(rows: pd.DataFrame) -> Markup:
    """`rows` of `evaluation.tables.results_by_job` as HTML; baselines are shaded."""
    keys = ["method", "setup", *(["source"] if rows.source.nunique() > 1 else [])]
    cells, shaded = [], []
    for i, row in enumerate(rows.to_dict("records")):
        names = [run_label(row_label(row["method"])), row["setup"].upper(), *(row[key] for key in keys[2:])]
        cells.append([*names, *(_score_cell(row, score) for score in RESULT_SCORES), row["seeds"], count_images(row)])
        if row_kind(row["method"]) != "detector":
            shaded.append(i)
    head = [*keys, *(f"{title} %" for title in SCORE_TITLES.values()), "seeds", "images"]
    roomy = (len(head) - 2, len(head) - 1)  # seeds and images
    return html_table(head, cells, number=tuple(range(len(keys), len(head))), shaded=shaded, roomy=roomy) + NOTE


def robustness_section(rows: pd.DataFrame) -> Markup:
    """`rows` of `evaluation.robustness_table` as HTML: clean images beside corrupted ones; baselines are shaded."""
    lines = robustness_lines(rows, _score_cell)
    detectors = 2 * rows[rows.run != ""].run.nunique()  # lines
    head = ["run", "%", *CONDITIONS]
    columns = tuple(range(2, len(head)))
    return html_table(head, lines, number=columns, shaded=range(detectors, len(lines))) + ROBUSTNESS_NOTE


def _score_cell(row: dict, score: str) -> Markup | None:
    """A score in percent with its interval and range in small type."""
    if pd.isna(row[score]):
        return None
    text = re.sub(r" (\(.*?\))", r' <span class="small">\1</span>', format_score(row, score))
    return Markup(re.sub(r" (\[.*?\])", r' <span class="small range">\1</span>', text))


def compare_with_baselines(rows: pd.DataFrame) -> list[str]:
    """A sentence per score and source: which detectors are above the best baseline of their test data."""
    kinds = rows.method.map(row_kind)
    tested_on = rows.source.str.partition(" (")[0]  # "studio (lama)": trained on other fakes, tested on studio
    sentences = []
    for source, baselines in rows[kinds == "trivial"].groupby("source", sort=False):
        where = f" on {source}" if tested_on.nunique() > 1 else ""
        detectors = rows[(kinds == "detector") & (tested_on == source)]
        sentences += [
            _compare(detectors, baselines, score, where)
            for score in COMPARED
            if len(detectors) and baselines[score].notna().all()
        ]
    return sentences


def compare_with_masks(runs: list[RunRecord]) -> list[str]:
    """A sentence on the IoU of setups A and B as a share of that of setup C: the same method, seed and images."""
    runs = [run for run in runs if run.is_evaluated]
    key = {run.name: (run.config["method"], run.config["seed"], run.data) for run in runs}
    first, parts = min((run.config["seed"] for run in runs), default=0), []
    for run in runs:
        others = [each for each in runs if each.config["setup"] == "c" and key[each.name] == key[run.name]]
        if run.config["setup"] != "c" and run.config["seed"] == first and len(others) == 1:  # not of several generators
            parts.append(_share(run, others[0]))
    if not parts:
        return []
    return [f"IoU in percent of that of setup C, on the same images, with paired intervals: {'; '.join(parts)}."]


def _share(run: RunRecord, other: RunRecord) -> str:
    """ "Patches, setup A: 24.0 (18.3 to 29.2)"."""
    both = partial_fakes([run.folder]).merge(partial_fakes([other.folder])[["path", "iou"]], on="path")
    share = both.iou_x.mean() / both.iou_y.mean()
    low, high = bootstrap_ratio(both.iou_x.to_numpy(), both.iou_y.to_numpy(), both.source_id.to_numpy())
    name = run_label(f"{run.config['method']}, {run.config['setup']}")
    return f"{name}: {100 * share:.1f}".translate(NO_BREAK) + f" ({100 * low:.1f} to {100 * high:.1f})"


def _compare(detectors: pd.DataFrame, baselines: pd.DataFrame, score: str, where: str) -> str:
    """ "IoU (...): the best baseline reaches 17.6. Better: Patches, setup C: 77.7.": by disjoint intervals."""
    best = baselines.loc[baselines[score].idxmax()]
    groups = {"Better": [], "Not shown to differ": [], "Worse": []}
    for row in detectors.to_dict("records"):
        above, below = row[f"{score}_low"] > best[f"{score}_high"], row[f"{score}_high"] < best[f"{score}_low"]
        name = run_label(f"{row['method']}, {row['setup']} {row['source'].partition(' ')[2]}").strip()
        group = "Better" if above else "Worse" if below else "Not shown to differ"
        groups[group].append(f"{name}: {100 * row[score]:.1f}".translate(NO_BREAK))
    parts = [f"{group}: {'; '.join(names)}." for group, names in groups.items() if names]
    baseline = row_label(best.method).removeprefix("baseline: ")
    return (
        f"{SCORE_TITLES[score]}{where} ({COMPARED[score]}, in percent): the best baseline, a map made without looking "
        f"at the image ({baseline}), reaches {100 * best[score]:.1f}. {' '.join(parts)}"
    )
