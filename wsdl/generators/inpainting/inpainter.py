"""An inpainting network as a generator: `inpaint(images, masks, seeds)`, and where its weights come from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from wsdl.core.device import autocast, pick_device, to_uint8, to_unit
from wsdl.core.io import WsdlError, read_json, sha256
from wsdl.core.run import MODEL_FILE
from wsdl.generators.diffusion.weights import first_line, trained_as
from wsdl.generators.inpainting.lama import BigLaMa, LaMa
from wsdl.generators.inpainting.pluralistic import Pluralistic

NETWORKS = {"lama": LaMa, "pluralistic": Pluralistic}


class Inpainter:
    """A network with `paint(known, holes, seeds)` as a generator of partial fakes."""

    clean = True  # pixels outside the mask are copied back exactly

    def __init__(self, name: str, network: torch.nn.Module, size: int | None):
        self.name = name
        self.network = network.to(pick_device(), memory_format=torch.channels_last).eval()
        self.size = size  # side of its pictures in pixels; None: any

    @torch.no_grad()
    def inpaint(
        self, images: np.ndarray, masks: np.ndarray, seeds: list[int], on_step: Callable | None = None
    ) -> np.ndarray:
        """Paint where masks [n, S, S] are 1 into uint8 images [n, S, S, 3]. What is under the hole is not seen.

        One seed a picture: another seed paints something else, where the network knows more than one answer.
        """
        holes = torch.as_tensor(np.array(masks)).to(pick_device())[:, None].float()
        with autocast():
            painted = self.network.paint(to_unit(images) * (1 - holes), holes, seeds)
        if on_step:
            on_step(0, painted)
        return np.where(masks[..., None] == 1, to_uint8(painted), images)

    def rehearse(self, batch: int, size: int) -> None:
        """One call of the network, to see how long it takes."""
        grey = np.full((batch, size, size, 3), 127, np.uint8)
        self.inpaint(grey, np.ones(grey.shape[:3], np.uint8), [0] * batch)


def load_inpainter(name: str, weights: str | Path) -> Inpainter:
    """The generator `name` from a run of `train-generator`, or LaMa from a TorchScript file (big-lama.pt).

    TorchScript can run code: open only files from people you trust.
    """
    if _is_script(name, weights):
        return Inpainter(name, BigLaMa(Path(weights)), None)
    config = _inpainter_config(name, weights)
    network = NETWORKS[name](config["width"], config["blocks"])
    try:
        network.load_state_dict(load_file(Path(weights) / MODEL_FILE))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise WsdlError(
            f"{Path(weights) / MODEL_FILE}: does not fit the network that config.json describes ({first_line(error)}); "
            f"train the generator again."
        ) from None
    return Inpainter(name, network, config["size"])


def inpainter_image_size(name: str, weights: str | Path) -> int | None:
    """Side in pixels of what these weights paint; None: any."""
    return None if _is_script(name, weights) else _inpainter_config(name, weights)["size"]


def inpainter_fingerprint(name: str, weights: str | Path) -> str:
    """The sha256 of the weights."""
    inpainter_image_size(name, weights)  # refuses what is no such generator
    return sha256(Path(weights) if _is_script(name, weights) else Path(weights) / MODEL_FILE)


def _is_script(name: str, weights: str | Path) -> bool:
    return name == "lama" and Path(weights).is_file()


def _inpainter_config(name: str, weights: str | Path) -> dict:
    """config.json of a run of `train-generator NAME`; WsdlError where `weights` is something else."""
    folder = Path(weights)
    if not (folder / "config.json").is_file() or not (folder / MODEL_FILE).is_file():
        or_script = ", or a TorchScript file such as big-lama.pt" if name == "lama" else ""
        raise WsdlError(f"{weights}: holds no trained weights; give a run of `train-generator {name}`{or_script}.")
    trained = trained_as(folder)
    if trained != name:
        raise WsdlError(
            f"{weights}: is {f'a run of {trained}' if trained else 'no generator'}, not of {name}; give a run of "
            f"`train-generator {name}`."
        )
    return read_json(folder / "config.json")
