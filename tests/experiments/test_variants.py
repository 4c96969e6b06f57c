"""Variants of settings in grids: their jobs, folders, refusals, and the table with shares of setup C."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from factories import TINY_PROFILE, scored_images
from helpers import run_command

from wsdl.config import PatchesMilTraining, Profile
from wsdl.core.io import WsdlError, read_json, write_json
from wsdl.data.dataset import Dataset
from wsdl.detectors.label_losses import LABEL_LOSSES
from wsdl.evaluation.breakdown import partial_fakes
from wsdl.evaluation.metrics import bootstrap_ratio
from wsdl.experiments import variant_results
from wsdl.experiments.estimate_grid import describe_grid
from wsdl.experiments.grid import Grid, grid_status, load_grid, make_grid, run_job, write_grid
from wsdl.experiments.jobs import Job, weak_ablations, weak_losses
from wsdl.experiments.results import collect_results, usable_jobs
from wsdl.experiments.study import Study
from wsdl.experiments.variants import VARIANTS

JOBS = {"jobs": [
    {"method": "patches-mil", "setup": "c"},
    {"method": "patches-mil", "setup": "b"},
    {"method": "patches-mil", "setup": "b", "variant": "max", "seed": 0},
    {"method": "patches-mil", "setup": "a", "variant": "mine", "settings": {"batch": 8, "ema_decay": 0}, "seed": 0},
]}  # fmt: skip
PROFILE = TINY_PROFILE | {
    "patches_mil": {"input_size": 32, "images": 16, "images_c": 16, "check_every": 8, "warm_up_images": 8}
}


def write_jobs(folder, *jobs) -> str:
    write_json(folder / "jobs.json", {"jobs": list(jobs)})
    return str(folder / "jobs.json")


# --- which jobs -------------------------------------------------------------------------------------------------------


def test_every_variant_is_settings_that_patches_mil_has():
    assert {name for variant in VARIANTS.values() for name in variant.changes} <= set(asdict(PatchesMilTraining()))
    assert set(LABEL_LOSSES) < set(VARIANTS)
    assert all(variant.changes for variant in VARIANTS.values())


def test_weak_losses_has_every_loss_and_the_recipes():
    jobs = weak_losses("studio", (0, 3), False, ("repaint-p2", "lama"))
    assert len(jobs) == 2 * (3 + 1 + len(LABEL_LOSSES) + 2)
    first = [job for job in jobs if job.seed == 0]
    alone = [dict(job.settings) for job in first if job.setup == "b" and job.variant]
    assert {settings["label_loss"] for settings in alone} == set(LABEL_LOSSES)
    assert not any(settings["cut_and_paste"] for settings in alone)
    assert {job.setup: job.tests for job in first if not job.variant} == dict.fromkeys(
        "abc", ("studio/lama", "snapshot")
    )
    assert all(job.method == "patches-mil" for job in jobs)
    assert not any(job.tests for job in jobs if job.variant)


def test_all_variants_see_as_many_images():
    """Pasted images are counted in `images`; a variant that changed it would not be comparable."""
    jobs = weak_losses("studio", (0,), False, ()) + weak_ablations("studio", (0,), False, ())
    grid = Grid(Path("out"), tuple(jobs), Profile())
    amounts = {(job.setup == "c", grid.study(job).profile.patches_mil.amounts(job.setup)) for job in jobs}
    assert len(amounts) == 2


def test_ablations_compare_a_network_with_its_own_setup_c():
    jobs = weak_ablations("made-up", (0,), False, ("repaint-p2", "lama"))
    assert {job.setup for job in jobs if job.variant == "block2"} == set("abc")
    assert not any(job.tests for job in jobs)  # no fakes by others come with this source


def test_a_job_file_names_a_variant_or_gives_its_own(tmp_path):
    named = {"method": "patches-mil", "setup": "b", "variant": "max"}
    own = {"method": "patches", "setup": "b", "variant": "slow", "settings": {"rate": 1}}
    grid = make_grid(write_jobs(tmp_path, named, own), tmp_path / "out")
    assert [dict(job.settings) for job in grid.jobs] == [VARIANTS["max"].changes, {"rate": 1.0}]
    assert [grid.name(job) for job in grid.jobs] == [
        "patches-mil-b-repaint-p2-studio-max-s0",
        "patches-b-repaint-p2-studio-slow-s0",
    ]
    assert grid.study(grid.jobs[1]).profile.patches.rate == 1
    assert grid.study(grid.jobs[1]).profile.patches_mil == Profile().patches_mil


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": "strange"}, "job 0: no variant 'strange'; choose every-patch, "),
        ({"settings": {"batch": 2}}, "job 0: has settings, but no name for them"),
        ({"variant": "../up", "settings": {"batch": 2}}, "variant is '../up'"),
        ({"variant": "mine", "settings": {"bach": 2}}, "job 0: settings: unknown setting 'bach'"),
        ({"variant": "mine", "settings": {"batch": "2"}}, "settings: batch is '2', but must be of type int"),
        ({"variant": "mine", "settings": {"batch": 0}}, "settings: batch is 0"),
        ({"variant": "mine", "settings": [1]}, r"settings: is \[1\]"),
        ({"variant": "mine", "settings": {"label_loss": "min"}}, "settings: label_loss is 'min'"),
        ({"variant": "max", "settings": {"batch": 2}}, "the variant 'max' has other settings"),
        ({"variant": "max", "method": "patches"}, "settings: unknown setting"),
        ({"variant": 3}, "variant is 3"),
    ],
)
def test_wrong_variants_are_one_sentence(tmp_path, changes, message):
    with pytest.raises(WsdlError, match=message):
        make_grid(write_jobs(tmp_path, {"method": "patches-mil", "setup": "b"} | changes), tmp_path / "out")


def test_one_name_for_two_settings_is_refused(tmp_path):
    two = [{"method": "patches-mil", "setup": "b", "variant": "mine", "settings": {"batch": n}} for n in (2, 4)]
    with pytest.raises(WsdlError, match=r"two variants 'mine', one with {'batch': 2}, one with {'batch': 4}"):
        make_grid(write_jobs(tmp_path, *two), tmp_path / "out")
    write_grid(make_grid(write_jobs(tmp_path, two[0]), tmp_path / "out"))
    write_grid(make_grid(write_jobs(tmp_path, two[1]), tmp_path / "out"))  # nothing was made with the first
    (tmp_path / "out/studio/data").mkdir(parents=True)
    (tmp_path / "out/studio/data/manifest.csv").touch()
    with pytest.raises(WsdlError, match="two variants 'mine'"):
        write_grid(make_grid(write_jobs(tmp_path, two[0]), tmp_path / "out"))


def test_grids_of_earlier_versions_keep_jobs_and_names(tmp_path):
    grid = make_grid("table2", tmp_path / "out")
    write_grid(grid)
    written = read_json(tmp_path / "out/grid.json")
    assert set(written["cells"][0]) == {"method", "setup", "train_source", "seed", "generators", "tests"}
    assert load_grid(tmp_path / "out").jobs == grid.jobs
    assert grid.name(grid.jobs[1]) == "patches-b-repaint-p2-studio-s0"
    assert "variant" not in grid_status(tmp_path / "out")


# --- a miniature, from training to table ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(dataset, tmp_path_factory):
    """A grid of six jobs with data that is there; all but one were run."""
    out = tmp_path_factory.mktemp("variants")
    write_json(out / "tiny.json", PROFILE)
    write_json(out / "jobs.json", JOBS)
    shutil.copytree(dataset, out / "out/made-up/data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "_make_fakes", lambda study: Dataset(study.out / "data", ("repaint-p2",)))
        made = make_grid(str(out / "jobs.json"), out / "out", str(out / "tiny.json"), "made-up", seeds=(0, 1))
        write_grid(made)
        for job in made.jobs:
            if job != Job("patches-mil", "b", "made-up", 1):
                run_job(made, job)
    return made


@pytest.mark.slow
def test_each_variant_is_trained_with_its_settings(ran):
    kept = {job.variant: read_json(ran.run_folder(job) / "config.json") for job in ran.jobs[-2:]}
    assert (kept["max"]["settings"]["label_loss"], kept["max"]["settings"]["cut_and_paste"]) == ("max", False)
    assert (kept["mine"]["batch"], kept["mine"]["settings"]["ema_decay"]) == (8, 0)
    assert load_grid(ran.out).jobs == ran.jobs
    assert set(grid_status(ran.out).variant) == {"", "max", "mine"}
    plan = describe_grid(ran)
    assert "variant" in plan.splitlines()[0]
    assert "6 runs, 5 done" in plan


@pytest.mark.slow
def test_a_run_with_other_settings_of_a_variant_is_refused(ran):
    job = replace(ran.jobs[-1], settings=(("batch", 4), ("ema_decay", 0.0)))
    with pytest.raises(WsdlError, match="was begun with batch = 8, not 4"):
        ran.study(job).detector(job.method, job.setup)


@pytest.mark.slow
def test_collect_has_shares_of_setup_c_and_cost(ran):
    table = collect_results(ran.out)
    rows = table[table.trained_on != ""].set_index(["setup", "variant"])
    assert list(rows.index) == [("c", ""), ("b", ""), ("b", "max"), ("a", "mine")]
    assert rows.missing["b", ""] == "1"
    assert (rows.cpu_seconds > 0).all()
    c, b = (read_json(ran.run_folder(ran.jobs[i]) / "metrics.json")["rows"] for i in (0, 4))
    assert rows["share"]["c", ""] == pytest.approx(1) or c[0]["iou"] == 0
    if c[0]["iou"]:
        assert rows["share"]["b", "max"] == pytest.approx(b[0]["iou"] / c[0]["iou"], abs=1e-4)
    assert rows.best_baseline_iou["b", ""] == max(row["iou"] for row in c[1:])
    page = run_command("grid", "collect", "jobs", "--out", ran.out, "--format", "md")
    assert "| patches-mil, B | max (label loss max alone) | 0 |" in page
    assert "Missing: patches-mil b made-up/repaint-p2 on made-up/repaint-p2: seed 1." in page
    assert "nan" not in page
    assert not (ran.out / "matrix.png").exists()


@pytest.mark.slow
def test_regions_stand_side_by_side(ran):
    page = run_command("grid", "collect", "jobs", "--out", ran.out, "--regions", "--format", "md")
    lines = page.splitlines()
    assert lines[0] == "| source | region | n | patches-mil, C | patches-mil, B |"
    assert any(line.startswith("| made-up | all |") for line in lines)
    assert sum("area" in line for line in lines) > 1
    table = variant_results.regions_table(ran, usable_jobs(ran))
    fakes = partial_fakes([ran.run_folder(job) for job in ran.jobs if (job.setup, job.variant) == ("c", "")])
    everything = table[(table.region == "all") & (table.who == "patches-mil, C")].iloc[0]
    assert (everything.value, everything.n) == (fakes.iou.mean(), len(fakes))


@pytest.mark.slow
def test_thresholds_of_a_grid_are_rows_for_each_rule(ran):
    page = run_command("grid", "collect", "jobs", "--out", ran.out, "--thresholds", "--format", "md")
    assert page.startswith("| method, setup | variant | tested on | seeds | 0.5 | prior-corrected | real 100 % |")
    table = variant_results.grid_thresholds(ran, usable_jobs(ran)).set_index(["setup", "variant", "rule"])
    metrics = [read_json(ran.run_folder(job) / "metrics.json")["rows"][0] for job in ran.jobs if job.setup == "c"]
    assert table.iou["c", "", "0.5"] == pytest.approx(np.mean([row["iou"] for row in metrics]), abs=1e-5)
    assert table.seeds["c", "", "0.5"] == "0 1"


def test_a_share_is_paired_by_face():
    """Half of another detector's IoU in every image: the interval of the share has no width."""
    others = np.random.default_rng(0).uniform(0.1, 1, 40)
    faces = np.arange(40) // 2
    assert bootstrap_ratio(others / 2, others, faces) == pytest.approx((0.5, 0.5))
    low, high = bootstrap_ratio(np.where(faces % 2, others, 0), others, faces)
    assert low < 0.45 < 0.55 < high
    assert np.isnan(bootstrap_ratio(others, others, np.zeros(40))).all()
    assert np.isnan(bootstrap_ratio(others, 0 * others, faces)).all()


def test_the_share_of_a_mean_over_seeds(tmp_path):
    pairs = []
    for seed, factor in enumerate((0.5, 0.7)):
        table = scored_images(seed)
        pairs.append([tmp_path / f"b{seed}", tmp_path / f"c{seed}"])
        for folder, times in zip(pairs[-1], (factor, 1), strict=True):
            folder.mkdir()
            table.assign(iou=table.iou * times).to_csv(folder / "pictures.csv", index=False)
    share = variant_results._share(pairs)
    assert (share["share_least"], share["share_most"]) == (0.5, 0.7)
    means = [scored_images(seed).iou.mean() for seed in (0, 1)]
    assert share["share"] == pytest.approx((0.5 * means[0] + 0.7 * means[1]) / sum(means), abs=1e-6)
    assert share["share_low"] < share["share"] < share["share_high"]
