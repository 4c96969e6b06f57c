"""Detectors: one localisation map and one score per image. One file per method; `base` holds what they share."""

from pathlib import Path

import torch


def load_detector(run: Path) -> torch.nn.Module:
    """The trained detector of a run folder, on the default device, ready to predict.

    From then on this process retains the memory of freed tensors (`retain_freed_memory`). WsdlError where config.json
    describes no detector, or the weights are missing or of another network.
    """
    from wsdl.core.device import pick_device, retain_freed_memory
    from wsdl.core.ranges import check_ranges
    from wsdl.core.weights import build_network, load_model

    def build(config: dict) -> torch.nn.Module:
        check_ranges(input_size=config["settings"]["input_size"])
        return build_detector(config["method"], config["setup"], **network_options(config["settings"]))

    retain_freed_memory()
    detector = build_network(run, build, "`train`")
    return load_model(detector, run).to(pick_device(), memory_format=torch.channels_last).eval()


def build_detector(method: str, setup: str, input_size: int, **options) -> torch.nn.Module:
    """An untrained detector for one setup. WsdlError for an unknown method or setup.

    options: further arguments of the detector (see `network_options`).
    """
    from wsdl.config import check_method, find_setup
    from wsdl.detectors.attention import Attention
    from wsdl.detectors.frozen import Frozen
    from wsdl.detectors.grad_cam import GradCam
    from wsdl.detectors.patches import Patches
    from wsdl.detectors.patches_mil import PatchesMil
    from wsdl.detectors.psccnet import PsccNet

    detectors = {
        "patches": Patches,
        "grad-cam": GradCam,
        "attention": Attention,
        "patches-mil": PatchesMil,
        "psccnet": PsccNet,
        "frozen": Frozen,
    }
    return detectors[check_method(method)](input_size, has_masks=find_setup(setup).has_masks, **options)


def network_options(settings: dict) -> dict:
    """The settings of a training (`wsdl.config.Training` as a dict) that its network is built from."""
    names = "input_size", "label_loss", "last_block", "as_published", "backbone", "levels"
    return {name: settings[name] for name in names if name in settings}
