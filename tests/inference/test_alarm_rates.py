"""`detectors alarms` counts what `localize` says."""

import io

import pandas as pd
import pytest
from helpers import run_command

import wsdl
from wsdl.bundle.unpack import unpack_dataset
from wsdl.core.io import WsdlError
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.inference.alarm_rates import alarm_rates

COUNT = 12


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """COUNT real images and partial fakes of the test split of `studio`."""
    home, data = tmp_path_factory.mktemp("alarms"), Dataset(unpack_dataset("studio"))
    for name, kind in (("unaltered", "real"), ("fakes", "partial")):
        (home / name).mkdir()
        for i in data.select(kind=kind, split="test").index[:COUNT]:
            write_image(home / name / f"{i:04d}.png", data.images[i])
    return [home / "unaltered", home / "fakes"]


def test_the_rates_are_those_of_localize(folders):
    words = ("detectors", "alarms", *map(str, folders), "--jpeg", "75", "--resize", "0.75")
    table = pd.read_csv(io.StringIO(run_command(*words))).set_index(["images", "condition"])
    assert len(table) == 6
    for folder in folders:
        results = [wsdl.localize(path) for path in sorted(folder.iterdir())]
        row = table.loc[(folder.name, "as is")]
        assert row.n == COUNT
        assert row.verdicts == pytest.approx(sum(one.verdict.alarm is not None for one in results) / COUNT, abs=1e-3)
        assert row.alarms == pytest.approx(sum(one.verdict.alarm is True for one in results) / COUNT, abs=1e-3)
        assert row.marked == pytest.approx(sum(one.marked for one in results) / COUNT, abs=1e-3)
        assert row.low <= row.alarms <= row.high
    assert table.loc[("unaltered", "as is"), "high"] < table.loc[("fakes", "as is"), "low"]
    assert (table.xs("JPEG 75", level=1).alarms == 0).all()


def test_a_named_detector_is_used_for_every_image(folders):
    table = alarm_rates(folders[:1], "patches-mil-a-studio", jpeg=[], resize=[])
    results = [wsdl.localize(path, "patches-mil-a-studio") for path in sorted(folders[0].iterdir())]
    assert table.marked.tolist() == [pytest.approx(sum(one.marked for one in results) / COUNT)]
    assert table.alarms.tolist() == [sum(one.verdict.alarm is True for one in results) / COUNT]


def test_fractions_of_few_images_are_refused(folders, tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.png").write_bytes(next(folders[0].iterdir()).read_bytes())
    with pytest.raises(WsdlError, match="few: has 1 images, but a measurement needs 10"):
        alarm_rates([tmp_path / "few"])
