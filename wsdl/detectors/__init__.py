"""Detectors: pictures in, one map and one score a picture out. One file a method; what they share is in base."""

from pathlib import Path

import torch


def load_detector(run: Path) -> torch.nn.Module:
    """The trained detector of a run folder, ready to predict."""
    from safetensors.torch import load_file

    from wsdl.core.device import pick_device
    from wsdl.core.io import WsdlError, read_json
    from wsdl.core.run import MODEL_FILE

    config = read_json(Path(run) / "config.json")
    if not (Path(run) / MODEL_FILE).exists():
        raise WsdlError(f"{run}: holds no {MODEL_FILE} yet; let its training reach the first check.")
    detector = build_detector(config["method"], config["setup"], config["settings"]["input_size"])
    detector.load_state_dict(load_file(Path(run) / MODEL_FILE))
    return detector.to(pick_device(), memory_format=torch.channels_last).eval()


def build_detector(method: str, setup: str, input_size: int) -> torch.nn.Module:
    """An untrained detector for one setup. WsdlError for a method that does not exist."""
    from wsdl.config import check_method
    from wsdl.detectors.attention import Attention
    from wsdl.detectors.grad_cam import GradCam
    from wsdl.detectors.patches import Patches

    kinds = {"patches": Patches, "grad-cam": GradCam, "attention": Attention}
    return kinds[check_method(method)](setup, input_size)
