"""Numbers out of range are refused in one sentence, in Python and in a profile; a resumable run is never begun."""

import json

import pytest

from wsdl.config import Fakes, P2Training, PatchesTraining, Profile, Training
from wsdl.core.io import WsdlError
from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining
from wsdl.generators.diffusion.train_ldm import LDMTraining
from wsdl.generators.inpainting.train import InpainterTraining
from wsdl.parsing.train import ParserTraining
from wsdl.profiles import load_profile

NAN = float("nan")
OUT_OF_RANGE = [
    (Training, {"batch_c": 0}),
    (Training, {"images": 0}),
    (Training, {"augment": 7.0}),
    (Training, {"augment": NAN}),
    (Training, {"input_size": 0}),
    (PatchesTraining, {"ema_decay": 5.0}),
    (PatchesTraining, {"ema_decay": 1.0}),
    (P2Training, {"check_every": 0}),
    (P2Training, {"rate": NAN}),
    (P2Training, {"rate": float("inf")}),
    (P2Training, {"channels": (16, 0)}),
    (P2Training, {"channels": ()}),
    (P2Training, {"gamma": -1.0}),
    (Fakes, {"T": 0}),
    (Fakes, {"T": 1001}),
    (Fakes, {"ddim_steps": 1001}),
    (Fakes, {"partial": -1}),
    (Fakes, {"full": 1_000_000_000}),
    (Fakes, {"batch": 8.5}),
    (Fakes, {"sampler": "euler"}),
    (Training, {"batch": 100_000}),
    (Training, {"rate": "fast"}),
    (P2Training, {"channels": (100_000,)}),
    (Profile, {"size": 100_000}),
    (Profile, {"size": NAN}),
    (Profile, {"size": 0}),
    (Profile, {"further_images": 0}),
    (LDMTraining, {"images": -1}),
    (AutoencoderTraining, {"batch": 0}),
    (InpainterTraining, {"discriminator_rate": -1.0}),
    (ParserTraining, {"check_every": 0}),
]


@pytest.mark.parametrize(("settings", "wrong"), OUT_OF_RANGE)
def test_a_setting_out_of_range_is_refused(settings, wrong):
    settings()  # the defaults are valid
    name, value = next(iter(wrong.items()))
    with pytest.raises(WsdlError) as caught:
        settings(**wrong)
    assert str(caught.value).startswith(f"{name} is {value!r}, but must be ")


def test_a_profile_out_of_range_names_file_setting_and_value(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"patches": {"batch_c": 0}}))
    with pytest.raises(WsdlError, match=r"mine\.json: patches: batch_c is 0, but must be a whole number from 1 to"):
        load_profile(str(path))


def test_both_presets_are_within_the_ranges():
    assert load_profile("quick").patches.batch_c == 4
    assert load_profile("full").patches.images == 3_200_000
