"""Bad inputs of reports, notebooks, grids and localize."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from bad_input import BadInput

# --- arranging --------------------------------------------------------------------------------------------------------

BINARY = bytes(range(128, 256))
SCORES = {"iou": 0.5, "pbca": 0.6, "ap": 0.7, "n": 2}
PICTURES = """path,kind,generator,component,area,source_id,score,iou,pbca
a.png,real,,,0.0,1,0.1,,
b.png,partial,p2,skin,0.1,1,0.2,0.4,0.5
c.png,partial,p2,skin,0.1,2,0.9,0.6,0.7
"""
PROBLEM = r"wsdl: .*/runs/damaged"


def put(name: str, content: str | bytes) -> Callable:
    """A file of that name and content."""

    def arrange(place: Path) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return arrange


def grid(**changes) -> Callable:
    """A grid of one job, with other entries in grid.json."""
    job = {"method": "patches", "setup": "b", "train_source": "made-up", "seed": 0}
    return put("grid/grid.json", json.dumps({"profile": {}, "images": "", "masks": "", "cells": [job]} | changes))


def job(**changes) -> Callable:
    return grid(cells=[{"method": "patches", "setup": "b", "train_source": "made-up", "seed": 0} | changes])


def evaluated(folder: Path, seed: int) -> None:
    """A run folder as `evaluate` leaves it, with the files that tables read."""
    folder.mkdir(parents=True)
    config = {"method": "patches", "setup": "c", "source": "made-up", "seed": seed}
    rows = [{"method": "patches", "setup": "c", **SCORES}, {"method": "control: all-fake", "setup": "", **SCORES}]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text('{"status": "done"}')
    (folder / "metrics.json").write_text(json.dumps({"preset": "dolos", "data": "d", "rows": rows}))
    (folder / "pictures.csv").write_text(PICTURES)


def damaged(name: str, content: str | bytes) -> Callable:
    """Two evaluated runs; the file `name` of the second, runs/damaged, has another content."""

    def arrange(place: Path) -> None:
        evaluated(place / "runs" / "a", 0)
        evaluated(place / "runs" / "damaged", 1)
        put(f"runs/damaged/{name}", content)(place)

    return arrange


def changed(name: str, **changes) -> Callable:
    """The same with other entries in a JSON file; None deletes one."""

    def arrange(place: Path) -> None:
        damaged("unused", "")(place)
        path = place / "runs" / "damaged" / name
        entries = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in entries.items() if value is not None}))

    return arrange


def copied(place: Path) -> None:
    evaluated(place / "runs" / "a", 0)
    evaluated(place / "runs" / "damaged", 0)


def beside(name: str, content: str | bytes) -> Callable:
    """A finished training in runs/a, and a file of another kind."""

    def arrange(place: Path) -> None:
        put("runs/a/run.json", '{"status": "done"}')(place)
        put(f"runs/{name}", content)(place)

    return arrange


# --- cases ------------------------------------------------------------------------------------------------------------

TABLE = "report table --runs {place}/runs"
SITE = "report site --runs {place}/runs --out {out}"
STATUS = "grid status mine --out {place}/grid"
LOCALIZE = "localize {place}/x.png --out {out}"


def table(name: str, answer: str, arrange: Callable) -> BadInput:
    """One damaged run of two: the table is printed, and the run named."""
    return BadInput(f"table-{name}", TABLE, answer, arrange)


def site(name: str, answer: str, arrange: Callable) -> BadInput:
    """One damaged thing in a folder: the page is written, and the thing named."""
    return BadInput(f"site-{name}", SITE, answer, arrange, exit_code=0)


CASES = [
    # --- report table
    table("config-is-list", rf"{PROBLEM}/config.json: is \[\], but must be a", damaged("config.json", "[]")),
    table("config-is-empty", rf"{PROBLEM}/config.json: is not valid JSON", damaged("config.json", "")),
    table("config-without-method", rf"{PROBLEM}/config.json: has no method", changed("config.json", method=None)),
    table("config-with-seed-text", rf"{PROBLEM}/config.json: seed is 'x'", changed("config.json", seed="x")),
    table("metrics-are-empty", rf"{PROBLEM}/metrics.json: is not valid JSON", damaged("metrics.json", "")),
    table("metrics-are-binary", rf"{PROBLEM}/metrics.json: is not a text in UTF-8", damaged("metrics.json", BINARY)),
    table("metrics-without-rows", rf"{PROBLEM}/metrics.json: has no rows", changed("metrics.json", rows=[])),
    table("metrics-of-a-preset", rf"{PROBLEM}/metrics.json: .* preset 'free'", changed("metrics.json", preset="free")),
    table("metrics-row-is-text", rf"{PROBLEM}/metrics.json: row 0: is 'x'", changed("metrics.json", rows=["x"])),
    table("metrics-nan", rf"{PROBLEM}/metrics.json: row 0: iou is nan", changed("metrics.json", rows=[
        {"method": "patches", "setup": "c", **SCORES, "iou": float("nan")}])),
    table("pictures-are-empty", rf"{PROBLEM}/pictures.csv: is no table", damaged("pictures.csv", "")),
    table("pictures-are-binary", rf"{PROBLEM}/pictures.csv: is no table", damaged("pictures.csv", BINARY)),
    table("pictures-with-a-heading-only", rf"{PROBLEM}/pictures.csv: lists no partial fake",
          damaged("pictures.csv", PICTURES.splitlines()[0] + "\n")),
    table("pictures-without-a-column", rf"{PROBLEM}/pictures.csv: has no column iou",
          damaged("pictures.csv", PICTURES.replace("iou", "oui"))),
    table("pictures-with-text", rf"{PROBLEM}/pictures.csv: its column iou",
          damaged("pictures.csv", PICTURES.replace("0.4", "x"))),
    table("pictures-cut-short", rf"{PROBLEM}/pictures.csv: lists 1 fakes, but metrics.json was computed from 2",
          damaged("pictures.csv", "\n".join(PICTURES.splitlines()[:3]) + "\n")),
    table("pictures-of-other-images", rf"{PROBLEM}/pictures.csv: lists other images",
          damaged("pictures.csv", PICTURES.replace("c.png", "d.png"))),
    table("copied-run", rf"{PROBLEM}: is the same training with the same seed as .*/runs/a; keep one", copied),
    BadInput("table-of-nothing", TABLE, "runs: no such folder"),
    BadInput("table-of-an-empty-folder", "report table --runs {place}", "holds no evaluated run"),
    BadInput("table-in-another-format", f"{TABLE} --format tex", "--format", exit_code=2),
    # --- report site
    site("run-is-empty", "runs/damaged/run.json: is not valid JSON", beside("damaged/run.json", "")),
    site("run-is-null", "runs/damaged/run.json: is None", beside("damaged/run.json", "null")),
    site("run-with-another-status", "run.json: status is '<b>', but must be one of running",
         beside("damaged/run.json", '{"status": "<b>"}')),
    site("run-is-a-deep-list", "run.json: is not valid JSON", beside("damaged/run.json", "[" * 100_000)),
    site("stats-are-garbage", "stats.jsonl: line 1 is 'garbage'", beside("a/stats.jsonl", "garbage\n")),
    site("stats-are-binary", "stats.jsonl: is not a text", beside("a/stats.jsonl", BINARY)),
    site("stats-without-images", "stats.jsonl: line 1: has no images", beside("a/stats.jsonl", '{"loss": 1}\n')),
    site("grid-of-others", "grid.json: has no cells", beside("grid.json", '{"foreign": 1}')),
    site("grid-is-list", r"grid.json: is \[\]", beside("grid.json", "[]")),
    site("study-is-garbage", "study.json: is not valid JSON", beside("study.json", "garbage")),
    site("notebook-is-empty", "x.ipynb: is no valid Jupyter notebook", beside("x.ipynb", "")),
    site("notebook-is-list", "x.ipynb: is no valid Jupyter notebook", beside("x.ipynb", "[]")),
    site("notebook-is-binary", "x.ipynb: is not a text", beside("x.ipynb", BINARY)),
    site("lesson-is-empty", "01.run.json: is not valid JSON", beside("01.run.json", "")),
    site("lesson-with-another-status", "01.run.json: status is '<i>'", beside("01.run.json", '{"status": "<i>"}')),
    site("lesson-with-time-as-text", "01.run.json: seconds is 'x'",
         beside("01.run.json", '{"status": "done", "seconds": "x"}')),
    site("dataset-is-list", "dataset.json: ", lambda place: (
        beside("data/dataset.json", "[]")(place), put("runs/data/manifest.csv", "")(place))),
    BadInput("site-of-an-empty-folder", "report site --runs {place} --out {out}", "there is nothing to report"),
    BadInput("site-into-a-file", "report site --runs {place}/runs --out {place}/file", "file.*: cannot be written",
             lambda place: (beside("x", "")(place), put("file", "")(place))),
    # --- grid
    BadInput("grid-is-missing", STATUS, "grid: holds no grid"),
    BadInput("grid-is-empty", STATUS, "grid.json: is not valid JSON", put("grid/grid.json", "")),
    BadInput("grid-without-jobs", STATUS, "grid.json: has no cells, which must be a list", grid(cells=None)),
    BadInput("grid-with-jobs-as-text", STATUS, "grid.json: cells is 'x', but must be a list", grid(cells="x")),
    BadInput("grid-of-an-unknown-method", STATUS, "grid.json: .*must have a method", job(method="../../x")),
    BadInput("job-of-an-unknown-source", STATUS, "source is '../x', but must be one of", job(train_source="../x")),
    BadInput("grid-outside", STATUS, "'../../x' is no name of a generator", job(generators=["../../x"])),
    BadInput("grid-tested-outside", STATUS, "'../x' is no name of a generator", job(tests=["made-up/../x"])),
    BadInput("grid-of-another-profile", STATUS, "profile: unknown setting 'x'", grid(profile={"x": 1})),
    BadInput("collect-nothing", "grid collect mine --out {place}/grid", "no run of this grid is done yet", job()),
    BadInput("collect-a-damaged-run", "grid collect mine --out {place}/grid", "no run of this grid is done yet",
             lambda place: (job()(place), put(
                 "grid/made-up/runs/patches-b-repaint-p2-made-up-s0/run.json", "[]")(place))),
    BadInput("plan-of-a-binary-toml", "grid plan {place}/x.toml", "x.toml: is not a text", put("x.toml", BINARY)),
    BadInput("plan-of-a-broken-toml", "grid plan {place}/x.toml", "x.toml: is not valid TOML", put("x.toml", "a==1")),
    BadInput("plan-of-a-binary-json", "grid plan {place}/x.json", "x.json: is not a text", put("x.json", BINARY)),
    BadInput("plan-of-a-list", "grid plan {place}/x.json", "must hold one list, `jobs`", put("x.json", "[]")),
    BadInput("plan-of-a-folder", "grid plan {place}", "no such grid"),
    BadInput("plan-with-seeds-as-text", "grid plan table2 --seeds a,b", "--seeds: is 'a,b'"),
    # --- notebooks and demo
    BadInput("notebooks-into-a-file", "notebooks run --out {place}/file", "file.*cannot be", put("file", "")),
    BadInput("notebooks-of-a-broken-study", "notebooks run --out {place}/s", r"study.json: is \[\]",
             put("s/study.json", "[]")),
    BadInput("notebooks-of-another-profile", "notebooks run --out {out} --profile {place}/x.json",
             "x.json: is not a text", put("x.json", BINARY)),
    BadInput("notebooks-of-an-unknown-source", "notebooks run --out {out} --source mars", "--source: is 'mars'"),
    BadInput("html-of-nothing", "notebooks html {place}/x.ipynb --out {out}", "x.ipynb: no such file"),
    BadInput("html-of-a-broken-notebook", "notebooks html {place}/x.ipynb --out {out}", "is no valid Jupyter notebook",
             put("x.ipynb", "{}")),
    BadInput("html-of-a-folder", "notebooks html {place} --out {out}", "is not a file but a folder"),
    BadInput("demo-of-unknown-methods", "demo --out {out} --methods grad", "--methods: is 'grad'"),
    BadInput("demo-of-an-unknown-source", "demo --out {out} --source mars", "--source: is 'mars'"),
    BadInput("demo-of-photos-without-images", "demo --out {out} --source photos", "--images: missing"),
    BadInput("demo-of-an-unknown-profile", "demo --out {out} --profile nothing", "nothing: no such profile"),
    BadInput("demo-with-seed-as-text", "demo --out {out} --seed x", "--seed", exit_code=2),
    # --- localize and bench
    BadInput("localize-nothing", "localize --out {out}", "give IMAGE", exit_code=2),
    BadInput("localize-a-missing-image", LOCALIZE, "1 of 1 images could not be read"),
    BadInput("localize-a-text", LOCALIZE, "1 of 1 images could not be read", put("x.png", "text")),
    BadInput("localize-into-a-file", "localize {place}/x.png --out {place}/x.png", "x.png: cannot be made",
             put("x.png", "")),
    BadInput("localize-with-no-detector", f"{LOCALIZE} --detector nothing", "nothing: no such detector"),
    BadInput("localize-with-a-config-list", f"{LOCALIZE} --detector {{run}}", r"config.json: is \[\]",
             put("run/config.json", "[]")),
    BadInput("localize-with-empty-weights", f"{LOCALIZE} --detector {{run}}", "model.safetensors: ",
             put("run/model.safetensors", "")),
    BadInput("localize-with-broken-scores", f"{LOCALIZE} --detector {{run}}", "metrics.json: is not valid JSON",
             put("run/metrics.json", "x")),
    BadInput("localize-with-no-parser", f"{LOCALIZE} --parser nothing", "nothing: no such folder"),
    BadInput("bench-of-no-setup", "bench patches --setup z", "--setup: is 'z'"),
    BadInput("bench-of-negative-seconds", "bench patches --seconds -1", "--seconds: is -1.0, but must be above 0"),
    BadInput("bench-of-seconds-that-are-no-number", "bench patches --seconds nan", "--seconds: is nan"),
    BadInput("bench-of-an-unknown-method", "bench mine", "No such command", exit_code=2),
    # --- options of data
    BadInput("unpack-an-unknown-style", "data unpack mars --out {out}", "mars"),
    BadInput("unpack-unknown-fakes", "data unpack studio --out {out} --generators mars", "mars"),
    BadInput("audit-of-an-unknown-kind", "data audit {data} --kind odd", "odd"),
    BadInput("parse-score-of-an-unknown-split", "data parse-score --data {data} --split odd", "odd"),
    BadInput("match-into-itself", "data match {data} --out {data}", "data"),
    BadInput("judge-a-file", "data judge {place}/x", "x: no such folder", put("x", "")),
    BadInput("halve-nothing", "data halve {place} --out {out}", "place"),
    BadInput("bundle-an-empty-folder", "data bundle --style studio --data {place} --p2 {place} --out {out}", "place"),
    BadInput("prepare-size-zero", "data prepare --images {place} --out {out} --size 0", "--size", exit_code=2),
]  # fmt: skip


def not_utf8(place: Path) -> None:
    """A run and a notebook whose names are no UTF-8."""
    folder = os.fsencode(place / "runs") + b"/\xff"
    os.makedirs(folder)
    with open(folder + b"/run.json", "w") as file:
        file.write("[]")


CASES.append(site("name-is-not-utf-8", r"udcff/run.json: is \[\]", not_utf8))
