"""A study of bundled faces loads what comes with them and makes the rest."""

from dataclasses import replace

import pytest
from factories import untrained_run

from wsdl.bundle import generator_archives, unpack
from wsdl.config import OURS, Fakes, GradCamTraining, PatchesMilTraining, PatchesTraining, Profile
from wsdl.core.io import WsdlError, read_json, sha256, write_json
from wsdl.core.locks import lock_holder
from wsdl.data.dataset import Dataset
from wsdl.evaluation.baselines import BASELINES
from wsdl.experiments.grid import make_grid, prepare_data
from wsdl.experiments.study import Study
from wsdl.generators.write_fakes import generate_partial
from wsdl.report.site import build_site

BUNDLED = Profile(size=32, fakes=Fakes(full=5, partial=10))


@pytest.fixture
def study(archive, tmp_path, monkeypatch):
    """A study on the small archive of the tests in place of the shipped one."""
    monkeypatch.setattr(unpack, "STYLE_ARCHIVES", archive.parent)
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", tmp_path / "no further ones")
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "cache"))

    def begin(profile: Profile = BUNDLED, source: str = "studio", seed: int = 0) -> Study:
        return Study(tmp_path / "out", profile, source, seed=seed)

    return begin


def test_bundled_faces_come_with_their_fakes(study, free):
    table, packed = study().faces().table, Dataset(free).table
    assert list(table.path) == list(packed.path)
    assert set(table.kind) == {"real", "full", "partial"}


@pytest.mark.parametrize("seed", [0, 3])
def test_no_fake_is_made_that_came_with_the_faces(study, monkeypatch, seed):
    monkeypatch.setattr("wsdl.generators.diffusion.p2.load_p2", None)  # would be called
    begun = study(seed=seed)
    before = begun.faces().table
    assert begun.fakes().table.equals(before)
    assert begun.fakes_seed == 0


def test_the_bundled_generator_is_loaded(study, p2):
    begun = study()
    assert not begun.trains_p2
    assert begun.generator().size == 32
    assert not (begun.out / "p2").exists()


@pytest.mark.parametrize("change", [{"T": 7}, {"batch": 3}])
def test_other_fakes_than_the_bundles_are_made_anew(study, change):
    begun = study(replace(BUNDLED, fakes=replace(BUNDLED.fakes, **change)), seed=2)
    assert not begun.has_bundled_fakes
    assert set(begun.faces().table.kind) == {"real"}
    assert begun.fakes_seed == 2


def test_other_weights_make_other_fakes(study, p2):
    begun = study(replace(BUNDLED, p2_weights=str(p2)))
    assert set(begun.faces().table.kind) == {"real"}
    assert begun.p2_weights == str(p2)


def test_a_profile_of_another_size_is_refused(study):
    with pytest.raises(WsdlError, match=r"64 px.* 32"):
        study(Profile(size=64)).faces()


# --- the full fakes of setup A --------------------------------------------------------------------------------------


@pytest.fixture
def with_ddpm(full_archive, monkeypatch):
    """As if these full fakes came with wsdl, and nothing else."""
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", full_archive.parent)


def listed(study: Study) -> set[str]:
    """The generators of the full fakes that `study` lists."""
    return set(study.fakes().select("full").generator)


def with_sampler(sampler: str) -> Profile:
    few = PatchesTraining(input_size=48, images=4, images_c=4, batch=2, batch_c=2)
    return replace(BUNDLED, fakes=replace(BUNDLED.fakes, sampler=sampler), patches=few)


def test_setup_a_takes_the_full_fakes_that_come_along(study, with_ddpm, full_data):
    begun = study(with_sampler("ddpm"))
    assert listed(begun) == {"p2-ddpm"}
    assert set(begun.fakes_by(("repaint-p2",)).select("full").generator) == {"p2-ddpm"}
    rows = begun.fakes().select("full")
    assert list(rows.sha256) == list(Dataset(full_data).select("full", generator="p2-ddpm").sha256)
    assert begun.run_folder("patches", "a").name == "patches-a-p2-ddpm-studio-s0"
    assert begun.run_folder("patches", "b").name == "patches-b-repaint-p2-studio-s0"
    begun.detector("patches", "a")
    config = read_json(begun.run_folder("patches", "a") / "config.json")
    assert config["generator"] == "p2-ddpm"
    begun.detector("patches", "a")  # accepted again
    config["generator"] = "p2"
    write_json(begun.run_folder("patches", "a") / "config.json", config)
    with pytest.raises(WsdlError, match="generator = 'p2', not 'p2-ddpm'"):
        begun.detector("patches", "a")


def test_the_profile_may_ask_for_full_fakes_by_ddim(study, with_ddpm):
    study(with_sampler("ddpm")).fakes()
    begun = study(with_sampler("ddim"))
    assert begun.has_bundled_fakes
    assert listed(begun) == {"p2"}
    assert begun.run_folder("patches", "a").name == "patches-a-p2-studio-s0"


def test_faces_without_full_fakes_by_ddpm_take_those_by_ddim(study, capsys):
    begun = study(with_sampler("ddpm"))
    assert listed(begun) == {"p2"}
    assert begun.run_folder("patches", "a").name == "patches-a-p2-studio-s0"
    sentence = "studio: comes without full fakes by ddpm; setup A trains on those by ddim.\n"
    assert capsys.readouterr().err.endswith(sentence)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_a_study_makes_full_fakes_with_its_sampler(study, p2, monkeypatch, sampler):
    made = {}
    monkeypatch.setattr("wsdl.generators.write_fakes.generate_full", lambda *_, **more: made.update(more))
    monkeypatch.setattr("wsdl.generators.write_fakes.generate_partial", lambda *_, **__: None)
    study(replace(with_sampler(sampler), p2_weights=str(p2)))._make_fakes()
    assert made["sampler"] == sampler


# --- further generators -------------------------------------------------------------------------------------------


@pytest.fixture
def with_lama(lama_archive, monkeypatch):
    """As if this add-on came with wsdl, and no other."""
    monkeypatch.setattr(generator_archives, "GENERATOR_ARCHIVES", lama_archive.parent)


def test_bundled_fakes_are_added_on_request(study, with_lama, inpainted):
    begun = study()
    own = begun.fakes_by(("repaint-p2",))
    assert own.table.equals(begun.fakes().table)
    assert not (begun.out / "data/fake/lama").exists()  # nobody asked

    found = begun.fakes_by(("lama",))
    assert found.generators == ("lama",)
    rows = Dataset(inpainted, ("lama",)).table
    assert found.table.equals(rows)
    assert list(begun.fakes().table.path) == list(own.table.path)
    assert begun.fakes().info == found.info  # opened anew: the cache is that of today's manifest
    assert begun.fakes_by(("repaint-p2", "lama")).generators == ("lama", "repaint-p2")
    with pytest.raises(WsdlError, match=r"no partial fakes by 'pluralistic'.*lama, repaint-p2"):
        begun.fakes_by(("lama", "pluralistic"))


def test_a_study_with_fakes_of_its_own_takes_none_of_the_bundles(study, with_lama, monkeypatch):
    monkeypatch.setattr(Study, "fakes", Study.faces)  # as if made
    begun = study(replace(BUNDLED, fakes=replace(BUNDLED.fakes, T=7)))
    with pytest.raises(WsdlError, match="no partial fakes by 'lama'"):
        begun.fakes_by(("lama",))


def test_fakes_that_somebody_made_in_the_study_are_kept(study, with_lama, tmp_path):
    begun = study()
    data = begun.fakes().folder
    generate_partial("lama", data, data, untrained_run("lama", tmp_path / "own", seed=1), 4, 0, batch=4)
    assert len(begun.fakes_by(("lama",)).select("partial")) == 4


def test_a_grid_finds_the_fakes_that_come_with_wsdl(study, with_lama, tmp_path):
    write_json(tmp_path / "profile.json", {"name": "tiny", "size": 32, "fakes": {"full": 5, "partial": 10}})
    write_json(tmp_path / "cells.json", {"cells": [
        {"method": "patches", "setup": "c", "tests": ["studio/lama"]},
        {"method": "patches", "setup": "c", "generators": ["lama"]},
    ]})  # fmt: skip
    grid = make_grid(str(tmp_path / "cells.json"), tmp_path / "grid", profile=str(tmp_path / "profile.json"))
    prepare_data(grid, list(grid.jobs))
    made = Dataset(grid.out / "studio/data")
    assert made.generators == ("lama", "repaint-p2")
    decoded = {path.name for path in made.cache_folder.iterdir()}
    assert "masks-partial-lama-train.npy" in decoded
    assert "images-real-train.npy" not in decoded  # setup c trains on fakes alone
    assert not lock_holder(grid.out / "studio/data.lock")


@pytest.mark.slow
def test_tables_maps_and_figures_hold_every_method_of_the_profile(study):
    few = {"images": 4, "images_c": 4, "batch": 2, "batch_c": 2, "start": "scratch"}
    both = {"patches": PatchesTraining(input_size=48, **few), "grad_cam": GradCamTraining(input_size=64, **few)}
    begun = study(replace(BUNDLED, methods=("patches", "grad-cam"), **both))
    rows = [(method, setup) for method in ("patches", "grad-cam") for setup in "abc"]
    table = begun.table()
    assert list(zip(table.method, table.setup, strict=True))[:6] == rows
    assert list(table.method[6:]) == list(BASELINES)
    maps = begun.maps(begun.faces().images[:3], "ab")
    assert list(maps) == ["patches, a", "patches, b", "grad-cam, a", "grad-cam, b"]
    assert {found.shape[0] for found in maps.values()} == {3}
    page = build_site(begun.out, begun.out).read_text(encoding="utf-8")
    assert [page.count(f'alt="{method} on ') for method in ("Patches", "Grad-CAM", "Attention")] == [1, 1, 0]


def test_a_training_starts_from_patches_mil_of_its_setup(study):
    tiny = {"input_size": 32, "images": 8, "images_c": 8, "batch": 4, "batch_c": 4}
    patches_mil = PatchesMilTraining(**tiny, warm_up_images=0, label_images=4)
    begun = study(replace(BUNDLED, patches=PatchesTraining(**tiny, start=OURS), patches_mil=patches_mil))
    begun.detector("patches", "b")
    weights = begun.run_folder(OURS, "b") / "model.safetensors"
    config = read_json(begun.run_folder("patches", "b") / "config.json")
    assert config["start"].endswith(sha256(weights)[:12])
    begun.detector("patches", "b")  # is loaded: the study asks for the same settings


def test_patches_mil_cannot_start_from_itself(study):
    begun = study(replace(BUNDLED, patches_mil=PatchesMilTraining(start=OURS)))
    with pytest.raises(WsdlError, match="patches-mil: no such file; start must be"):
        begun.detector(OURS, "b")
