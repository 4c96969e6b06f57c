"""`data prepare` of COCO Glide, as it unpacks."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from factories_layouts import miniature_coco_glide
from helpers import run_command
from PIL import Image
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.core.io import WsdlError
from wsdl.data.check import check_dataset
from wsdl.data.coco_glide import prepare_coco_glide
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image


@pytest.fixture
def unpacked(dataset, tmp_path) -> Path:
    return miniature_coco_glide(dataset, tmp_path / "CocoGlide")


def test_real_fake_and_mask_are_paired_by_number(unpacked, tmp_path):
    prepare_coco_glide(unpacked, tmp_path / "out", 32)
    data = Dataset(tmp_path / "out")
    assert check_dataset(tmp_path / "out") == []
    assert set(data.table.split) == {"test"}
    fakes = data.select("partial")
    real = data.images[data.source_index(fakes)]
    differs = (data.images[fakes.index] != real).any(-1)
    assert len(fakes) == len(list((unpacked / "fake").iterdir())) > 5
    assert not (differs & (data.masks[fakes.index] == 0)).any()  # the inpainted region is 1 in memory
    name = f"glide_inpainting_val2017_{fakes.source_id.iloc[0]}_up.png"
    assert (data.images[fakes.index[0]] == read_image(unpacked / "fake" / name)).all()


def test_a_detector_is_evaluated_on_it(unpacked, run_folder, tmp_path):
    run = shutil.copytree(run_folder, tmp_path / "run")
    command = ("data", "prepare", "--source", "coco-glide", "--images", unpacked, "--out", tmp_path / "out")
    run_command(*command, "--size", 32)
    run_command(*command, "--size", 32)  # prepared already
    assert run_command("evaluate", run, "--data", tmp_path / "out").splitlines()[1].startswith("patches,c,0,")


def test_options_that_it_does_not_need_are_refused(unpacked, tmp_path):
    command = ("data", "prepare", "--source", "coco-glide", "--images", unpacked, "--out", tmp_path / "out")
    result = CliRunner().invoke(app, [*map(str, command), "--counts", "1/1/1"])
    assert result.exit_code == 2
    assert "coco-glide" in result.output


def invert(folder: Path) -> None:
    for path in folder.iterdir():
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)


BROKEN = [
    (lambda r: next((r / "mask").glob("*_1007_*")).unlink(), r"_1007\w*\.png: has no partner in .*mask; none .* 1007"),
    (lambda r: next((r / "real").glob("*_1007.png")).unlink(), r"1007_\w+\.png: has no partner in .*real"),
    (lambda r: shutil.rmtree(r / "fake"), r"CocoGlide/fake: no such folder"),
    (lambda r: next((r / "fake").glob("*_1007_*")).write_bytes(b""), r"_1007_up\.png: is not an image"),
    (lambda r: Image.new("L", (16, 16)).save(next((r / "mask").glob("*_1007_*"))), r"_mask\.png: is 16x16, but"),
    (lambda r: invert(r / "mask"), r"mask: are white where real and fake agree"),
    (lambda r: shutil.copy(next((r / "real").iterdir()), r / "real" / "cat.png"), r"cat\.png: has no number"),
]


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=[message[:30] for _, message in BROKEN])
def test_what_does_not_fit_is_named_in_one_sentence(unpacked, tmp_path, spoil, message):
    spoil(unpacked)
    with pytest.raises(WsdlError, match=message) as caught:
        prepare_coco_glide(unpacked, tmp_path / "out", 32)
    assert str(caught.value).endswith(".")
    assert not (tmp_path / "out" / "manifest.csv").exists()
