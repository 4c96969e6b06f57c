"""What the numbers of a report depend on: runs, parameters, versions, hardware, seeds, commit, data and licences."""

import html
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from wsdl.core.html import table, text
from wsdl.core.io import read_json
from wsdl.core.progress import format_duration
from wsdl.core.run import LIBRARIES
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import SPLITS
from wsdl.report.collect import Found

OURS = ("cells",)  # of a grid: the table of runs has them


def run_table(runs: list[Found]) -> str:
    """How every run ended: done, failed and why, or how far it is."""
    rows = [
        [
            text(run.name),
            f'<span class="{run.status}">{text(run.status)}</span>' + (f"<br>{text(run.note)}" if run.note else ""),
            text(run.stats[-1]["images"] if run.stats else None),
            format_duration(run.about["seconds"]) if run.about.get("seconds") else text(None),
        ]
        for run in runs
    ]
    return table(["run", "status", "pictures seen", "time"], rows, number=(2, 3), wide=(1,)) if rows else ""


def parameters(folder: Path, runs: list[Found]) -> str:
    """What was asked: of the study or grid, of detectors and of generators."""
    parts = []
    for name, title in (("study.json", "Study"), ("grid.json", "Grid")):
        asked = {name_in(folder, path.parent): without(read_json(path), OURS) for path in sorted(folder.rglob(name))}
        parts.append(side_by_side(title, asked))
    kinds = {}  # each method has settings of its own: said once for all its runs
    for run in runs:
        title = f"Detectors: {run.config['method']}" if run.is_detector else "Generators and others"
        kinds.setdefault(title, {})[run.name] = run.config
    parts += [
        side_by_side(title, {name: asked for name, asked in some.items() if asked}) for title, some in kinds.items()
    ]
    return "".join(parts)


def name_in(folder: Path, place: Path) -> str:
    return folder.name if place == folder else str(place.relative_to(folder))


def environment_section(runs: list[Found]) -> str:
    """Versions, device, hardware, precision and git commit."""
    names = ("versions", "device", "hardware", "precision", "git")
    told = {run.name: {name: run.about[name] for name in names if name in run.about} for run in runs}
    return side_by_side("Versions and hardware", {name: facts for name, facts in told.items() if facts})


def side_by_side(title: str, facts: dict[str, dict]) -> str:
    """What is the same for all, a row each; then what each has of its own."""
    if not facts:
        return ""
    flat = {name: flattened(some) for name, some in facts.items()}
    first = next(iter(flat.values()))
    same = {key: value for key, value in first.items() if all(some.get(key) == value for some in flat.values())}
    own = {name: {key: v for key, v in some.items() if key not in same} for name, some in flat.items()}
    rest = [[text(name), "; ".join(": ".join(row) for row in grouped(some))] for name, some in own.items()]
    head = f"the same for all {len(facts)}" if len(facts) > 1 else text(next(iter(facts)))
    return (
        f"<h3>{html.escape(title)}</h3>"
        + (table(["", head], grouped(same), wide=(1,)) if same else "")
        + (table(["", "its own"], rest, wide=(1,)) if any(own.values()) else "")
    )


def grouped(flat: dict) -> list[list[str]]:
    """Rows of a table: a row a setting, and those of one group ("settings.batch") together in one."""
    rows = {}
    for key, value in flat.items():
        group, _, name = key.rpartition(".")
        if value not in ("", None):
            rows.setdefault(group or name, []).append(f"{text(name)}&nbsp;{text(value)}" if group else text(value))
    return [[text(name), ", ".join(values)] for name, values in rows.items()]


def flattened(facts: dict, before: str = "") -> dict[str, str]:
    """{"settings": {"batch": 8}} as {"settings.batch": "8"}; lists with spaces."""
    flat = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{before}{key}.")
        else:
            flat[before + key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat


def without(facts: dict, names: tuple[str, ...]) -> dict:
    return {key: value for key, value in facts.items() if key not in names}


def data(dataset: Dataset) -> str:
    """What dataset.json says, and how many pictures of each kind and split the manifest lists."""
    info = dataset.info
    known = [["size", f"{info['size']}&nbsp;px"], ["licence", text(info.get("licence"))]]
    known += [["made by", f"<code>{text(made)}</code>"] for made in makers(info.get("made_by"))]
    known += [["manifest, sha256", f"<code>{text(info['manifest_sha256'])}</code>"]]
    counts = dataset.table.fillna("").groupby(["kind", "generator", "split"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(SPLITS), fill_value=0)
    rows = [[*map(text, (*line[0], *line[1:]))] for line in counts.itertuples()]
    return (
        f"<h3>Dataset {text(info['name'])}</h3>"
        + table(["name", text(info["name"])], known, wide=(1,))
        + table(["kind", "generator", *SPLITS], rows, number=(2, 3, 4))
    )


def makers(made_by) -> list[str]:
    """The commands that made a dataset, each with its version."""
    made_by = made_by if isinstance(made_by, list) else [made_by] if made_by else []
    return [f"{m['command']} (wsdl {m.get('version', '?')})" if isinstance(m, dict) and "command" in m else str(m)
            for m in made_by]  # fmt: skip


def licences(datasets: list[Dataset]) -> str:
    """Under which terms the data, this code and the libraries in use may be passed on."""
    rows = [[f"pictures of {text(d.info['name'])}", text(d.info.get("licence"))] for d in datasets]
    rows += [[text(name), text(licence_of(name))] for name in ("wsdl", *LIBRARIES)]
    return "<h3>Licences</h3>" + table(["what", "licence"], rows, wide=(1,))


def licence_of(package: str) -> str:
    """What an installed package says of itself; wsdl's own where it runs from a checkout."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return "Apache-2.0" if package == "wsdl" else ""
    said = about.get("License-Expression") or about.get("License") or ""
    named = [line.split(" :: ")[-1] for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    return said if said and "\n" not in said else ", ".join(named)  # some put the whole text there
