"""A study refuses results of other settings than those it is opened with, in one sentence that names the setting."""

import shutil
from dataclasses import replace

import pytest
from factories import add_lama

from wsdl.config import Fakes, P2Training, PatchesTraining, Profile
from wsdl.core.io import WsdlError, read_json, write_json, write_text
from wsdl.core.run import repository_root, short_path
from wsdl.data.dataset import Dataset
from wsdl.experiments import open_study as module
from wsdl.experiments.open_study import load_study, open_study
from wsdl.experiments.study import Study
from wsdl.experiments.study_checks import record_study

FEW = PatchesTraining(input_size=48, images=16, images_c=16, batch=8, batch_c=8, check_every=16)
SMALL = Profile(name="small", size=32, fakes=Fakes(full=8, partial=16), patches=FEW)


def write_profile(folder, **changes) -> str:
    write_json(folder / "small.json", {"size": 32, **changes})
    return str(folder / "small.json")


def begin(out) -> None:
    """Let `out` look as if its faces were made."""
    write_text(out / "data" / "manifest.csv", "")


def record(study: Study) -> None:
    record_study(study.out, study.source, study.seed, study.profile)


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A study whose detector in setup c was trained."""
    out = tmp_path_factory.mktemp("trained") / "out"
    shutil.copytree(dataset, out / "data")
    study = Study(out, SMALL, "made-up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "fakes", lambda study: Dataset(study.out / "data", ("repaint-p2",)))
        study.detector("patches", "c")
    return study


@pytest.fixture
def study(trained, tmp_path):
    """A copy of `trained`, with a profile of its own: study(patches=...)."""
    out = tmp_path / "out"
    shutil.copytree(trained.out, out)
    return lambda seed=0, **changes: Study(out, replace(SMALL, **changes), "made-up", seed=seed)


# --- the study --------------------------------------------------------------------------------------------------------


def test_a_study_remembers_profile_and_source(tmp_path, capsys):
    profile = write_profile(tmp_path, patches={"images": 400})
    begun = open_study(str(tmp_path / "out"), profile, "made-up")
    again = open_study(str(tmp_path / "out"))
    assert (again.profile, again.source) == (begun.profile, "made-up")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "profile small (settings of small.json), source made-up, seed 0"
    assert lines[-1] == f"study {tmp_path / 'out'}"


def test_a_new_study_is_quick_on_studio_portraits(tmp_path):
    begun = load_study(str(tmp_path / "out"))
    assert (begun.profile, begun.source) == (Profile(), "studio")
    assert read_json(tmp_path / "out/study.json")["source"] == "studio"


def test_the_default_study_is_the_demo_of_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = repository_root()
    assert (root / "notebooks").is_dir()
    assert module.default_study_folder() == root / "out/demo"
    assert short_path(module.default_study_folder()) == "out/demo"  # printed: the same on every machine
    monkeypatch.setattr(module, "repository_root", lambda: None)
    assert module.default_study_folder() == tmp_path / "out/demo"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"source": "snapshot"}, ["source studio, not snapshot"]),
        ({"seed": 3}, ["seed 0, not 3"]),
        ({"profile": {"patches": {"images": 400}}}, ["patches.images 2000 (profile quick)", "not 400 (profile small)"]),
        ({"profile": {"methods": ["grad-cam"]}}, ["methods ['patches', 'patches-mil']", "not ['grad-cam']"]),
    ],
)
def test_other_parameters_are_refused_by_name_and_values(tmp_path, asked, words):
    out = tmp_path / "out"
    load_study(str(out))
    begin(out)
    before = (out / "study.json").read_text()
    if "profile" in asked:
        write_json(tmp_path / "small.json", asked["profile"])
        asked = {"profile": str(tmp_path / "small.json")}
    with pytest.raises(WsdlError) as error:
        load_study(str(out), **asked)
    for word in ("this study was begun with", *words, str(out), "choose another out, or delete the folder"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert (out / "study.json").read_text() == before


def test_a_study_whose_faces_could_not_be_made_is_not_begun(tmp_path):
    with pytest.raises(WsdlError, match="wants images of 64 px, but the bundled faces have 128"):
        load_study(str(tmp_path), write_profile(tmp_path, size=64), "studio").faces()
    assert load_study(str(tmp_path), "quick", "made-up", seed=3).profile == Profile()
    assert read_json(tmp_path / "study.json")["seed"] == 3


def test_a_profile_of_the_same_settings_may_have_another_name(tmp_path):
    record(Study(tmp_path / "out", replace(SMALL, name="quick"), "studio"))
    record(Study(tmp_path / "out", SMALL, "studio"))
    assert read_json(tmp_path / "out/profile.json")["name"] == "small"


def test_a_study_of_a_version_with_fewer_settings_is_completed(tmp_path):
    mine = Study(tmp_path, Profile(name="mine"), "studio")
    record(mine)
    begin(tmp_path)
    before = {name: read_json(tmp_path / name) for name in ("study.json", "profile.json")}
    study, profile = (read_json(tmp_path / name) for name in before)
    del study["profile"]["further"], profile["further"]
    del study["profile"]["fakes"]["sampler"], profile["fakes"]["sampler"]
    write_json(tmp_path / "study.json", study)
    write_json(tmp_path / "profile.json", profile)
    record(mine)
    assert before == {name: read_json(tmp_path / name) for name in before}
    with pytest.raises(WsdlError, match=r"faces 240 .*, not 12 "):
        record(Study(tmp_path, Profile(name="mine", faces=12), "studio"))


def test_a_study_that_recorded_nothing_is_known_by_its_dataset(study):
    begun = study()
    assert not (begun.out / "study.json").exists()
    profile = write_profile(begun.out.parent)
    with pytest.raises(WsdlError, match="source made-up, not studio"):
        load_study(str(begun.out), profile, "studio")
    with pytest.raises(WsdlError, match=r"size 32 .*, not 128 "):
        load_study(str(begun.out))
    assert load_study(str(begun.out), profile).source == "made-up"
    assert read_json(begun.out / "study.json")["seed"] == 0


# --- its runs ---------------------------------------------------------------------------------------------------------


def test_a_run_of_the_same_settings_is_loaded(study, monkeypatch):
    monkeypatch.setattr("wsdl.training.detector.fit", None)  # would be called
    assert study().detector("patches", "c") is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images_c": 400}, "images = 16, not 400"),
        ({"batch_c": 4}, "batch = 8, not 4"),
        ({"rate": 0.5}, "settings.rate = 0.001, not 0.5"),
        ({"augment": 0.25}, "settings.augment = 0.0, not 0.25"),
    ],
)
def test_a_run_of_other_settings_is_refused(study, changes, words):
    other = study(patches=replace(FEW, **changes))
    with pytest.raises(WsdlError) as error:
        other.scores("patches", "c")
    assert f"{other.run_folder('patches', 'c')}: was begun with {words}; choose another" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("method", "attention", "method = 'attention', not 'patches'"),
        ("setup", "b", "setup = 'b', not 'c'"),
        ("generator", "lama", "generator = 'lama', not 'repaint-p2'"),
        ("seed", 4, "seed = 4, not 0"),
        ("source", "photos", "source = 'photos', not 'made-up'"),
        ("size", 64, "size = 64, not 32"),
    ],
)
def test_a_run_whose_config_names_something_else_is_refused(study, key, value, words):
    path = study().run_folder("patches", "c") / "config.json"
    write_json(path, read_json(path) | {key: value})
    with pytest.raises(WsdlError, match=words):
        study().detector("patches", "c")


def test_a_run_of_a_version_with_fewer_settings_is_loaded(study):
    path = study().run_folder("patches", "c") / "config.json"
    config = read_json(path)
    del config["settings"]["augment"], config["settings"]["start"], config["start"]
    write_json(path, config)
    assert study().detector("patches", "c") is not None


def test_a_run_stays_valid_when_other_fakes_are_added(study):
    add_lama(study().out / "data")
    assert study().detector("patches", "c") is not None


def test_a_run_of_another_dataset_is_refused(study):
    mine = study()
    data = Dataset(mine.out / "data")
    from wsdl.data.manifest import write_manifest

    write_manifest(data.folder, data.table.iloc[:-1], data.info)
    with pytest.raises(WsdlError, match=r"was trained on another version of .*data .*choose another"):
        mine.detector("patches", "c")


def test_a_generator_of_other_settings_is_refused(study):
    mine = study(generator=P2Training(images=400))
    write_json(mine.out / "p2/run.json", {"status": "done"})
    write_json(mine.out / "p2/config.json", {"generator": "p2", "images": 32, "seed": 0})
    with pytest.raises(WsdlError, match="p2: was begun with images = 32, not 400"):
        mine.train_p2()


def test_a_dataset_of_another_size_is_refused(study):
    with pytest.raises(WsdlError, match="data: was begun with size = 32, not 64"):
        study(size=64).faces()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"out": 2024}, "out is 2024, but must be a text.*papermill with -r"), ({"profile": 1.5}, "profile is 1.5"),
     ({"source": None}, "source is None"), ({"seed": "x"}, "seed is 'x', but must be a whole number")],
)  # fmt: skip
def test_parameters_of_a_wrong_type_are_refused(wrong, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WsdlError, match=words):
        load_study(**{"out": str(tmp_path / "study")} | wrong)
    assert not list(tmp_path.iterdir())
