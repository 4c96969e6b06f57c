"""Variants: named changes to the settings of Patches-MIL, each compared with the others in a grid."""

from dataclasses import dataclass

from wsdl.core.io import WsdlError
from wsdl.detectors.label_losses import LABEL_LOSSES


@dataclass(frozen=True)
class Variant:
    description: str
    changes: dict  # settings of `wsdl.config.PatchesMilTraining` that differ from the profile


# Each label loss on its own: the same warm-up and the same number of images, no pasted images afterwards.
LOSS_VARIANTS = {
    name: Variant(f"label loss {name} alone", {"label_loss": name, "cut_and_paste": False}) for name in LABEL_LOSSES
}
# What comes before cut and paste, how far a patch sees, what is pasted, which regions are found and how often. The
# numbers of images are meant for the 6,000 of profile `quick`; `decided` and `pseudo-masks` are settings of `evening`.
ABLATIONS = {
    "block2": Variant("receptive field 43 px instead of 19", {"last_block": "block2"}),
    "no-warm-up": Variant("no corrupted pieces at the beginning", {"warm_up_images": 0}),
    "paste-max": Variant("k = 1 patch before cut and paste", {"label_loss": "max"}),
    "paste-top-k": Variant("k = 5 % of the patches before cut and paste", {"label_loss": "top-k"}),
    "paste-mean": Variant("k = all patches before cut and paste", {"label_loss": "mean"}),
    "paste-every-patch": Variant("label on every patch before cut and paste", {"label_loss": "every-patch"}),
    "labels-1000": Variant("cut and paste from 1,000 images on", {"label_images": 1_000}),
    "labels-4000": Variant("cut and paste from 4,000 images on", {"label_images": 4_000}),
    "one-piece": Variant("one piece in a pasted image", {"pieces": 1}),
    "decoys": Variant("a third of the pieces are real", {"decoys": 1 / 3}),
    "decided": Variant("regions above 0.5 from the half on", {"decided_from": 0.5}),
    "pseudo-masks": Variant("also whole images with pseudo-masks in the last third", {"pseudo_labels": 0.5}),
    "every-1000": Variant("regions found anew every 1,000 images", {"check_every": 1_000}),
    "every-2000": Variant("regions found anew every 2,000 images", {"check_every": 2_000}),
}
VARIANTS = {
    **LOSS_VARIANTS,
    "paper": Variant(
        "label on every patch, no warm-up", {"label_loss": "every-patch", "cut_and_paste": False, "warm_up_images": 0}
    ),
    "no-paste": Variant("labels alone, label loss of the profile", {"cut_and_paste": False}),
    **ABLATIONS,
}


def find_variant(name: str, where: str) -> dict:
    """The changed settings of the variant called `name`. WsdlError, which begins with `where`, if there is none."""
    if name not in VARIANTS:
        raise WsdlError(f"{where}: no variant '{name}'; choose {', '.join(VARIANTS)}, or give its `settings`.")
    return VARIANTS[name].changes


def describe_variant(name: str) -> str:
    """One line about a variant: "" for those of a job file, which have a name alone."""
    return VARIANTS[name].description if name in VARIANTS else ""
