"""`bench scale`: what a step took, how it grows, and refusals."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.benchmarks import scale
from wsdl.core.io import WsdlError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the memory of a process that has ended is not known")


def test_growth_is_the_exponent_of_the_seconds(tmp_path, monkeypatch):
    def measure(folder, count):
        folder.mkdir(parents=True)
        steps = {"prepare": count / 100, "audit": (count / 1000) ** 2, "check": 3.0}
        return [{"step": step, "images": count, "seconds": seconds, "cpu_seconds": seconds, "peak_mb": 5}
                for step, seconds in steps.items()]  # fmt: skip

    monkeypatch.setattr(scale, "_measure", measure)
    table = scale.bench_scale(tmp_path / "out", (20_000, 2_000))
    assert table.step.tolist() == ["prepare", "prepare", "audit", "audit", "check", "check"]
    assert table.images.tolist() == [2_000, 20_000] * 3
    assert table.growth.dropna().tolist() == pytest.approx([1, 2, 0])
    assert len(pd.read_csv(tmp_path / "out" / "scale.csv")) == 6


def test_the_drawn_masks_are_what_was_edited(tmp_path):
    scale.draw_folders(tmp_path, 20)
    for i in range(10):
        real, edited, mask = (np.asarray(Image.open(tmp_path / part / f"{i:06d}.png"))
                              for part in ("real", "partial", "masks"))  # fmt: skip
        changed = (real != edited).any(axis=2)
        assert 0 < changed.mean() < 0.2
        assert not changed[mask == 255].any()
        assert changed[mask == 0].mean() > 0.9


def test_time_and_memory_are_those_of_the_step(tmp_path):
    large = np.ones(2**27)  # a gigabyte of this process, which is not the step's
    took = scale._timed(["data", "--help"], tmp_path / "log")
    assert large.nbytes > 2**20 * took["peak_mb"]
    assert "prepare" in (tmp_path / "log").read_text()
    assert 0 < took["cpu_seconds"] < 60
    assert took["peak_mb"] > 10


def test_a_step_that_fails_is_named_with_its_message(tmp_path):
    with pytest.raises(WsdlError, match=r"`data check` failed: .*no such folder"):
        scale._timed(["data", "check", str(tmp_path / "missing")], tmp_path / "log")


def test_a_folder_with_files_and_too_few_images_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WsdlError, match="is not empty; give a new folder"):
        scale.bench_scale(tmp_path, (200,))
    with pytest.raises(WsdlError, match="has 20, but must be 200 or more"):
        scale.bench_scale(tmp_path / "new", (20, 400))
    result = CliRunner().invoke(app, ["bench", "scale", "--out", str(tmp_path / "new"), "--images", "2k"])
    assert result.exit_code == 2
    assert "must be whole numbers" in result.output
