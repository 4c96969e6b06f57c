"""The table of a report, its numbers those of `wsdl.evaluation.tables`, and what they say in words."""

import re

import pandas as pd

from wsdl.core.html import table, text
from wsdl.evaluation.baselines import row_kind
from wsdl.evaluation.tables import RESULT_SCORES, SCORE_TITLES, format_score

NOTE = (
    "Percent: means over partially fake test pictures, with 95&nbsp;% bootstrap intervals over source faces (in round "
    "brackets) and, of several seeds, the least and the most that one gave [in square brackets]. IoU and PBCA judge "
    "the map at 0.5, pixel by pixel; AP judges the score of the whole picture. Shaded rows need no training. Controls "
    "look at no picture: a detector that does not beat them has learned nothing. Forensic methods look for a region "
    "that was treated otherwise than the rest of its picture. Setup a: labels of real and wholly fake pictures; b: "
    "labels of real and partially fake pictures; c: masks of partially fake pictures, no real ones."
)
WHOLE = str.maketrans(" -", "\N{NO-BREAK SPACE}\N{NON-BREAKING HYPHEN}")  # no line ends inside "grad-cam c 36.1"
JUDGED = ("iou", "pbca")  # what a control may win by calling everything fake, or everything real


def results(rows: pd.DataFrame) -> str:
    """`rows` of `wsdl.evaluation.tables.results_by_job` as HTML, shaded where nothing was trained."""
    who = ["method", "setup", *(["source"] if rows.source.nunique() > 1 else [])]
    cells = [
        [
            *(text(row[name]) for name in who),
            *(score(row, name) for name in RESULT_SCORES),
            text(row["seeds"]),
            text(row["n"]),
        ]
        for row in rows.to_dict("records")
    ]
    head = [*who, *(f"{name} %" for name in SCORE_TITLES.values()), "seeds", "pictures"]
    numbers = tuple(range(len(who), len(head)))
    shown = table(head, cells, number=numbers, shaded=lambda row: row_kind(row[0]) != "detector")
    return f'{shown}<p class="small">{NOTE}</p>'


def score(row: dict, name: str) -> str:
    """A score in percent, its interval and range smaller; a dash where there is none."""
    if pd.isna(row[name]):
        return text(None)
    doubts = re.sub(r" ([(\[].*?[)\]])", r' <span class="small">\1</span>', format_score(row, name))
    return doubts.replace('class="small">[', 'class="small range">[')


def verdicts(rows: pd.DataFrame) -> list[str]:
    """A sentence for each score, and source: which detectors are above the best control of its test data, which not?"""
    roles = rows.method.map(row_kind)
    homes = rows.source.str.partition(" (")[0]  # "studio (lama)" was trained on other fakes, and tested on studio
    said = []
    for source, controls in rows[roles == "trivial"].groupby("source", sort=False):
        where = f" on {source}" if homes.nunique() > 1 else ""
        own = rows[(roles == "detector") & (homes == source)]
        said += [against(own, controls, name, where) for name in JUDGED if len(own)]
    return said


def against(own: pd.DataFrame, controls: pd.DataFrame, name: str, where: str) -> str:
    """ "IoU in percent, beside the best control (random, 17.6). Above it: patches c 77.7.": where intervals part."""
    best = controls.loc[controls[name].idxmax()]
    groups = {"Above it": [], "No clear difference": [], "Below it": []}
    for row in own.to_dict("records"):
        above, below = row[f"{name}_low"] > best[f"{name}_high"], row[f"{name}_high"] < best[f"{name}_low"]
        painter = row["source"].partition(" ")[2]
        who = " ".join(filter(None, (row["method"], row["setup"], painter)))
        groups["Above it" if above else "Below it" if below else "No clear difference"].append(
            f"{who} {100 * row[name]:.1f}".translate(WHOLE)
        )
    parts = [f"{words}: {', '.join(some)}." for words, some in groups.items() if some]
    control = f"{best.method.removeprefix('control: ')}, {100 * best[name]:.1f}"
    return f"{SCORE_TITLES[name]}{where} in percent, beside the best control ({control}). {' '.join(parts)}"
