"""Trainings of a study side by side: which run first, what they are told, what a failed or killed one leaves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from factories import TINY_PROFILE

from wsdl.core.io import WsdlError, read_json, sha256, write_json
from wsdl.core.run import is_done
from wsdl.data.dataset import Dataset
from wsdl.experiments import parallel_training
from wsdl.experiments.estimate import Stage, describe_stages
from wsdl.experiments.parallel_training import train_detectors
from wsdl.experiments.study import Study
from wsdl.experiments.study_checks import record_study
from wsdl.profiles import load_profile

PATCHES_MIL = {"input_size": 32, "images": 16, "images_c": 16, "check_every": 8, "warm_up_images": 8, "label_images": 8}


@pytest.fixture
def study(dataset, tmp_path, monkeypatch) -> Study:
    """A study whose faces and fakes exist, and whose detectors are trained in a second."""
    patches = TINY_PROFILE["patches"] | {"images_c": 64}
    write_json(tmp_path / "tiny.json", TINY_PROFILE | {"patches": patches, "patches_mil": PATCHES_MIL})
    shutil.copytree(dataset, tmp_path / "out/data")
    monkeypatch.setattr(Study, "_make_fakes", lambda study: Dataset(study.data, ("repaint-p2",)))
    study = Study(tmp_path / "out", load_profile(str(tmp_path / "tiny.json")), "made-up")
    record_study(study.out, study.source, study.seed, study.profile)
    return study


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """The commands of trainings, which are not run."""
    commands = []

    def pretend(some, logs, watch):
        commands.extend(some.values())
        return {}

    monkeypatch.setattr(parallel_training, "run_children", pretend)
    return commands


def option(command: list[str], name: str) -> str:
    return next(word.removeprefix(f"--{name}=") for word in command if word.startswith(f"--{name}="))


@pytest.mark.slow
def test_children_train_what_the_study_would_train(study):
    """`Study.detector` compares settings, images and seed of each run, and raises where one differs."""
    train_detectors(study)
    for setup in "abc":
        assert is_done(study.run_folder("patches", setup))
        study.detector("patches", setup)
        assert (study.out / "logs" / f"{study.run_folder('patches', setup).name}.log").exists()
    again = Study(study.out.parent / "other", study.profile, "made-up")
    shutil.copytree(study.data, again.data)
    again.detector("patches", "b")
    weights = [sha256(each.run_folder("patches", "b") / "model.safetensors") for each in (study, again)]
    assert weights[0] == weights[1]


def test_detectors_that_start_from_patches_mil_come_after_it(study, started):
    study.profile = replace(study.profile, patches=replace(study.profile.patches, start="patches-mil"))
    train_detectors(study)
    assert [(option(command, "method"), option(command, "setup")) for command in started] == [
        *(("patches-mil", setup) for setup in "abc"),
        *(("patches", setup) for setup in "abc"),
    ]
    assert not any("--start" in word for command in started[:3] for word in command)
    assert option(started[4], "start") == str(study.run_folder("patches-mil", "b"))
    assert option(started[3], "generators") != option(started[4], "generators") == "repaint-p2"


def test_what_is_trained_is_not_trained_again(study, started):
    write_json(study.run_folder("patches", "b") / "run.json", {"status": "done"})
    train_detectors(study)
    assert [option(command, "setup") for command in started] == ["a", "c"]


def test_a_gpu_trains_them_in_turn_elsewhere(study, started, monkeypatch):
    monkeypatch.setattr(parallel_training, "pick_device", lambda: type("Device", (), {"type": "cuda"}))
    train_detectors(study)
    assert started == []


@pytest.mark.slow
def test_a_training_that_fails_is_named_after_the_others_have_ended(study):
    shutil.rmtree(Dataset(study.data).cache_folder, ignore_errors=True)  # other tests may have decoded the masks
    shutil.rmtree(study.data / "fake/repaint-p2/masks")  # setup C alone reads masks
    with pytest.raises(WsdlError, match=r"1 of 3 trainings failed\. patches-c-repaint-p2-made-up-s0: wsdl: "):
        train_detectors(study)
    assert [is_done(study.run_folder("patches", setup)) for setup in "abc"] == [True, True, False]


def children_of(parent: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds children in /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_children_end_with_the_demo(request, study, tmp_path, name):
    """Even if it is killed: two trainings of an earlier call would else hold their folders."""
    long = PATCHES_MIL | {"images": 100_000, "images_c": 100_000}
    write_json(tmp_path / "long.json", read_json(tmp_path / "tiny.json") | {"methods": ["patches-mil"],
                                                                              "patches_mil": long})  # fmt: skip
    shutil.rmtree(study.out / "logs", ignore_errors=True)
    (study.out / "study.json").unlink()
    (study.out / "profile.json").unlink()
    code = (  # a shell lets background jobs ignore SIGINT
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pathlib import Path; from wsdl.experiments.study import Study;"
        "from wsdl.experiments.study_checks import record_study; from wsdl.profiles import load_profile;"
        "from wsdl.data.dataset import Dataset; from wsdl.experiments.parallel_training import train_detectors;"
        "Study._make_fakes = lambda study: Dataset(study.data, ('repaint-p2',));"
        f"study = Study(Path({str(study.out)!r}), load_profile({str(tmp_path / 'long.json')!r}), 'made-up');"
        "record_study(study.out, study.source, study.seed, study.profile); train_detectors(study)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    request.addfinalizer(parent.kill)
    deadline = time.monotonic() + 60
    while len(found := children_of(parent.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(found) == 2
    parent.send_signal(getattr(signal, name))
    parent.wait(30)
    while any(os.path.exists(f"/proc/{pid}") for pid in found) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in found)


def test_the_plan_adds_trainings_as_they_run(monkeypatch):
    monkeypatch.setattr("wsdl.experiments.estimate.child_slots", lambda: 2)
    stages = [Stage("faces", "", 600)] + [Stage("x", "", 120 * n, is_parallel=True) for n in (1, 2, 3)]
    assert "total             16 min  2 trainings or lessons at a time" in describe_stages(stages)
    stages[-1] = replace(stages[-1], seconds=1200)
    assert "total             30 min" in describe_stages(stages)  # the longest decides
    assert "total             10 min" in describe_stages(stages[:1])
