"""Pretrained weights: detectors reproduce their stored metrics, the parser recognises faces."""

import hashlib
import shutil

import pytest

import wsdl
from wsdl.bundle.generator_archives import add_fakes
from wsdl.bundle.unpack import copy_dataset, unpack_dataset
from wsdl.config import DEFAULT_DETECTOR, PHOTOGRAPHS_DETECTOR
from wsdl.core.io import read_json
from wsdl.data.dataset import Dataset
from wsdl.detectors.pretrained import (
    PRETRAINED_FOLDER,
    pretrained_names,
    stored_metrics,
    training_summary,
)
from wsdl.evaluation.baselines import BASELINES
from wsdl.evaluation.evaluate import evaluate
from wsdl.inference.localize import RENDERS_WARNING
from wsdl.parsing.models import BUNDLED_PARSER
from wsdl.parsing.score import score_parser

ASSETS = PRETRAINED_FOLDER.parent
STYLES = "studio", "snapshot"
OF_RENDERS = [name for name in pretrained_names() if name != PHOTOGRAPHS_DETECTOR]  # their test images are bundled, too


def test_a_detector_of_each_setup_comes_with_each_style():
    patches = [f"patches-{setup}-{style}" for setup in "abc" for style in STYLES]
    ours = [f"patches-mil-{setup}-studio" for setup in "abc"]
    assert pretrained_names() == sorted([*patches, *ours, PHOTOGRAPHS_DETECTOR])
    assert DEFAULT_DETECTOR in pretrained_names()


@pytest.mark.parametrize("name", OF_RENDERS)
def test_a_shipped_detector_scores_what_it_says(name, tmp_path):
    folder = shutil.copytree(PRETRAINED_FOLDER / name, tmp_path / name)
    about, stored = training_summary(folder), read_json(folder / "metrics.json")["rows"]
    assert name == f"{about['method']}-{about['setup']}-{about['source']}"
    (folder / "metrics.json").unlink()
    found = evaluate(folder, unpack_dataset(about["source"]))["rows"]
    assert [row["method"] for row in stored] == [about["method"], *BASELINES]
    for row, wanted in zip(found, stored, strict=True):
        assert row == pytest.approx(wanted, abs=0.01)  # another processor rounds otherwise
    assert stored_metrics(folder)["iou"] == found[0]["iou"]


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory) -> dict[str, str]:
    """Source -> sha256 of the manifest of its bundled images; "patches-mil": of studio with full fakes by DDPM."""
    manifests = {style: Dataset(unpack_dataset(style)).info["manifest_sha256"] for style in STYLES}
    studio = tmp_path_factory.mktemp("data") / "studio"
    copy_dataset(studio, "studio", fakes=True)
    add_fakes(studio, "studio", "p2-ddpm")
    return manifests | {"patches-mil": Dataset(studio).info["manifest_sha256"]}


@pytest.mark.parametrize("name", OF_RENDERS)
def test_a_shipped_detector_learned_from_the_bundle(name, trained_on):
    config = read_json(PRETRAINED_FOLDER / name / "config.json")
    assert config["data"] == trained_on.get(config["method"], trained_on[config["source"]])


@pytest.mark.parametrize(("setup", "share"), [("a", 0.92), ("b", 0.88)])
def test_image_labels_come_near_masks(setup, share):
    """In the paper the best method reaches 77 % (A) and 45 % (B) of the IoU of its setup C."""
    labels, masks = (stored_metrics(PRETRAINED_FOLDER / f"patches-mil-{name}-studio") for name in (setup, "c"))
    assert labels["iou"] > share * masks["iou"]
    assert labels["ap"] > 0.99


def test_the_pretrained_parser_finds_skin_and_hair_of_new_faces():
    for style in STYLES:
        found = score_parser(unpack_dataset(style), "", "test").set_index("part")
        assert found.f1[["skin", "hair"]].min() > 0.9, style


def test_every_shipped_file_is_the_one_that_is_listed():
    listed = dict(reversed(line.split("  ")) for line in (ASSETS / "SHA256SUMS").read_text().splitlines())
    there = {path.relative_to(ASSETS).as_posix(): path for path in ASSETS.rglob("*") if path.is_file()}
    assert set(listed) == set(there) - {"SHA256SUMS", "README.md"}
    assert BUNDLED_PARSER.is_relative_to(ASSETS)
    for name, sha in listed.items():
        assert hashlib.sha256(there[name].read_bytes()).hexdigest() == sha, name


def test_a_detector_of_renders_warns_about_its_domain():
    dataset = Dataset(unpack_dataset("studio"))
    fake = dataset.select(kind="partial", split="test").index[0]
    found = wsdl.localize(dataset.images[fake])
    assert found.warnings == [RENDERS_WARNING]  # a face was found: no other warning
    assert found.trained_on["source"] == "studio"
