"""The report: one page that needs no network, with the results, the lessons and what the numbers depend on."""

import base64
import html
from pathlib import Path

import pandas as pd

from wsdl.files import read_json, write_text
from wsdl.profiles import METHODS

# Light or dark as the reader's system is. Figures keep white paper: their colours mean something.
STYLE = """
:root { --text: #1c1e21; --paper: #fff; --faint: #666c75; --line: #d9dce1; --shade: #f3f4f6; --link: #0b5cad;
  --bad: #b3261e; --good: #1b7a3d; --word: #7a3e9d; --quote: #1b7a3d; --number: #a35200 }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6ea; --paper: #15171a; --faint: #9aa1ab; --line: #353a41;
  --shade: #1f2328; --link: #7ab7ff; --bad: #ff8a80; --good: #7fd69b; --word: #cfa3ee; --quote: #8fd6a5;
  --number: #f0b070 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem; max-width: 60rem; color: var(--text); background: var(--paper);
  font: 1rem/1.6 system-ui, sans-serif; color-scheme: light dark }
p, li, blockquote { max-width: 46rem } blockquote { color: var(--faint); margin-left: 0; font-size: .9rem }
h1 { line-height: 1.2; font-size: 1.9rem } h2 { margin-top: 2.2rem; line-height: 1.25 } h3 { margin-top: 1.6rem }
a { color: var(--link) } a.anchor-link { display: none }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px }
pre, code { font: .82rem/1.5 ui-monospace, Menlo, Consolas, monospace }
code { background: var(--shade); padding: .1em .3em; border-radius: 3px } pre code { padding: 0 }
pre { margin: .4rem 0; overflow-x: auto }
.highlight pre { background: var(--shade); padding: .7rem; border-radius: 4px }
.output_text pre { white-space: pre-wrap; color: var(--faint); padding-left: .7rem; border-left: 3px solid var(--line) }
.scroll, .output_html { overflow-x: auto } details.code > summary { color: var(--faint); font-size: .75rem }
table { border-collapse: collapse; font-size: .9rem; margin: .6rem 0; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap }
td.number, th.number { text-align: right } tr.control { background: var(--shade); color: var(--faint) }
td.wide { white-space: normal; min-width: 13rem }
@media (max-width: 40rem) { td .small { display: block } th, td { padding: .35rem .4rem } }
.small { color: var(--faint); font-size: .85rem } .ok { color: var(--good) } .failed { color: var(--bad) }
.lessons { list-style: none; padding: 0 } .lessons li { margin-bottom: .8rem }
.banner { border-left: 4px solid var(--bad); background: var(--shade); padding: .7rem 1rem; overflow-wrap: anywhere }
.highlight .k, .highlight .kn, .highlight .kc, .highlight .ow { color: var(--word) }
.highlight .s, .highlight .s1, .highlight .s2, .highlight .sd, .highlight .sa { color: var(--quote) }
.highlight .mi, .highlight .mf { color: var(--number) } .highlight .c1 { color: var(--faint); font-style: italic }
"""

FIGURES = {  # those with {method} in their names once for each method
    "faces.jpg": "Real faces of this study, the first by name.",
    "maps-{method}.png": "{method}: one test fake of each component, the first by file name, not chosen by how it "
    "turned out: the picture, where it was painted, and the map of each setup. The outline is the true mask; all maps "
    "share one scale.",
    "training-{method}.png": "{method}: loss on training pictures and on validation pictures, against the pictures "
    "seen. Setups a and b are judged by labels, setup c by masks, so only curves of one setup compare.",
}
KINDS = {".png": "image/png", ".jpg": "image/jpeg"}
SCORES = {"iou": "IoU %", "pbca": "PBCA %", "ap": "AP %"}


def page(title: str, body: str) -> str:
    """A whole page in the style that all pages share; `body` is HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def banner(problem: str) -> str:
    return f'<p class="banner"><strong class="failed">This run failed.</strong> {html.escape(problem)}</p>'


def index(out: Path) -> Path:
    """Write OUT/index.html from what lies in OUT, and return it. What is missing is said, not hidden."""
    out = Path(out)
    lessons = [read_json(path) for path in sorted((out / "lessons").glob("*.run.json"))]
    parts = [
        "<h1>Which pixels did a machine paint?</h1>",
        "<p>Detectors that learned only from “this picture is real” and “this picture is fake” (setups A and B) are "
        "asked where a face was repainted, and compared with one that was shown the masks (setup C). After Țânțaru, "
        "Oneață and Oneață, “Weakly-supervised deepfake localization in diffusion-generated images”, WACV 2024.</p>",
        "".join(banner(lesson["error"]) for lesson in lessons if lesson["status"] == "failed"),
        "<h2>Results</h2>",
        results(out / "results.csv"),
        figures(out),
        "<h2>Lessons</h2>",
        lesson_list(out, lessons),
        "<h2>What these numbers depend on</h2>",
        depends(out, lessons),
    ]
    write_text(out / "index.html", page("wsdl: results", "\n".join(parts)))
    return out / "index.html"


def results(path: Path) -> str:
    """The table of results.csv, controls shaded, with what its columns mean."""
    if not path.exists():
        return "<p>There is no results.csv yet: no detector was evaluated.</p>"
    head = "".join(f'<th class="number">{name}</th>' for name in SCORES.values())
    rows = "\n".join(result_row(row) for row in pd.read_csv(path).to_dict("records"))
    return (
        f'<div class="scroll"><table><tr><th>method</th><th>setup</th>{head}<th class="number">pictures</th>'
        f'<th class="number">seed</th></tr>\n{rows}</table></div>'
        '<p class="small">Means over partially fake test pictures, with 95&nbsp;% bootstrap intervals over source '
        "faces. IoU and PBCA judge the map at 0.5, pixel by pixel; AP judges the score of the whole picture. Shaded "
        "rows are controls that look at no picture: a detector that does not beat them has learned nothing. Setup a: "
        "labels of real and wholly fake pictures; b: labels of real and partially fake pictures; c: masks of partially "
        "fake pictures, no real ones.</p>"
    )


def result_row(row: dict) -> str:
    control = str(row["method"]).startswith("control")
    cells = "".join(f'<td class="number">{interval(row, name)}</td>' for name in SCORES)
    shade = " class=control" if control else ""
    return (
        f"<tr{shade}><td>{text(row['method'])}</td><td>{text(row['setup'])}</td>{cells}"
        f'<td class="number">{text(row.get("n"))}</td><td class="number">{text(row.get("seed"))}</td></tr>'
    )


def interval(row: dict, name: str) -> str:
    """A score and its interval in percent: "64.9 (61.0 to 68.3)"; a dash where there is none."""
    if pd.isna(row.get(name)):
        return "&ndash;"
    value, low, high = (100 * row.get(key, float("nan")) for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value:.1f}" + ("" if pd.isna(low) else f' <span class="small">({low:.1f} to {high:.1f})</span>')


def text(value) -> str:
    """`value` for a table cell, a whole number without its decimals."""
    if value is None or pd.isna(value):
        return "&ndash;"
    return html.escape(str(int(value) if isinstance(value, float) and value == int(value) else value))


def figures(out: Path) -> str:
    """The pictures in OUT/figures that the demo draws, inside the page, each with what it shows."""
    texts = {name.format(method=m): caption.format(method=m) for m in METHODS for name, caption in FIGURES.items()}
    shown = [(out / "figures" / name, caption) for name, caption in texts.items()]
    images = "".join(
        f'<p><img alt="{html.escape(caption)}" src="data:{KINDS[path.suffix]};base64,'
        f'{base64.b64encode(path.read_bytes()).decode()}"></p><p class="small">{html.escape(caption)}</p>'
        for path, caption in shown
        if path.exists()
    )
    return f"<h2>Figures</h2>{images}" if images else ""


def lesson_list(out: Path, lessons: list[dict]) -> str:
    """Each lesson: its title, linked where there is a page, how it went, and its question."""
    if not lessons:
        return "<p>No lesson was run.</p>"
    items = []
    for lesson in lessons:
        name, heading = Path(lesson["notebook"]).stem, html.escape(lesson["title"])
        if (out / "lessons" / f"{name}.html").exists():
            heading = f'<a href="lessons/{name}.html">{heading}</a>'
        colour = "ok" if lesson["status"] == "done" else "failed"
        status = f'<span class="small {colour}">{html.escape(lesson["status"])}, {lesson["seconds"]:.0f} s</span>'
        items.append(f"<li>{heading} {status}<br>{html.escape(lesson['question'])}</li>")
    return f'<ul class="lessons">{"".join(items)}</ul>'


def depends(out: Path, lessons: list[dict]) -> str:
    """Parameters, versions and hardware, as far as the folder tells."""
    facts = dict(lessons[-1]["parameters"]) if lessons else {}
    for path in sorted((out / "runs").glob("*/run.json"))[:1]:
        run = read_json(path)
        facts |= {
            "device": f"{run['device']} ({run['hardware']})",
            "precision": run["precision"],
            **run["versions"],
            "git": run["git"],
        }
    rows = "".join(
        f'<tr><td>{html.escape(str(key))}</td><td class="wide">{html.escape(str(value))}</td></tr>'
        for key, value in facts.items()
        if value not in ("", None)
    )
    return f'<div class="scroll"><table>{rows}</table></div>'
