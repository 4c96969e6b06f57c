"""Profiles: `quick`, `evening`, `photographs`, `full` and JSON files.

A profile is plain data: print it, save it, or state what differs from `quick` in a JSON file (`--profile my.json`).
Unknown settings and wrong types are refused with the list of valid ones.
"""

from dataclasses import asdict, replace
from pathlib import Path

from wsdl.config import EXTRA_GENERATORS, METHODS, OURS, Profile, check_methods
from wsdl.core.io import WsdlError, read_json
from wsdl.core.settings import apply_changes

# A preset states only what differs from the defaults.
# The bundled detectors patches-mil-* are trained with it. The paper's methods start from their first layers, as in the
# paper they start from ImageNet, or from detectors of other fakes.
_EVENING = {
    "name": "evening",
    "purpose": "two CPU cores, an evening",
    "methods": METHODS,
    "patches": {"images": 12_000, "images_c": 24_000, "start": OURS},
    "grad_cam": {"images": 6_000, "images_c": 12_000, "start": OURS},
    "attention": {"images": 6_000, "images_c": 12_000, "start": OURS},
    "patches_mil": {"images": 24_000, "images_c": 24_000, "check_every": 1_000, "label_images": 3_000, "margin": 1 / 64,
                    "decided_from": 0.5, "pseudo_labels": 0.5},
    "psccnet": {"images_c": 3_000},
    "frozen": {"images": 24_000, "images_c": 24_000},
}  # fmt: skip
# Patches-MIL on photographs. It starts from the bundled detector of setup B, which was trained without masks: from
# random weights the image labels of 600 photographs are not learned. Decoys: see wsdl.training.pasting.
_PHOTOGRAPHS = {
    "name": "photographs",
    "purpose": "Patches-MIL on photographs: two CPU cores, an hour",
    "methods": (OURS,),
    "fakes": {"full": 700},
    "patches_mil": _EVENING["patches_mil"] | {"images": 40_000, "images_c": 40_000, "start": f"{OURS}-b-studio",
                                              "warm_up_images": 0, "label_images": 24_000, "decoys": 0.5,
                                              "pseudo_labels": 0.5, "pseudo_from": 0.0, "decided_from": 0.75},
}  # fmt: skip
# The paper's size (section 4), for one GPU and days of training. notebooks/differences.md compares it with the paper.
_FULL = {
    "name": "full",
    "purpose": "the paper's size: one GPU, days",
    "size": 256,
    "p2_weights": "google/ddpm-ema-celebahq-256",
    "methods": METHODS,
    "fakes": {"full": 10_000, "partial": 41_500, "ddim_steps": 250, "T": 250, "jump_length": 10, "resamplings": 10,
              "batch": 32},
    "patches": {"input_size": 299, "images": 3_200_000, "images_c": 400_000, "batch": 64, "batch_c": 16,
                "check_every": 32_000, "check_every_c": 8_000, "ema_decay": 0.0, "start": "xavier",
                "as_published": True},
    "grad_cam": {"input_size": 299, "images": 1_600_000, "images_c": 400_000, "batch": 32, "batch_c": 16,
                 "check_every": 16_000, "check_every_c": 8_000, "ema_decay": 0.0, "as_published": True},
    "attention": {"input_size": 299, "images": 120_000, "images_c": 120_000, "batch": 16, "batch_c": 16,
                  "rate": 1e-4, "rate_c": 3e-4, "check_every": 8_000, "ema_decay": 0.0, "start": "ffd",
                  "as_published": True},
    "patches_mil": {"input_size": 299, "images": 3_200_000, "images_c": 400_000, "batch": 64, "batch_c": 16,
                    "check_every": 32_000, "label_images": 640_000, "last_block": "block2", "margin": 1 / 64,
                    "decided_from": 0.5, "pseudo_labels": 0.5},
    "psccnet": {"input_size": 256, "images_c": 400_000, "batch_c": 16, "rate_c": 2e-4, "check_every": 8_000,
                "ema_decay": 0.0},
}  # fmt: skip
# quick: the defaults of wsdl.config
PRESETS = {"quick": {}, "evening": _EVENING, "photographs": _PHOTOGRAPHS, "full": _FULL}


def load_profile(name: str) -> Profile:
    """One of PRESETS, or a JSON file with what differs from `quick` (lists stand for tuples).

    A file that states no name is named by its stem.
    """
    if name not in PRESETS and not Path(name).is_file():
        raise WsdlError(f"{name}: no such profile; choose {', '.join(PRESETS)}, or a JSON file.")
    changes = PRESETS[name] if name in PRESETS else read_json(Path(name))
    profile = apply_changes(Profile(), changes, name)
    if name not in PRESETS:
        named = {"name": Path(name).stem, "purpose": f"settings of {Path(name).name}"}
        profile = replace(profile, **{key: value for key, value in named.items() if key not in changes})
    if unknown := sorted(set(profile.further) - set(EXTRA_GENERATORS)):
        raise WsdlError(f"{name}: further names '{unknown[0]}', but must be some of {', '.join(EXTRA_GENERATORS)}.")
    return replace(profile, methods=check_methods(profile.methods))


def profile_to_dict(profile: Profile) -> dict:
    return asdict(profile)


def complete_profile(stored: dict, where: str) -> dict:
    """A profile that an earlier version wrote, with the defaults of the settings that it did not have yet."""
    return profile_to_dict(apply_changes(Profile(), stored, where))
