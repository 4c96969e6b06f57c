"""Profiles are strict: what is not a setting, or not of its type, is refused with the valid choices."""

import json

import pytest

from wsdl.config import METHODS, Profile
from wsdl.core.io import WsdlError
from wsdl.profiles import _FULL, PRESETS, load_profile, profile_to_dict


def write(folder, changes: dict) -> str:
    path = folder / "my.json"
    path.write_text(json.dumps(changes))
    return str(path)


def test_a_file_states_only_what_differs(tmp_path):
    profile = load_profile(write(tmp_path, {"size": 64, "fakes": {"T": 7}, "generator": {"channels": [16, 32]}}))
    assert (profile.size, profile.fakes.T, profile.generator.channels) == (64, 7, (16, 32))
    assert profile.fakes.resamplings == Profile().fakes.resamplings


def test_a_profile_survives_its_own_json(tmp_path):
    for name in PRESETS:
        profile = load_profile(name)
        assert load_profile(write(tmp_path, profile_to_dict(profile))) == profile


def test_full_is_the_paper(tmp_path):
    full = load_profile("full")
    assert (full.size, full.patches.input_size) == (256, 299)
    assert (full.fakes.T, full.fakes.jump_length, full.fakes.resamplings) == (250, 10, 10)
    assert full.patches.images == 100 * 500 * full.patches.batch  # 100 "epochs" of 500 iterations
    assert full.patches.images_c == 50 * 500 * full.patches.batch_c
    assert _FULL["size"] == 256


@pytest.mark.parametrize(
    ("method", "setup", "epochs", "batch", "rate"),
    [
        ("patches", "a", 100, 64, 1e-3),
        ("patches", "c", 50, 16, 1e-3),
        ("grad-cam", "b", 100, 32, 1e-3),
        ("grad-cam", "c", 50, 16, 1e-3),
        ("attention", "b", 15, 16, 1e-4),
        ("attention", "c", 15, 16, 3e-4),
    ],
)
def test_full_trains_each_method_as_the_paper_does(method, setup, epochs, batch, rate):
    settings = load_profile("full").training(method)
    assert (settings.input_size, settings.ema_decay) == (299, 0.0)
    assert settings.amounts(setup) == (epochs * 500 * batch, batch, rate)


@pytest.mark.parametrize("method", METHODS)
def test_quick_does_not_shrink_the_pictures(method):
    quick = load_profile("quick")
    assert quick.training(method).input_size == quick.size


def test_an_unknown_method_is_named():
    with pytest.raises(WsdlError, match=r"--method.*'magic'.*patches, grad-cam, attention"):
        load_profile("quick").training("magic")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sise": 64}, ["sise", "size"]),
        ({"fakes": {"jump": 3}}, ["fakes", "jump", "jump_length"]),
        ({"size": "64"}, ["size", "'64'", "int"]),
        ({"size": 64.0}, ["size", "int"]),
        ({"size": True}, ["size", "True", "int"]),
        ({"patches": 3}, ["patches", "3"]),
        ({"methods": ["patches", "magic"]}, ["'patches,magic'", "grad-cam"]),
        ({"methods": ["patches", "patches"]}, ["'patches,patches'", "each once"]),
        ({"methods": []}, ["methods", "some of"]),
        ({"generator": {"channels": [16, "x"]}}, ["channels", "tuple"]),
    ],
)
def test_wrong_settings_are_refused(tmp_path, changes, words):
    with pytest.raises(WsdlError) as error:
        load_profile(write(tmp_path, changes))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_an_unknown_profile_is_named():
    with pytest.raises(WsdlError, match=r"huge: .*quick, evening, photographs, full"):
        load_profile("huge")
