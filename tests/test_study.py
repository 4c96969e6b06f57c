"""A study on bundled faces loads what came with them, and makes what did not."""

from dataclasses import replace

import pytest

from wsdl.bundle import unpack
from wsdl.data.layout import Dataset
from wsdl.files import WsdlError
from wsdl.profiles import Fakes, GradCam, Patches, Profile
from wsdl.report.site import site
from wsdl.study import Study

BUNDLED = Profile(size=32, fakes=Fakes(full=5, partial=10))


@pytest.fixture
def study(archive, tmp_path, monkeypatch):
    """A study on the small archive of the tests in place of the shipped one."""
    monkeypatch.setattr(unpack, "ASSETS", archive.parent)
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
    monkeypatch.setattr("wsdl.generators.fakes.load_p2", None)  # would be called
    begun = study(seed=seed)
    before = begun.faces().table
    assert begun.fakes().table.equals(before)
    assert begun.fakes_seed == 0


def test_the_bundled_generator_is_loaded(study, p2):
    begun = study()
    assert not begun.own_generator
    assert begun.generator().size == 32
    assert not (begun.out / "p2").exists()


@pytest.mark.parametrize("change", [{"T": 7}, {"batch": 3}])
def test_other_fakes_than_the_bundles_are_made_anew(study, change):
    begun = study(replace(BUNDLED, fakes=replace(BUNDLED.fakes, **change)), seed=2)
    assert not begun.has_fakes
    assert set(begun.faces().table.kind) == {"real"}
    assert begun.fakes_seed == 2


def test_other_weights_make_other_fakes(study, p2):
    begun = study(replace(BUNDLED, p2_weights=str(p2)))
    assert set(begun.faces().table.kind) == {"real"}
    assert begun.p2_weights == str(p2)


def test_a_profile_of_another_size_is_refused(study):
    with pytest.raises(WsdlError, match="wants pictures of 64 px, but the bundled faces have 32"):
        study(Profile(size=64)).faces()


def test_tables_maps_and_figures_hold_every_method_of_the_profile(study):
    few = {"images": 4, "images_c": 4, "batch": 2, "batch_c": 2, "start": "scratch"}
    both = {"patches": Patches(input_size=48, **few), "grad_cam": GradCam(input_size=64, **few)}
    begun = study(replace(BUNDLED, methods=("patches", "grad-cam"), **both))
    rows = [(method, setup) for method in ("patches", "grad-cam") for setup in "abc"]
    table = begun.table()
    assert list(zip(table.method, table.setup, strict=True))[:6] == rows
    assert table.method[6:].str.startswith("control").all()
    maps = begun.maps(begun.faces().images[:3], "ab")
    assert list(maps) == ["patches, a", "patches, b", "grad-cam, a", "grad-cam, b"]
    assert {found.shape[0] for found in maps.values()} == {3}
    page = site(begun.out, begun.out).read_text(encoding="utf-8")
    assert [page.count(f'alt="{method} on ') for method in ("patches", "grad-cam", "attention")] == [1, 1, 0]
