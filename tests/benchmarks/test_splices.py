"""`bench splices`: what is pasted, the numbers of the table, and Noiseprint with its real weights."""

import io
import os

import numpy as np
import pandas as pd
import pytest
from helpers import run_command

from wsdl.benchmarks.splices import KINDS, bench_splices, make_splices
from wsdl.core.io import WsdlError
from wsdl.evaluation.baselines import BASELINES


@pytest.fixture(scope="module")
def splices():
    return {kind: make_splices(kind, 3) for kind in KINDS}


def test_only_the_pasted_pixels_differ_between_kinds(splices):
    both, camera = splices["camera and JPEG"], splices["camera alone"]
    differs = (both.images != camera.images).any(axis=-1)
    assert np.array_equal(both.masks, camera.masks)
    assert not differs[both.masks == 0].any()
    assert differs[both.masks == 1].mean() > 0.5
    change = np.abs(both.images.astype(int) - camera.images)[both.masks == 1]
    assert change.mean() < 10  # the same face, compressed


def test_every_mask_is_one_square_inside_the_image(splices):
    masks = splices["JPEG alone"].masks
    assert masks.shape == (3, 128, 128)
    assert (masks.sum(axis=(1, 2)) == 56**2).all()
    assert len(np.unique(masks, axis=0)) == 3


def test_a_seed_gives_the_same_splices(splices):
    again = make_splices("JPEG alone", 3)
    assert np.array_equal(again.images, splices["JPEG alone"].images)
    assert not np.array_equal(make_splices("JPEG alone", 3, seed=1).masks, again.masks)


def test_too_many_are_refused():
    with pytest.raises(WsdlError, match=r"--images: is 999, but there are \d+ test faces"):
        make_splices("JPEG alone", 999)


def test_a_constant_map_is_at_chance_in_every_row():
    table, chart = bench_splices(None, 2)
    assert list(table.groupby("splice", sort=False).size()) == [len(BASELINES)] * len(KINDS)
    constant = table[table.method.isin(["control: all-fake", "control: all-real"])]
    assert constant.over_chance.abs().max() < 1e-3
    assert (table.low <= table.pixel_ap + 1e-4).all()
    assert chart.axes[1].get_title() == "pasted"


def test_the_command_prints_a_table_and_draws(tmp_path):
    printed = run_command("bench", "splices", "--images", 2, "--figure", tmp_path / "x.png")
    assert set(pd.read_csv(io.StringIO(printed)).splice) == set(KINDS)
    assert 10_000 < (tmp_path / "x.png").stat().st_size <= 200_000


@pytest.mark.slow
def test_noiseprint_beats_chance_where_a_jpeg_was_pasted():
    weights = os.environ.get("WSDL_NOISEPRINT_WEIGHTS", "")
    if not weights:
        pytest.skip("WSDL_NOISEPRINT_WEIGHTS: name the folder of the published weights of Noiseprint to run this")
    table = bench_splices(weights, 6)[0].set_index(["splice", "method"])
    for kind in ("camera and JPEG", "JPEG alone"):
        assert table.over_low[kind, "noiseprint"] > 0.2  # of six splices
