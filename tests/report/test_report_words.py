"""The sentences, labels and order of runs in the report."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from wsdl.core.io import write_json
from wsdl.core.run import PER_IMAGE_FILE
from wsdl.notebooks import lesson_notebooks, notebook_title
from wsdl.report.collect import Lesson, RunRecord, find_runs, missing_lessons
from wsdl.report.facts import compare_settings, flatten_settings, group_settings, parameter_tables
from wsdl.report.figures import curve_figures, grad_cam_note, shorten_labels, split_runs
from wsdl.report.predictions import EXPLORER_IMAGES, MAX_MAP_PIXELS, label_runs, select_for_explorer
from wsdl.report.results import compare_with_baselines, compare_with_masks


def found(name: str, setup: str, seed: int, method: str = "patches") -> RunRecord:
    config = {"method": method, "setup": setup, "seed": seed}
    return RunRecord(Path(name), name, config, {}, [], "done", "")


def row(method: str, setup: str, iou: tuple, pbca: tuple, source: str = "studio") -> dict:
    numbers = {"iou": iou, "pbca": pbca}
    numbers_of = {f"{score}{end}": value for score, some in numbers.items()
             for end, value in zip(("_low", "", "_high"), some, strict=True)}  # fmt: skip
    return {"source": source, "method": method, "setup": setup, **numbers_of}


def said_of(*rows: dict) -> list[str]:
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in compare_with_baselines(pd.DataFrame(rows))]


@pytest.mark.parametrize(
    ("iou", "said"), [((0.3, 0.4, 0.5), "Better"), ((0.2, 0.4, 0.5), "Not shown to differ"),
                      ((0.0, 0.05, 0.1), "Worse")]
)  # fmt: skip
def test_better_and_worse_need_disjoint_intervals(iou, said):
    baselines = [row("control: random", "", (0.1, 0.15, 0.2), (0.4, 0.5, 0.6)),
                row("control: centre-prior", "", (0.15, 0.2, 0.25), (0.1, 0.1, 0.1))]  # fmt: skip
    forensic = row("forensic: ela", "", (0.8, 0.9, 1), (0.8, 0.9, 1))  # neither a detector nor a trivial baseline
    lines = said_of(row("patches", "b", iou, (0.7, 0.8, 0.9)), *baselines, forensic)
    best = "in percent): the best baseline, a map made without looking at the image"
    assert lines == [
        "IoU (overlap of the marked with the inpainted region, "
        f"{best} (centre prior), reaches 20.0. {said}: Patches, setup B: {100 * iou[1]:.1f}.",
        f"PBCA (pixels rightly called real or fake, {best} (random), reaches 50.0. Better: Patches, setup B: 80.0.",
    ]


def test_a_detector_is_compared_with_baselines_of_its_source():
    low, high = (0.1, 0.2, 0.3), (0.6, 0.7, 0.8)
    rows = [row("patches", "a", (0.4, 0.5, 0.55), low), row("control: all-fake", "", low, low)]
    rows += [row("control: all-fake", "", high, high, "snapshot")]
    rows += [row("patches", "c", low, low, "studio (lama)")]  # trained on other fakes of the same faces
    (said, _) = said_of(*rows)
    assert said.startswith("IoU on studio (overlap ")
    assert "(all-fake), reaches 20.0. Better: Patches, setup A: 50.0. " in said
    assert said.endswith("Not shown to differ: Patches, setup C (lama): 20.0.")


def test_setups_are_compared_with_masks_image_by_image(tmp_path):
    """B has half the IoU of C on every image, so the paired interval has no width, however much images differ."""
    iou = pd.Series([0.2, 0.4, 0.8, 0.6])
    table = {"path": list("abcd"), "kind": "partial", "generator": "g", "component": "hair", "area": 0.1,
             "source_id": list("abcd"), "pbca": 0.5, "score": 0.5, "marked": 0.1}  # fmt: skip
    runs = []
    for setup, values in (("b", iou / 2), ("c", iou)):
        run = replace(found(str(tmp_path / setup), setup, 0), metrics={"data": "d"})
        run.folder.mkdir()
        rows = pd.DataFrame(table | {"iou": values})
        real = rows.head(1).assign(path="e", kind="real", iou=float("nan"), pbca=float("nan"), area=0.0, component="")
        pd.concat([rows, real]).to_csv(run.folder / PER_IMAGE_FILE, index=False)
        runs.append(run)
    (said,) = compare_with_masks(runs)
    assert said.replace("\N{NO-BREAK SPACE}", " ").endswith("paired intervals: Patches, setup B: 50.0 (50.0 to 50.0).")
    assert compare_with_masks(runs[:1]) == []


def test_runs_have_the_shortest_unique_labels():
    runs = [found("runs/one", "a", 0), found("runs/two", "c", 0)]
    assert list(label_runs(runs)) == ["Patches, setup A", "Patches, setup C"]
    runs.append(found("runs/three", "a", 1))
    assert list(shorten_labels(label_runs(runs))) == ["Setup A, seed 0", "Setup C, seed 0", "Setup A, seed 1"]
    runs.append(found("runs/longer", "a", 1))
    assert list(shorten_labels(label_runs(runs))) == ["Setup A, seed 0", "Setup C, seed 0", "three", "longer"]
    runs.append(found("other/longer", "a", 1))
    assert list(label_runs(runs))[2:] == ["three", "runs/longer", "other/longer"]


def test_the_run_that_was_evaluated_keeps_the_label():
    runs = [found("runs/lesson", "b", 0), replace(found("runs/main", "b", 0), metrics={"rows": []})]
    assert list(shorten_labels(label_runs(runs))) == ["lesson", "Setup B"]
    runs[0] = replace(runs[0], metrics={"rows": []})
    assert list(label_runs(runs)) == ["lesson", "main"]


def test_curves_show_the_validation_loss_under_either_name():
    """`label_validation`: it selects no checkpoint."""
    rows = [{"images": n, "loss": 1.0, "validation": 0.5} for n in (1, 2)] + [{"images": 3, "label_validation": 0.25}]
    run = replace(found("runs/one", "b", 0), stats=rows)
    ((_, figure),) = curve_figures([run]).values()
    assert [list(line.get_ydata()) for ax in figure.axes for line in ax.lines] == [[1.0, 1.0], [0.5, 0.5, 0.25]]


def test_runs_are_sorted_by_method_not_alphabetically(tmp_path):
    for method in ("attention", "grad-cam", "patches"):
        write_json(tmp_path / f"{method}-c" / "config.json", {"method": method, "setup": "c", "seed": 0})
        write_json(tmp_path / f"{method}-c" / "run.json", {"status": "done"})
    write_json(tmp_path / "p2" / "run.json", {"status": "done"})
    those = find_runs(tmp_path)
    assert [run.name for run in those] == ["patches-c", "grad-cam-c", "attention-c", "p2"]
    names = [line.split("<")[0] for line in parameter_tables(tmp_path, those).split("<h3>Detectors: ")[1:]]
    assert names == ["patches", "grad-cam", "attention"]


def test_many_runs_are_drawn_setup_by_setup():
    names = ["a0", "b0", "a1", "b1", "b2"]
    assert split_runs(names, 5, lambda name: name[0]) == [names]
    assert split_runs(names, 2, lambda name: name[0]) == [["a0", "a1"], ["b0", "b1"], ["b2"]]


@pytest.mark.parametrize(("runs", "size"), [(9, 128), (27, 128), (9, 256), (100, 512)])
def test_an_explorer_of_many_or_large_maps_has_fewer_images(runs, size):
    fakes = pd.DataFrame({"path": [f"{i:03d}" for i in range(50)], "source_id": [f"{i:03d}" for i in range(50)]})
    rows = select_for_explorer(SimpleNamespace(size=size, select=lambda kind, split: fakes), runs)
    assert 6 <= len(rows) <= EXPLORER_IMAGES
    assert len(rows) == 6 or len(rows) * runs * size**2 <= MAX_MAP_PIXELS


def test_lessons_that_were_not_run_are_named():
    first, *others = lesson_notebooks(long=True)
    assert missing_lessons([Lesson({"notebook": first.name}, None)]) == [notebook_title(path) for path in others]
    assert missing_lessons([Lesson({"notebook": "99_mine.ipynb"}, None)]) == missing_lessons([]) == []


@pytest.mark.parametrize(("method", "setup", "said"), [("grad-cam", "a", True), ("grad-cam", "c", False)])
def test_below_maps_of_grad_cam_stands_that_they_are_divided(method, setup, said):
    runs = [found("one", "a", 0), found("other", setup, 0, method)]
    assert ("maximum" in grad_cam_note(runs)) is said


def test_settings_that_runs_share_are_listed_once():
    facts = {"one": {"batch": 8, "settings": {"rate": 0.1, "size": 4}}, "two": {"batch": 8, "settings": {"rate": 0.2}}}
    text = compare_settings("Detectors", facts)
    assert '<td>batch</td><td class="wide">8</td>' in text
    assert "settings: rate\N{NO-BREAK SPACE}0.1, size\N{NO-BREAK SPACE}4" in text
    assert text.count(">batch<") == 1
    assert group_settings(flatten_settings({"a": {"b": [1, 2], "c": ""}})) == [["a", "b\N{NO-BREAK SPACE}1 2"]]
