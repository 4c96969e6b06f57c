"""The five lines of the README, and the checks after them, as a user types them."""

import json
import shutil

import pandas as pd
import pytest
from helpers import run_command
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.data.dataset import Dataset
from wsdl.evaluation.baselines import BASELINES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mine(made_up, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    profile = folder / "tiny.json"
    tiny = {"generator": {"images": 32, "channels": [16, 32], "batch": 8, "check_every": 32},
            "patches": {"input_size": 48, "images": 64, "batch": 8, "check_every": 32}}  # fmt: skip
    profile.write_text(json.dumps(tiny))
    data, p2 = folder / "data", folder / "p2"
    run_command("data", "prepare", "--images", made_up[0], "--masks", made_up[1], "--size", 32, "--out", data)
    run_command("train-generator", "p2", "--data", data, "--out", p2, "--profile", profile)
    run_command("generate", "p2", "--weights", p2, "--count", 20, "--steps", 2, "--batch", 8, "--out", data)
    cheap = ("--T", 4, "--jump-length", 2, "--resamplings", 1, "--batch", 8)
    run_command("generate", "repaint-p2", "--data", data, "--weights", p2, "--count", 24, *cheap, "--out", data)
    run_command("train", "--setup", "b", "--data", data, "--out", folder / "b", "--profile", profile)
    return folder


def test_the_dataset_holds_what_was_asked_for(mine):
    counts = Dataset(mine / "data").table.groupby("kind").size()
    assert counts.to_dict() == {"full": 20, "partial": 24, "real": 24}


def test_evaluate_prints_a_table_to_stdout(mine):
    lines = run_command("evaluate", mine / "b", "--data", mine / "data").splitlines()
    assert lines[0].startswith("method,setup,seed,iou,iou_low,iou_high")
    assert lines[1].startswith("patches,b,0,")
    assert [line.split(",")[0] for line in lines[2:]] == list(BASELINES)
    assert json.loads((mine / "b" / "metrics.json").read_text())["preset"] == "dolos"


def test_check_is_content_and_prints_counts(mine):
    printed = run_command("data", "check", mine / "data")
    assert "repaint-p2" in printed


def test_check_fails_loudly(mine, tmp_path):
    copy = shutil.copytree(mine / "data", tmp_path / "copy")
    victim = next((copy / "real" / "train").iterdir())
    victim.unlink()
    result = CliRunner().invoke(app, ["data", "check", str(copy)])
    assert result.exit_code == 1
    assert f"{victim}: is in the manifest but does not exist" in result.output


def test_audit_prints_an_auc_for_each_property(mine):
    printed = run_command("data", "audit", mine / "data", "--kind", "full")
    assert "file format" in printed
    assert "auc" in printed


def test_fakes_into_a_folder_of_their_own(mine, tmp_path):
    cheap = ("--T", 4, "--jump-length", 2, "--resamplings", 1, "--batch", 8, "--count", 8)
    run_command(
        "generate", "repaint-p2", "--data", mine / "data", "--weights", mine / "p2", *cheap, "--out", tmp_path / "own"
    )
    table = Dataset(tmp_path / "own").table
    assert set(table.kind) == {"partial"}
    shared = pd.merge(table, Dataset(mine / "data").table, on="path")
    assert (shared.sha256_x == shared.sha256_y).all()  # the same seed: the same bytes, wherever they go
    assert len(shared) == 8
