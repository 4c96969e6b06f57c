"""A damaged trainer state is named, with what to do; a failed training does not claim its folder; a full disk."""

import errno
import os
import pickle
import resource
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from helpers import tree

from wsdl.config import PatchesTraining
from wsdl.core.io import WsdlError
from wsdl.core.run import MODEL_FILE, TRAINER_FILE, Run, is_done, read_stats
from wsdl.core.weights import save_model, save_state
from wsdl.training.detector import train_detector

SETTINGS = PatchesTraining(input_size=48, images_c=16, batch_c=8, check_every=8)


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    train(dataset, out)
    return out


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def train(dataset, out, **changes) -> None:
    train_detector("patches", "c", dataset, out, 0, replace(SETTINGS, **changes))


def change_state(path, **changes) -> None:
    torch.save(torch.load(path, weights_only=True) | changes, path)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "text": lambda path: path.write_text("state"),
    "pickle": lambda path: path.write_bytes(pickle.dumps(print)),
    "list": lambda path: torch.save([1, 2], path),
    "tensor": lambda path: torch.save(torch.ones(3), path),
    "other network": lambda path: change_state(path, model={"weight": torch.ones(3)}),
    "other optimizer": lambda path: change_state(path, optimizer={"state": {}, "param_groups": []}),
    "step of text": lambda path: change_state(path, step="x"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_trainer_state_is_named(damage, dataset, run):
    DAMAGES[damage](run / TRAINER_FILE)
    with pytest.raises(
        WsdlError, match=rf"{TRAINER_FILE}: .*; delete the file to train from the beginning\.$"
    ) as error:
        train(dataset, run)
    assert "\n" not in str(error.value)


def test_without_its_trainer_state_a_run_is_trained_again(dataset, run, finished):
    (run / TRAINER_FILE).unlink()
    train(dataset, run)
    for name in (MODEL_FILE, "stats.jsonl"):
        assert (run / name).read_bytes() == (finished / name).read_bytes()


def test_a_training_that_failed_first_does_not_claim_its_folder(dataset, tmp_path):
    with pytest.raises(WsdlError, match="never finite"):
        train(dataset, tmp_path / "run", rate_c=1e30)
    train(dataset, tmp_path / "run", rate_c=1e-3)
    train(dataset, tmp_path / "whole", rate_c=1e-3)
    assert is_done(tmp_path / "run")
    for name in (MODEL_FILE, "stats.jsonl", "config.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_trained_run_claims_its_folder(dataset, run):
    before = tree(run)
    with pytest.raises(WsdlError, match=r"was begun with settings\.rate_c = 0\.001, not 0\.1; choose another --out"):
        train(dataset, run, rate_c=0.1)
    assert tree(run) == before


@pytest.fixture
def full_disk():
    """No file may grow beyond 10 kB; writing more fails as on a full disk."""
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1][1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old[1])
    signal.signal(signal.SIGXFSZ, old[0])


def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(full_disk, tmp_path):
    model, state = torch.nn.Linear(100, 100), {"a": torch.ones(10_000)}
    for name, write in {
        MODEL_FILE: lambda: save_model(model, tmp_path),
        TRAINER_FILE: lambda: save_state(tmp_path / TRAINER_FILE, state),
    }.items():
        (tmp_path / name).write_text("old")
        with pytest.raises(WsdlError, match=rf"{name}: cannot be written \({os.strerror(errno.EFBIG)}\)"):
            write()
        assert (tmp_path / name).read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([MODEL_FILE, TRAINER_FILE])


def test_checkpoints_are_on_the_disk_before_they_replace_others(tmp_path, monkeypatch):
    """After a power loss a file that was renamed, but not synced, may be empty."""
    steps = []
    monkeypatch.setattr(os, "fsync", lambda file: steps.append(os.readlink(f"/proc/self/fd/{file}")))
    replaced = os.replace

    def replace_file(source, target):
        steps.append("rename")
        replaced(source, target)

    monkeypatch.setattr(os, "replace", replace_file)
    for write in (lambda: save_model(torch.nn.Linear(2, 2), tmp_path), lambda: save_state(tmp_path / "state", {})):
        steps.clear()
        write()
        file, renamed, folder = steps
        assert (file.endswith(".part"), renamed, folder) == (True, "rename", str(tmp_path))


def test_the_log_is_on_the_disk_before_its_checkpoint(tmp_path, monkeypatch):
    run, synced = Run(tmp_path, {}), []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(file))
    run.log(images=8, loss=1.0)
    assert len(synced) == 1
    assert read_stats(tmp_path) == [{"images": 8, "loss": 1.0}]
