"""Detectors: one localisation map and one score per image. One file per method; `base` holds what they share."""

from pathlib import Path

import torch


def load_detector(run: Path) -> torch.nn.Module:
    """The trained detector of a run folder, on the default device, ready to predict.

    WsdlError where config.json describes no detector, or the weights are missing or of another network.
    """
    from wsdl.core.device import pick_device
    from wsdl.core.io import WsdlError, read_json
    from wsdl.core.weights import load_model

    config = read_json(Path(run) / "config.json")
    try:
        detector = build_detector(config["method"], config["setup"], config["settings"]["input_size"])
    except (KeyError, TypeError):
        raise WsdlError(f"{run}/config.json: does not describe a detector; give a run of `train`.") from None
    return load_model(detector, run).to(pick_device(), memory_format=torch.channels_last).eval()


def build_detector(method: str, setup: str, input_size: int) -> torch.nn.Module:
    """An untrained detector for one setup. WsdlError for an unknown method or setup."""
    from wsdl.config import check_method, find_setup
    from wsdl.detectors.attention import Attention
    from wsdl.detectors.grad_cam import GradCam
    from wsdl.detectors.patches import Patches

    detectors = {"patches": Patches, "grad-cam": GradCam, "attention": Attention}
    return detectors[check_method(method)](input_size, has_masks=find_setup(setup).has_masks)
