"""Detectors: pictures in, one map and one score a picture out. One file a method; what they share is in base."""

from pathlib import Path

import torch


def load_detector(run: Path) -> torch.nn.Module:
    """The trained detector of a run folder, ready to predict."""
    from safetensors.torch import load_file

    from wsdl.device import pick_device
    from wsdl.files import WsdlError, read_json
    from wsdl.fit import MODEL

    config = read_json(Path(run) / "config.json")
    if not (Path(run) / MODEL).exists():
        raise WsdlError(f"{run}: holds no {MODEL} yet; let its training reach the first check.")
    detector = build_detector(config["method"], config["settings"]["input_size"])
    detector.load_state_dict(load_file(Path(run) / MODEL))
    return detector.to(pick_device(), memory_format=torch.channels_last).eval()


def build_detector(method: str, input_size: int) -> torch.nn.Module:
    """An untrained detector. WsdlError for a method that does not exist."""
    from wsdl.detectors.patches import Patches
    from wsdl.files import WsdlError

    if method != "patches":
        raise WsdlError(f"--method: is '{method}', but the only method so far is patches.")
    return Patches(input_size)
