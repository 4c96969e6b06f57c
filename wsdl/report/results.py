"""The table of a report, its numbers those of `wsdl.table`, and what they say in words."""

import re

import pandas as pd

from wsdl.report.page import table, text
from wsdl.table import HEADS, SCORES, spell

NOTE = (
    "Percent: means over partially fake test pictures, with 95&nbsp;% bootstrap intervals over source faces (in round "
    "brackets) and, of several seeds, the least and the most that one gave [in square brackets]. IoU and PBCA judge "
    "the map at 0.5, pixel by pixel; AP judges the score of the whole picture. Shaded rows are controls that look at "
    "no picture: a detector that does not beat them has learned nothing. Setup a: labels of real and wholly fake "
    "pictures; b: labels of real and partially fake pictures; c: masks of partially fake pictures, no real ones."
)
JUDGED = ("iou", "pbca")  # what a control may win by calling everything fake, or everything real


def results(rows: pd.DataFrame) -> str:
    """`rows` of `wsdl.table.table` as HTML, controls shaded."""
    who = ["method", "setup", *(["source"] if rows.source.nunique() > 1 else [])]
    cells = [
        [*(text(row[name]) for name in who), *(score(row, name) for name in SCORES), text(row["seeds"]), text(row["n"])]
        for row in rows.to_dict("records")
    ]
    head = [*who, *(f"{name} %" for name in HEADS.values()), "seeds", "pictures"]
    numbers = tuple(range(len(who), len(head)))
    shown = table(head, cells, number=numbers, control=lambda row: row[0].startswith("control"))
    return f'{shown}<p class="small">{NOTE}</p>'


def score(row: dict, name: str) -> str:
    """A score in percent, its interval and range smaller; a dash where there is none."""
    if pd.isna(row[name]):
        return text(None)
    doubts = re.sub(r" ([(\[].*?[)\]])", r' <span class="small">\1</span>', spell(row, name))
    return doubts.replace('class="small">[', 'class="small range">[')


def verdicts(rows: pd.DataFrame) -> list[str]:
    """A sentence for each detector: is it above the best control of its test data?"""
    control = rows.method.str.startswith("control:")
    said = []
    for row in rows[~control].to_dict("records"):
        others = rows[control & (rows.source == row["source"])]
        parts = [against(row, others, name) for name in JUDGED if len(others)]
        where = f" on {row['source']}" if rows.source.nunique() > 1 else ""
        said.append(f"{row['method']}, setup {row['setup']}{where}: {'; '.join(parts)}.")
    return said


def against(row: dict, controls: pd.DataFrame, name: str) -> str:
    """ "IoU 17.9 %, no clear difference from the best control (centre-prior, 17.6 %)": clear where intervals part."""
    best = controls.loc[controls[name].idxmax()]
    above, below = row[f"{name}_low"] > best[f"{name}_high"], row[f"{name}_high"] < best[f"{name}_low"]
    words = "above" if above else "below" if below else "no clear difference from"
    control = f"{best.method.removeprefix('control: ')}, {100 * best[name]:.1f}\N{NO-BREAK SPACE}%"
    return f"{HEADS[name]} {100 * row[name]:.1f}\N{NO-BREAK SPACE}%, {words} the best control ({control})"
