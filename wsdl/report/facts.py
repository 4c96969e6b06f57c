"""Tables of everything a result depends on: runs, parameters, versions, hardware, seeds, commit, data, licences."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from markupsafe import Markup

from wsdl.core.html import html_table
from wsdl.core.progress import format_duration, print_problem
from wsdl.core.records import read_object
from wsdl.core.run import LIBRARIES
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import SPLITS
from wsdl.report.collect import RunRecord, leave_out

SPACE = "\N{NO-BREAK SPACE}"
ENVIRONMENT = ("versions", "device", "hardware", "precision", "git")  # keys of run.json
HEADING, CODE = Markup("<h3>{}</h3>"), Markup("<code>{}</code>")
STATUS, NOTE = Markup('<span class="{0}">{0}</span>'), Markup("<br>{}")


def run_table(runs: list[RunRecord]) -> Markup:
    """Status, progress and duration of each run."""
    rows = []
    for run in runs:
        status = STATUS.format(run.status) + (NOTE.format(run.note) if run.note else "")
        images = run.stats[-1]["images"] if run.stats else None
        seconds = run.about.get("seconds")
        rows.append([run.name, status, images, format_duration(seconds) if seconds else None])
    return (
        html_table(["run", "status", "images processed", "time"], rows, number=(2, 3), wide=(1,)) if rows else Markup()
    )


def parameter_tables(folder: Path, runs: list[RunRecord], problem: Callable = print_problem) -> Markup:
    """The parameters of the study or grid, of detectors by method, and of generators."""
    tables = {}
    for name, title in (("study.json", "Study"), ("grid.json", "Grid")):
        for path in sorted(folder.rglob(name)):
            where = folder.name if path.parent == folder else str(path.parent.relative_to(folder))
            with leave_out(problem, str(path)):
                values = {
                    key: value for key, value in read_object(path).items() if key != "cells"
                }  # jobs: in run_table
                tables.setdefault(title, {})[where] = values
    for run in runs:
        title = f"Detectors: {run.config['method']}" if run.is_detector else "Generators and others"
        if run.config:
            tables.setdefault(title, {})[run.name] = run.config
    return Markup().join(compare_settings(title, settings) for title, settings in tables.items())


def environment_table(runs: list[RunRecord]) -> Markup:
    """Versions, device, hardware, precision and git commit."""
    facts = {run.name: {name: run.about[name] for name in ENVIRONMENT if name in run.about} for run in runs}
    return compare_settings("Versions and hardware", {name: values for name, values in facts.items() if values})


def compare_settings(title: str, settings: dict[str, dict]) -> Markup:
    """Settings by name of run: first those that all runs share, a row each; then what differs, a row per run."""
    if not settings:
        return Markup()
    flat = {name: flatten_settings(values) for name, values in settings.items()}
    first = next(iter(flat.values()))
    same = {key: value for key, value in first.items() if all(values.get(key) == value for values in flat.values())}
    differing = []
    for name, values in flat.items():
        own = {key: value for key, value in values.items() if key not in same}
        differing.append([name, "; ".join(": ".join(row) for row in group_settings(own))])
    head = f"the same for all {len(settings)}" if len(settings) > 1 else next(iter(settings))
    parts = [HEADING.format(title)]
    if same:
        parts.append(html_table(["", head], group_settings(same), wide=(1,)))
    if any(text for _, text in differing):
        parts.append(html_table(["", "differs"], differing, wide=(1,)))
    return Markup().join(parts)


def group_settings(flat: dict) -> list[list[str]]:
    """Rows of a table: one per setting; settings of one group ("settings.batch") share a row."""
    rows = {}
    for key, value in flat.items():
        group, _, name = key.rpartition(".")
        if value not in ("", None):
            rows.setdefault(group or name, []).append(f"{name}{SPACE}{value}" if group else str(value))
    return [[name, ", ".join(values)] for name, values in rows.items()]


def flatten_settings(settings: dict, prefix: str = "") -> dict:
    """{"settings": {"batch": 8}} as {"settings.batch": 8}; lists are joined with spaces."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= flatten_settings(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat


def dataset_facts(dataset: Dataset) -> Markup:
    """The content of dataset.json, and the number of images of each kind and split."""
    info = dataset.info
    rows = [["size", f"{info['size']}{SPACE}px"], ["licence", info.get("licence")]]
    rows += [["made by", CODE.format(command)] for command in _made_by(info.get("made_by"))]
    rows += [["manifest, sha256", CODE.format(info["manifest_sha256"])]]
    counts = dataset.table.fillna("").groupby(["kind", "generator", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    count_rows = [[*line[0], *line[1:]] for line in counts.itertuples()]
    return (
        HEADING.format(f"Dataset {info['name']}")
        + html_table(["name", info["name"]], rows, wide=(1,))
        + html_table(["kind", "generator", *SPLITS], count_rows, number=(2, 3, 4))
    )


def _made_by(made_by) -> list[str]:
    """The commands that made a dataset, each with its version."""
    steps = made_by if isinstance(made_by, list) else [made_by] if made_by else []
    return [
        f"{step['command']} (wsdl {step.get('version', '?')})" if isinstance(step, dict) and "command" in step else step
        for step in steps
    ]


def licence_table(datasets: list[Dataset]) -> Markup:
    """The licences of the data, of this code and of the libraries in use."""
    rows = [[f"images of {dataset.info['name']}", dataset.info.get("licence")] for dataset in datasets]
    rows += [[name, _licence(name)] for name in ("wsdl", *LIBRARIES)]
    return HEADING.format("Licences") + html_table(["what", "licence"], rows, wide=(1,))


def _licence(package: str) -> str:
    """The licence in the metadata of an installed package; that of wsdl also where it is not installed."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return "Apache-2.0" if package == "wsdl" else ""
    licence = about.get("License-Expression") or about.get("License") or ""
    if licence and "\n" not in licence:  # some packages put the full text there
        return licence
    classifiers = about.get_all("Classifier") or []
    return ", ".join(line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::"))
