"""A miniature of the Dolos download: opened, checked, trained on in each setup and tested on, as the README says."""

import json
import re
import shutil
from pathlib import Path

import pytest
from factories import miniature_dolos
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.data.dataset import Dataset
from wsdl.data.paper_sets import choose_generators
from wsdl.training.examples import setup_examples

TINY = {"patches": {"input_size": 48, "images": 16, "images_c": 16, "batch": 8, "batch_c": 8, "check_every": 8}}
TESTED = (
    "the test uses the partial fakes by repaint-p2, as in the paper; --generators names others (lama, repaint-p2-9k)"
)


@pytest.fixture(scope="module")
def download(dataset, tmp_path_factory) -> Path:
    return miniature_dolos(dataset, tmp_path_factory.mktemp("data") / "celebahq")


@pytest.fixture(scope="module")
def printed(download) -> str:
    """What `data check` prints about the download as it unpacks."""
    return run("data", "check", download).output


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_a_download_with_every_oddity_opens(download, printed):
    assert "file names do not tell the source faces; those guessed from them contradict the splits" in printed
    assert "images are in several splits" in printed
    found = re.findall(r"lama/masks/val/\d{5}\.png: has 254 for real pixels", printed)
    assert len(found) == 1  # of a folder that several threads read, the mask that was read first
    counts = Dataset(download).select("partial").groupby(["generator", "split"]).size()
    assert counts["repaint-p2"].to_dict() == {"train": 15, "valid": 4, "test": 5}
    assert counts["repaint-p2-9k"].to_dict() == {"train": 8, "valid": 4, "test": 4}
    assert counts["lama"].to_dict() == {"train": 8, "valid": 4, "test": 4}


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(
    ("setup", "trained_on", "said"),
    [
        ("a", "p2", ""),
        ("b", "repaint-p2-9k", "setup b trains on the partial fakes by repaint-p2-9k, as in the paper; --generators"),
        ("c", "repaint-p2", "setup c trains on the partial fakes by repaint-p2, as in the paper; --generators"),
    ],
)
def test_each_setup_trains_and_is_tested_on_its_sets(download, tmp_path, setup, trained_on, said):
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    made = tmp_path / "run"
    profile = ("--profile", tmp_path / "tiny.json")
    shown = run("train", "--setup", setup, "--data", download, "--out", made, *profile).stderr
    assert said in shown
    assert json.loads((made / "config.json").read_text())["generator"] == trained_on
    assert TESTED in run("evaluate", made, "--data", download).stderr
    result = json.loads((made / "metrics.json").read_text())
    assert (result["generators"], result["rows"][0]["n"]) == (["repaint-p2"], 5)


@pytest.mark.usefixtures("printed")
def test_named_generators_replace_those_of_the_paper(download, tmp_path):
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    words = "--data", download, "--generators", "lama"
    made = tmp_path / "run"
    shown = run("train", "--setup", "b", *words, "--out", made, "--profile", tmp_path / "tiny.json").stderr
    assert "as in the paper" not in shown + run("evaluate", made, *words).stderr
    assert json.loads((made / "config.json").read_text())["generator"] == "lama"
    assert json.loads((made / "metrics.json").read_text())["rows"][0]["n"] == 4
    rules = run("evaluate", made, "--data", download, "--thresholds").stdout
    assert "chosen by labels" in rules


@pytest.mark.usefixtures("printed")
def test_setup_b_uses_as_many_fakes_as_real_images(download, dataset, capsys):
    data = Dataset(download, ("repaint-p2",))
    seen, again = (setup_examples(data, "b", "train") for _ in range(2))
    assert (len(seen.real), len(seen.fake)) == (9, 9)
    assert (seen.fake == again.fake).all()
    assert "celebahq: setup b uses 9 of 15 fakes in train, as many as there are real images." in capsys.readouterr().err
    assert len(setup_examples(data, "c", "train").fake) == 15
    own = Dataset(dataset)  # written by wsdl: all fakes
    assert len(setup_examples(own, "b", "valid").fake) == 4 > len(own.select("real", "valid"))


@pytest.mark.usefixtures("printed")
def test_a_download_without_the_papers_sets_says_so(download, tmp_path, capsys):
    for part in ("real", "fake/repaint-p2"):
        shutil.copytree(download / part, tmp_path / "ffhq" / part)
    assert choose_generators(tmp_path / "ffhq", (), "b") == ("repaint-p2",)  # has no subset
    for part in ("real", "fake/lama", "fake/repaint-p2-9k"):
        shutil.copytree(download / part, tmp_path / "rest" / part)
    capsys.readouterr()
    assert choose_generators(tmp_path / "rest", (), "c") == ()
    all_of_them = "setup c trains on all partial fakes (lama, repaint-p2-9k), as it has none by repaint-p2"
    assert all_of_them in capsys.readouterr().err


def test_a_dataset_of_wsdl_is_used_whole(dataset, capsys):
    assert [choose_generators(dataset, (), setup) for setup in ("", "a", "b", "c")] == [()] * 4
    assert capsys.readouterr().err == ""
