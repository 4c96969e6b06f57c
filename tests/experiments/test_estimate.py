"""The plan predicts the work that is left, and nothing for what is done."""

import json
from dataclasses import replace

import pytest

from wsdl.benchmarks import detectors as bench
from wsdl.core.io import WsdlError, write_json
from wsdl.core.progress import format_duration
from wsdl.experiments.estimate import LESSON_SECONDS, describe_stages, detector_stages, plan_study
from wsdl.experiments.study import Study
from wsdl.notebooks import lesson_notebooks
from wsdl.profiles import load_profile


@pytest.fixture
def study(tmp_path):
    changes = {
        "size": 32,
        "methods": ["patches"],
        "generator": {"images": 1000, "channels": [16, 32]},
        "fakes": {"full": 10, "partial": 20, "ddim_steps": 5, "T": 10, "jump_length": 2, "resamplings": 2, "batch": 4},
        "patches": {"input_size": 48, "images": 100, "images_c": 200, "batch": 8},
        "grad_cam": {"input_size": 64, "images": 100, "images_c": 200, "batch": 2, "batch_c": 2},
    }
    (tmp_path / "p.json").write_text(json.dumps(changes))
    return Study(tmp_path / "out", load_profile(str(tmp_path / "p.json")), "made-up")


def test_a_new_study_has_all_to_do(study):
    stages = plan_study(study)
    assert [stage.name for stage in stages] == [
        "faces",
        "generator",
        "fakes",
        *(f"patches {s}" for s in "abc"),
        "lessons",
    ]
    assert all(stage.seconds > 0 for stage in stages)
    text = describe_stages(stages)
    assert "train P2 on 1,000 images" in text
    assert "10 full (5 network calls each), 20 partial (18 each): 410 calls" in text
    assert "total" in text


def test_levels_that_are_no_noise_are_refused_in_the_plan(study):
    """So before a generator is trained for them."""
    fakes = replace(study.profile.fakes, T=300)
    with pytest.raises(WsdlError, match=r"^T is 300, but must divide 1000"):
        plan_study(Study(study.out, replace(study.profile, fakes=fakes), "made-up"))


def test_what_is_done_costs_nothing(study):
    write_json(study.out / "p2" / "run.json", {"status": "done"})
    write_json(study.run_folder("patches", "b") / "run.json", {"status": "done"})
    for lesson in lesson_notebooks()[:-1]:
        write_json(study.out / "lessons" / f"{lesson.stem}.run.json", {"status": "done"})
    write_json(study.out / "lessons" / f"{lesson_notebooks()[-1].stem}.run.json", {"status": "failed"})
    seconds = {stage.name: stage.seconds for stage in plan_study(study)}
    assert seconds["lessons"] == LESSON_SECONDS
    assert seconds["generator"] == 0
    assert seconds["patches b"] == 0
    assert seconds["patches a"] > 0


def test_a_plan_holds_the_methods_that_are_asked_for(study):
    write_json(study.run_folder("grad-cam", "a") / "run.json", {"status": "done"})
    write_json(study.run_folder("patches", "b") / "run.json", {"status": "done"})
    study.profile = replace(study.profile, methods=("patches", "grad-cam"))
    stages = detector_stages(study)
    assert [stage.name for stage in stages] == [f"{method} {s}" for method in ("patches", "grad-cam") for s in "abc"]
    assert [stage.seconds > 0 for stage in stages] == [True, False, True, False, True, True]
    assert stages[-1].work == "train on 200 images"


def test_durations_read_well():
    assert [format_duration(s) for s in (0, 45, 600, 9000)] == ["done", "45 s", "10 min", "2.5 h"]


def test_wrong_sources_are_one_sentence(tmp_path):
    with pytest.raises(WsdlError, match=r"--source.*'moon'.*studio, snapshot, photos, celebahq, ffhq, made-up"):
        Study(tmp_path, load_profile("quick"), "moon")
    with pytest.raises(WsdlError, match="--images"):
        Study(tmp_path, load_profile("quick"), "photos")


@pytest.mark.parametrize("setup", ["b", "c"])
def test_the_benchmark_gives_ratios_to_a_plain_loop(monkeypatch, setup):
    monkeypatch.setattr(bench, "INPUT", 64)
    methods = ("patches", "attention", "patches-mil")
    table = bench.bench_detectors(methods, setup, batch=2, seconds=0.01)
    assert table[["method", "work"]].to_numpy().tolist() == [
        [method, work] for method in methods for work in ("training", "prediction")
    ]
    assert table.ratio.to_numpy() == pytest.approx((table.wsdl / table.plain).to_numpy(), abs=0.01, rel=0.01)
    assert (table.against_patches[:2] == 1).all()
    assert "against_patches" not in bench.bench_detectors(("patches-mil",), setup, batch=2, seconds=0.01)
