"""The bundled archives are reproducible from seeds and have no shortcut outside the masks."""

import importlib.util

import numpy as np
import pytest
import torch

from wsdl.bundle import generator_archives
from wsdl.bundle.unpack import STYLE_ARCHIVES, copy_dataset, unpack_dataset, unpack_p2
from wsdl.config import Fakes
from wsdl.core.io import read_json, seed_for
from wsdl.data.audit import audit_dataset
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.generators.diffusion.p2 import load_p2
from wsdl.generators.diffusion.repaint import repaint_scheduler
from wsdl.generators.diffusion.schedule import PIXEL_SCHEDULE, noise_like
from wsdl.generators.registry import find_generator
from wsdl.generators.write_fakes import generate_partial

pytestmark = pytest.mark.slow

NEAR = 1.0  # mean difference of two images in levels: other processors round otherwise, and shown texture is 10
NOISE = 5.0  # the same with other noise of the camera: one photon more, and all that are drawn after it are others


STYLES = sorted(path.stem for path in STYLE_ARCHIVES.glob("*.zip"))


@pytest.fixture(scope="module", params=STYLES)
def style(request) -> str:
    return request.param


def gap(one, two) -> float:
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


def test_the_bundle_is_small_enough_to_clone():
    assert sum(path.stat().st_size for path in STYLE_ARCHIVES.parent.rglob("*.zip")) <= 110_000_000


def test_the_bundle_holds_the_fakes_of_profile_quick(style):
    folder, wanted = unpack_dataset(style), Fakes()
    full, partial = (read_json(folder / "fake" / name / "recipe.json") for name in ("p2", "repaint-p2"))
    assert (full["seed"], full["steps"], full["batch"]) == (0, wanted.ddim_steps, wanted.batch)
    for key, value in vars(wanted).items():
        assert partial.get(key, value) == value
    counts = Dataset(folder, ("repaint-p2",)).table.kind.value_counts()
    assert (counts["full"], counts["partial"]) == (wanted.full, wanted.partial)


def test_the_bundle_passes_check_and_audit(style):
    assert check_dataset(unpack_dataset(style)) == []
    for kind in ("partial", "full"):
        table = audit_dataset(unpack_dataset(style), kind=kind, seed=0)
        honest = ~table.feature.str.contains("depend on what was inpainted")
        assert (table.verdict[honest] == "ok").all(), table


@pytest.mark.skipif(importlib.util.find_spec("mitsuba") is None, reason="the extra wsdl[render] is not installed")
def test_faces_are_reproduced_from_their_seeds(style):
    from wsdl.faces.render import render_face

    data = Dataset(unpack_dataset(style))
    for row in data.select("real")[::300].itertuples():
        pixels, labels = render_face(seed_for(0, "render", style, int(row.source_id)), style)
        assert gap(pixels, read_image(data.folder / row.path)) < NOISE
        assert (labels != data.labels(row)).mean() < 0.01


def test_full_fakes_are_reproduced(style):
    data, settings = Dataset(unpack_dataset(style)), Fakes()
    again = load_p2(unpack_p2(style)).sample(settings.batch, 0, settings.ddim_steps)
    rows = data.select("full").sort_values("source_id").head(settings.batch)
    assert gap(again, data.images[rows.index]) < NEAR


@pytest.fixture
def first_repaint(monkeypatch) -> None:
    """RePaint as it made the bundled fakes: jumps back by diffusers, one draw per training step."""

    def repaint(noise, known, holes, seeds, *, T, jump_length, resamplings, noising=PIXEL_SCHEDULE, on_step=None):  # noqa: N803
        steps = repaint_scheduler(T, jump_length, resamplings, noising)
        x, sources = noise_like(tuple(known.shape[1:]), seeds)
        order = steps.timesteps.tolist()
        for last, t in zip([1000, *order], order, strict=False):
            if t < last:
                x = steps.step(noise(x, t), t, x, known, 1 - holes, generator=sources).prev_sample
            else:
                x = steps.undo_step(x, last, generator=sources)
        return x

    for module in ("p2", "ldm"):
        monkeypatch.setattr(f"wsdl.generators.diffusion.{module}.repaint", torch.no_grad()(repaint))


def test_partial_fakes_are_reproduced(style, tmp_path, first_repaint):
    data, settings = Dataset(unpack_dataset(style)), Fakes()
    schedule = settings.schedule
    generate_partial("repaint-p2", data.folder, tmp_path, unpack_p2(style), 2, 0, batch=settings.batch, **schedule)
    again = Dataset(tmp_path)
    stored = data.table.set_index("path")
    for row in again.table.itertuples():
        assert np.array_equal(again.masks[row.Index], data.masks[list(stored.index).index(row.path)])
        assert gap(read_image(tmp_path / row.path), read_image(data.folder / row.path)) < NEAR


# --- further generators -------------------------------------------------------------------------------------------

EXTRAS = [(style, generator) for style in STYLES for generator in generator_archives.bundled_generators(style)]


@pytest.fixture(scope="module", params=EXTRAS, ids="-".join)
def added(request, tmp_path_factory):
    """Style, generator, and a copy of the style's dataset with the fakes of the generator."""
    style, generator = request.param
    folder = tmp_path_factory.mktemp("added") / "data"
    copy_dataset(folder, style)
    generator_archives.add_fakes(folder, style, generator)
    return style, generator, folder


def test_every_archive_of_a_generator_belongs_to_a_style():
    archived = [name for style in STYLES for name in generator_archives.archived_fakes(style)]
    assert len(archived) == len(list(generator_archives.GENERATOR_ARCHIVES.glob("*")))


def test_fakes_of_further_generators_have_the_bundled_masks(added):
    _, generator, folder = added
    assert check_dataset(folder) == []
    data, wanted = Dataset(folder), Fakes().partial
    theirs, ours = (data.select("partial", generator=name) for name in ("repaint-p2", generator))
    assert len(ours) == wanted
    assert set(ours["mask"]) == {name.replace("/repaint-p2/", f"/{generator}/") for name in theirs["mask"]}
    for name in theirs["mask"]:
        mine = name.replace("/repaint-p2/", f"/{generator}/")
        assert (folder / mine).read_bytes() == (folder / name).read_bytes()


def test_fakes_of_further_generators_are_reproduced(added, tmp_path, first_repaint):
    style, generator, folder = added
    recipe, data = read_json(folder / generator_archives.recipe_path(generator)), Dataset(folder)
    used = generator_archives.unpack_generator(style, generator)
    assert find_generator(generator).fingerprint(used) == recipe["weights"]
    options = {key: value for key, value in recipe.items() if key in ("batch", *Fakes().schedule)}
    generate_partial(generator, folder, tmp_path, used, 8, recipe["seed"], **options)
    again = Dataset(tmp_path).table
    assert len(again) == 8
    assert set(again.path) <= set(data.select(generator=generator).path)
    for path in again.path:
        assert gap(read_image(tmp_path / path), read_image(folder / path)) < NEAR


# --- further full fakes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Dataset:
    """The faces of studio with the full fakes by DDPM."""
    folder = tmp_path_factory.mktemp("full") / "data"
    copy_dataset(folder, "studio", fakes=False)
    generator_archives.add_fakes(folder, "studio", "p2-ddpm")
    return Dataset(folder)


def test_full_fakes_by_ddpm_pass_check_and_audit(full):
    assert check_dataset(full.folder) == []
    assert full.select("full").groupby("split").size().to_dict() == {"train": 720, "valid": 80}
    table = audit_dataset(full.folder, kind="full", seed=0)
    honest = ~table.feature.str.contains("depend on what was inpainted")
    assert (table.verdict[honest] == "ok").all(), table


def test_full_fakes_by_ddpm_are_reproduced(full):
    recipe, p2 = read_json(full.folder / "fake/p2-ddpm/recipe.json"), unpack_p2("studio")
    assert find_generator("p2-ddpm").fingerprint(p2) == recipe["weights"]
    again = load_p2(p2).sample(recipe["batch"], recipe["seed"], recipe["steps"], sampler="ddpm")
    rows = full.select("full").sort_values("source_id").head(recipe["batch"])
    assert gap(again, full.images[rows.index]) < NEAR
