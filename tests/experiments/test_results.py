"""Cross grids: their jobs, the fakes of each training and test, the table and the figure."""

import io
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from factories import TINY_PROFILE, add_lama, declare_cc0
from helpers import run_command
from PIL import Image

from wsdl import plots
from wsdl.bundle import generator_archives, unpack
from wsdl.bundle.pack import pack_style
from wsdl.config import GRID_GENERATORS, Fakes, Profile
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.core.records import read_metrics
from wsdl.data.corruptions import CORRUPTIONS
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.masks import read_mask
from wsdl.evaluation.baselines import BASELINES
from wsdl.evaluation.tables import results_by_job
from wsdl.experiments.grid import grid_status, is_finished, job_state, load_grid, make_grid, run_job, write_grid
from wsdl.experiments.jobs import Job, cross_generator, cross_source, grid_jobs
from wsdl.experiments.results import (
    ALL_BUT_TESTED,
    BEST_BASELINE,
    CROSS_COLUMNS,
    collect_results,
    cross_matrix,
    draw_matrix,
    missing_runs,
)
from wsdl.experiments.scheduler import run_grid as run_all
from wsdl.experiments.study import Study

pytestmark = pytest.mark.slow

JOBS = {"jobs": [
    {"method": "patches", "setup": "c", "generators": ["lama"], "tests": ["made-up/repaint-p2", "photos"]},
    {"method": "patches", "setup": "c", "tests": ["made-up/lama"]},
    {"method": "patches", "setup": "b", "generators": ["lama", "repaint-p2"], "tests": ["made-up/lama"]},
]}  # fmt: skip


@pytest.fixture(scope="module")
def both(dataset, tmp_path_factory):
    """`dataset` with fakes of a second generator."""
    folder = shutil.copytree(dataset, tmp_path_factory.mktemp("both") / "data")
    add_lama(folder)
    return folder


@pytest.fixture(scope="module")
def grid(both, dataset, tmp_path_factory):
    """A grid of three jobs on sources whose data is there; two jobs were run."""
    out = tmp_path_factory.mktemp("cross")
    write_json(out / "tiny.json", TINY_PROFILE)
    write_json(out / "jobs.json", JOBS)
    shutil.copytree(both, out / "out/made-up/data")
    shutil.copytree(dataset, out / "out/photos/data")
    with pytest.MonkeyPatch.context() as patch:
        make_nothing(patch)
        made = make_grid(str(out / "jobs.json"), out / "out", str(out / "tiny.json"), "made-up", images=str(out))
        write_grid(made)
        for job in made.jobs[:2]:
            run_job(made, job)
    return made


def make_nothing(patch: pytest.MonkeyPatch) -> None:
    """The data of a study is there: stand-ins, which no generator would make again."""
    patch.setattr(Study, "_make_fakes", lambda study: Dataset(study.out / "data", ("repaint-p2",)))


def test_cross_generator_is_a_square_and_leave_one_out():
    jobs = cross_generator("studio", (0,), "", GRID_GENERATORS)
    assert len(jobs) == 16
    assert [job.setup for job in jobs] == ["c"] * 8 + ["b"] * 8
    for k, (one, rest) in enumerate(zip(jobs[:4], jobs[4:8], strict=True)):
        others = tuple(name for name in GRID_GENERATORS if name != GRID_GENERATORS[k])
        assert (one.generators, one.tests) == ((GRID_GENERATORS[k],), tuple(f"studio/{name}" for name in others))
        assert (rest.generators, rest.tests) == (others, (f"studio/{GRID_GENERATORS[k]}",))
        assert one.needs()["studio"][0] == GRID_GENERATORS[k]
        assert set(one.needs()["studio"]) == set(GRID_GENERATORS)
    assert len(cross_generator("studio", (0, 1), "", GRID_GENERATORS[:2])) == 8  # no leave-one-out of two


def test_cross_source_tests_each_source_on_the_others(tmp_path):
    jobs = cross_source("studio", (0,), "photos", ())
    assert [(job.train_source, job.setup) for job in jobs[:3]] == [("snapshot", setup) for setup in "abc"]
    assert {job.tests for job in jobs[:3]} == {("studio", "photos")}
    assert {job.tests for job in grid_jobs("cross-source", "studio", (0,), "", ())[3:]} == {("snapshot",)}
    assert jobs[0].needs() == {"snapshot": ("repaint-p2",), "studio": ("repaint-p2",), "photos": ("repaint-p2",)}
    for source, expected in (("studio", "photos"), ("celebahq", "celebahq")):
        grid = make_grid("cross-source", tmp_path, source=source, images=str(tmp_path))
        assert {job.tests[-1] for job in grid.jobs} == {expected}


@pytest.mark.parametrize("source", ["photos", "celebahq"])
def test_the_weights_of_the_profile_are_for_the_photographs_only(tmp_path, source):
    write_json(tmp_path / "p.json", {"name": "mine", "p2_weights": "photos-p2", "fakes": {"T": 40}})
    words = {"out": tmp_path / "grid", "profile": str(tmp_path / "p.json")}
    with_photos = make_grid("cross-source", source=source, images=str(tmp_path), **words)
    assert with_photos.at("studio").has_bundled_fakes
    assert (with_photos.at(source).p2_weights, with_photos.at(source).profile.fakes.T) == ("photos-p2", 40)
    assert not make_grid("cross-source", **words).at("studio").has_bundled_fakes


def test_a_dataset_of_one_generator_lists_no_other_fakes(both):
    full, part = Dataset(both), Dataset(both, ("lama",))
    assert set(part.select(kind="partial").generator) == {"lama"}
    assert set(part.table.kind) == {"real", "full", "partial"}
    i = part.select(kind="partial").index[3]
    np.testing.assert_array_equal(part.images[i], read_image(both / full.table.path[i]))
    np.testing.assert_array_equal(part.masks[i], read_mask(both / full.table["mask"][i]))
    assert (part.is_filtered, full.is_filtered) == (True, False)


@pytest.mark.parametrize(
    ("generator", "words"),
    [
        ("pluralistic", "generate pluralistic --data .*train-generator pluralistic"),
        ("repaint-ldm-clean", "generate repaint-ldm --data .* --clean.*train-generator ldm"),
    ],
)
def test_missing_fakes_are_an_error_that_says_how_to_make_them(both, generator, words):
    with pytest.raises(WsdlError, match=rf"no partial fakes by '{generator}'.*lama, repaint-p2.*{words}"):
        Dataset(both, (generator,))


def test_a_grid_without_the_fakes_stops_before_training(grid, tmp_path, monkeypatch):
    make_nothing(monkeypatch)
    shutil.copytree(grid.out / "made-up/data", tmp_path / "out/made-up/data")
    three = ("repaint-p2", "lama", "pluralistic")
    asked = make_grid(
        "cross-generator", tmp_path / "out", str(grid.out.parent / "tiny.json"), "made-up", generators=three
    )
    with pytest.raises(WsdlError, match="no partial fakes by 'pluralistic'"):
        run_all(asked)
    assert not (tmp_path / "out/made-up/runs").exists()


def test_a_run_sees_only_its_generator_and_each_test_only_its_own(grid):
    lama, usual, _ = grid.jobs
    assert read_json(grid.run_folder(lama) / "config.json")["generator"] == "lama"
    assert read_json(grid.run_folder(usual) / "config.json")["generator"] == "repaint-p2"
    assert grid.name(lama) == "patches-c-lama-made-up-s0"
    tested = grid.test_folders(lama)
    assert list(tested) == ["made-up/lama", "made-up/repaint-p2", "photos/repaint-p2"]
    for test, folder in tested.items():
        kept = pd.read_csv(folder / "pictures.csv")
        assert set(kept.generator[kept.kind == "partial"]) == {test.split("/")[1]}
    there, photos = (read_json(folder / "metrics.json")["rows"] for folder in list(tested.values())[1:])
    assert there[0] == photos[0]  # the photographs of this test are the same images
    scores = [pd.read_csv(folder / "pictures.csv").score.iloc[-1] for folder in tested.values()]
    assert scores[0] != scores[1] == scores[2]


def test_fakes_of_others_change_no_number_of_the_own_test(grid, dataset, tmp_path):
    """Fakes of a second generator in the dataset do not change the scores of a run on those of the first."""
    usual = grid.jobs[1]
    here = read_json(grid.run_folder(usual) / "metrics.json")
    assert here["generators"] == ["repaint-p2"]
    from wsdl.evaluation.evaluate import evaluate

    alone = evaluate(grid.run_folder(usual), dataset, into=tmp_path)
    assert "generators" not in alone
    assert alone["rows"][0] == here["rows"][0]


def test_robustness_of_a_grid_is_scored_and_starts_with_its_own_numbers(grid, monkeypatch):
    levels = {"JPEG": replace(CORRUPTIONS["JPEG"], levels=(90, 75))}
    monkeypatch.setattr("wsdl.evaluation.robustness.CORRUPTIONS", levels)
    words = "grid", "collect", "jobs", "--out", grid.out, "--robustness"
    table = pd.read_csv(io.StringIO(run_command(*words)), keep_default_na=False)
    done = grid.jobs[:2]
    assert list(dict.fromkeys(table.run))[:-1] == sorted(grid.name(job) for job in done)
    for job in done:
        rows, own = table[table.run == grid.name(job)], read_metrics(grid.run_folder(job))["rows"][0]
        assert list(rows.condition) == ["clean", "JPEG 90", "JPEG 75"]
        assert rows.iou.astype(float).tolist()[0] == own["iou"]
    assert run_command(*words, "--format", "md").startswith("| run | score | clean | JPEG 90 | JPEG 75 |")
    with pytest.raises(WsdlError, match="--regions, --thresholds, --robustness: give one of them"):
        run_command(*words, "--regions")


def test_collect_has_one_row_per_training_and_test(grid):
    rows = collect_results(grid.out)
    assert tuple(rows.columns) == CROSS_COLUMNS
    pairs = list(zip(rows.trained_on[:5], rows.tested_on[:5], strict=True))
    assert pairs[:3] == [("made-up/lama", f"{test}") for test in grid.test_folders(grid.jobs[0])]
    assert (rows.iou_low[:5] <= rows.iou[:5]).all()
    assert list(rows.missing[:7]) == [""] * 5 + ["0", "0"]
    assert missing_runs(rows)[1] == "patches b made-up/lama+repaint-p2 on made-up/lama: seed 0"
    assert list(rows.method[7:]) == [*BASELINES] * 3
    assert list(rows.tested_on[7:].value_counts()) == [len(BASELINES)] * 3
    at_home = results_by_job(grid.out)  # without the tests on other data
    assert sorted(at_home.source[at_home.setup == "c"]) == ["made-up", "made-up (lama)"]
    assert len(at_home) == 2 + len(BASELINES)
    assert job_state(load_grid(grid.out), grid.jobs[0])[0] == "done"
    assert list(grid_status(grid.out).tests) == ["made-up/repaint-p2 photos", "made-up/lama", "made-up/lama"]
    printed = run_command("grid", "collect", "jobs", "--out", grid.out, "--format", "md")
    assert printed.startswith("| method | setup | trained on | tested on | seeds | IoU |")
    assert "| patches | c | made-up/lama | photos/repaint-p2 | 0 |" in printed
    assert Image.open(grid.out / "matrix.png").size[0] > 300


def test_a_run_is_finished_when_all_its_tests_are(grid, monkeypatch):
    make_nothing(monkeypatch)
    job = grid.jobs[0]
    last = list(grid.test_folders(job).values())[-1] / "metrics.json"
    before = last.read_text()
    last.unlink()
    assert not is_finished(grid, job)
    run_job(grid, job)
    assert is_finished(grid, job)
    assert last.read_text() == before


def test_another_call_says_what_a_run_is_tested_on(grid, tmp_path):
    job = Job("patches", "c", "made-up", 0, ("lama",), ("made-up/lama",))
    for tests in (("photos",), ("made-up/lama",)):
        one = make_grid(str(grid.out.parent / "jobs.json"), tmp_path, "quick", "made-up", images=str(tmp_path))
        write_grid(type(one)(one.out, (replace(job, tests=tests),), one.profile))
    assert load_grid(tmp_path).jobs == (job,)


def numbers(trained: str, tested: str, value: float, method: str = "patches", setup: str = "c") -> dict:
    scores = {f"{s}{part}": value for s in ("iou", "pbca", "ap") for part in ("", "_low", "_high", "_least", "_most")}
    row = {"method": method, "setup": setup, "trained_on": trained, "tested_on": tested, "seeds": "0", **scores}
    return row | {"n": 9, "missing": ""}


def test_the_matrix_has_rows_for_all_others_and_the_baseline():
    trivial = [numbers("", test, v, f"control: {v}", "") for test in ("s/x", "s/y", "s/y+z") for v in (0.1, 0.2)]
    rows = pd.DataFrame([
        numbers("s/x", "s/x", 0.9), numbers("s/x", "s/y", 0.4), numbers("s/y", "s/x", 0.3), numbers("s/y", "s/y", 0.8),
        numbers("s/y+z", "s/x", 0.5), numbers("s/y+z", "s/y+z", 0.7), numbers("s/x", "s/x", 0.1, setup="b"),
        *trivial, numbers("", "s/x", 0.6, "forensic: ela", ""),
    ])  # fmt: skip
    shown = cross_matrix(rows, "c")
    assert dict(zip(zip(shown.trained_on, shown.tested_on, strict=True), shown.iou, strict=True)) == {
        ("s/x", "s/x"): 0.9, ("s/x", "s/y"): 0.4, ("s/y", "s/x"): 0.3, ("s/y", "s/y"): 0.8,
        (ALL_BUT_TESTED, "s/x"): 0.5, (BEST_BASELINE, "s/x"): 0.2, (BEST_BASELINE, "s/y"): 0.2,
    }  # fmt: skip


def test_the_figure_writes_every_mean_and_interval(tmp_path):
    rows = pd.DataFrame([numbers("s/x", "s/x", 0.913), numbers("s/x", "s/y", 0.402)])
    rows["iou_low"], rows["iou_high"] = rows.iou - 0.1, rows.iou + 0.05
    words = [text.get_text() for text in plots.transfer_matrix({"setup c": rows}).axes[0].texts]
    assert words == ["91.3", "81 to 96", "40.2", "30 to 45"]
    one, two = (
        [label.get_text() for label in plots.transfer_matrix({"c": pd.DataFrame(some)}).axes[0].get_xticklabels()]
        for some in ([numbers("s/x", "s/y", 0.5)], [numbers("s/x", "t/y", 0.5)])
    )
    assert (one, two) == (["y"], ["t\ny"])  # the source is shown where there are several
    full = pd.DataFrame([numbers("s/p2", f"{source}/repaint-p2", 0.5, setup="a") for source in "st"])
    framed = [patch.get_x() for ax in plots.transfer_matrix({"c": rows, "a": full}).axes[:2] for patch in ax.patches]
    assert framed == pytest.approx([-0.46, -0.46])  # tested on its own source: setup a, too, which trains on full fakes
    assert draw_matrix(pd.concat([rows, pd.DataFrame([numbers("", "s/x", 0.2, "control: x", "")])]), tmp_path).exists()


def test_a_study_ignores_bundled_fakes_of_other_generators(both, p2, tmp_path, monkeypatch):
    """Their weights are not in the archive, so nothing is asked of them; `Dataset` lists all, lessons 01 to 06 not."""
    free = declare_cc0(shutil.copytree(both, tmp_path / "free"))
    write_json(free / "fake/lama/recipe.json", {"generator": "lama", "weights": "f" * 64})
    pack_style("studio", free, p2, tmp_path / "assets/studio.zip")
    monkeypatch.setattr(unpack, "STYLE_ARCHIVES", tmp_path / "assets")
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", tmp_path / "no further ones")
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "cache"))
    study = Study(tmp_path / "out", Profile(size=32, fakes=Fakes(full=8, partial=16)), "studio")
    assert set(study.fakes().select(kind="partial").generator) == {"repaint-p2"}
    full = Dataset(study.out / "data")
    assert full.generators == ("lama", "repaint-p2")
    for name in full.select(generator="lama").path:
        np.testing.assert_array_equal(read_image(full.folder / name), read_image(both / name))
    write_json(free / "fake/repaint-p2/recipe.json", {"generator": "repaint-p2", "weights": "f" * 64})
    with pytest.raises(WsdlError, match="sha256 ffff"):
        pack_style("studio", free, p2, tmp_path / "again.zip")
