"""The shipped bundle is what it says: made from seeds, by this code, without a giveaway outside the masks."""

import importlib.util

import numpy as np
import pytest

from wsdl.bundle.unpack import ASSETS, unpack, weights
from wsdl.data.audit import audit
from wsdl.data.check import check
from wsdl.data.layout import Dataset
from wsdl.data.pictures import read_picture
from wsdl.files import read_json, seed_for
from wsdl.generators.diffusion import load_p2
from wsdl.generators.fakes import generate_partial
from wsdl.profiles import Fakes

NEAR = 1.0  # mean difference of two pictures in levels: other processors round otherwise, and shown texture is 10
NOISE = 5.0  # the same with other noise of the camera: one photon more, and all that are drawn after it are others


@pytest.fixture(scope="module", params=sorted(path.stem for path in ASSETS.glob("*.zip")))
def style(request) -> str:
    return request.param


def gap(one, two) -> float:
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


def test_the_bundle_is_small_enough_to_clone():
    assert sum(path.stat().st_size for path in ASSETS.glob("*.zip")) <= 100_000_000


def test_profile_quick_finds_all_fakes_made(style):
    folder, wanted = unpack(style), Fakes()
    full, partial = (read_json(folder / "fake" / name / "recipe.json") for name in ("p2", "repaint-p2"))
    assert (full["seed"], full["steps"], full["batch"]) == (0, wanted.ddim_steps, wanted.batch)
    for key, value in vars(wanted).items():
        assert partial.get(key, value) == value
    counts = Dataset(folder, ("repaint-p2",)).table.kind.value_counts()
    assert (counts["full"], counts["partial"]) == (wanted.full, wanted.partial)


def test_nothing_in_it_is_damaged_or_gives_fakes_away(style):
    assert check(unpack(style)) == []
    for kind in ("partial", "full"):
        table = audit(unpack(style), kind=kind, seed=0)
        honest = ~table.feature.str.contains("depend on what was painted")
        assert (table.verdict[honest] == "ok").all(), table


@pytest.mark.skipif(importlib.util.find_spec("mitsuba") is None, reason="the extra wsdl[render] is not installed")
def test_faces_are_rendered_again_from_their_seeds(style):
    from wsdl.faces.render import render_face

    data = Dataset(unpack(style))
    for row in data.select("real")[::300].itertuples():
        pixels, labels = render_face(seed_for(0, "render", style, int(row.source_id)), style)
        assert gap(pixels, read_picture(data.folder / row.path)) < NOISE
        assert (labels != data.labels(row)).mean() < 0.01


def test_full_fakes_come_out_again(style):
    data, settings = Dataset(unpack(style)), Fakes()
    again = load_p2(weights(style)).sample(settings.batch, 0, settings.ddim_steps)
    rows = data.select("full").sort_values("source_id").head(settings.batch)
    assert gap(again, data.images[rows.index]) < NEAR


def test_partial_fakes_come_out_again(style, tmp_path):
    data, settings = Dataset(unpack(style)), Fakes()
    schedule = {key: getattr(settings, key) for key in ("T", "jump_length", "resamplings")}
    generate_partial(data.folder, tmp_path, weights(style), 4, 0, batch=settings.batch, **schedule)
    again = Dataset(tmp_path)
    stored = data.table.set_index("path")
    for row in again.table.itertuples():
        assert np.array_equal(again.masks[row.Index], data.masks[list(stored.index).index(row.path)])
        assert gap(read_picture(tmp_path / row.path), read_picture(data.folder / row.path)) < NEAR
