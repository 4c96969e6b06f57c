"""Profiles are strict: what is not a setting, or not of its type, is refused with the valid choices."""

import json

import pytest

from wsdl.files import WsdlError
from wsdl.profiles import FULL, Profile, load_profile, to_dict


def write(folder, changes: dict) -> str:
    path = folder / "my.json"
    path.write_text(json.dumps(changes))
    return str(path)


def test_a_file_states_only_what_differs(tmp_path):
    profile = load_profile(write(tmp_path, {"size": 64, "fakes": {"T": 7}, "generator": {"channels": [16, 32]}}))
    assert (profile.size, profile.fakes.T, profile.generator.channels) == (64, 7, (16, 32))
    assert profile.fakes.resamplings == Profile().fakes.resamplings


def test_a_profile_survives_its_own_json(tmp_path):
    for name in ("quick", "full"):
        profile = load_profile(name)
        assert load_profile(write(tmp_path, to_dict(profile))) == profile


def test_full_is_the_paper(tmp_path):
    full = load_profile("full")
    assert (full.size, full.patches.input_size) == (256, 299)
    assert (full.fakes.T, full.fakes.jump_length, full.fakes.resamplings) == (250, 10, 10)
    assert full.patches.images == 100 * 500 * full.patches.batch  # 100 "epochs" of 500 iterations
    assert full.patches.images_c == 50 * 500 * full.patches.batch_c
    assert FULL["size"] == 256


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sise": 64}, ["sise", "size"]),
        ({"fakes": {"jump": 3}}, ["fakes", "jump", "jump_length"]),
        ({"size": "64"}, ["size", "'64'", "int"]),
        ({"size": 64.0}, ["size", "int"]),
        ({"size": True}, ["size", "True", "int"]),
        ({"patches": 3}, ["patches", "3"]),
        ({"generator": {"channels": [16, "x"]}}, ["channels", "tuple"]),
    ],
)
def test_wrong_settings_are_refused(tmp_path, changes, words):
    with pytest.raises(WsdlError) as error:
        load_profile(write(tmp_path, changes))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_an_unknown_profile_is_named():
    with pytest.raises(WsdlError, match="huge: no such profile; choose quick, full"):
        load_profile("huge")
