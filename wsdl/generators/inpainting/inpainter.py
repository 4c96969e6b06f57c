"""Feed-forward inpainting networks as generators: `inpaint(images, masks, seeds)`, and loading their weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import autocast, pick_device, to_uint8, to_unit
from wsdl.core.io import WsdlError, sha256
from wsdl.core.run import MODEL_FILE
from wsdl.core.weights import build_network, load_model
from wsdl.generators.diffusion.weights import read_image_size, trained_generator
from wsdl.generators.inpainting.lama import BigLaMa, LaMa
from wsdl.generators.inpainting.pluralistic import Pluralistic

NETWORKS = {"lama": LaMa, "pluralistic": Pluralistic}


class Inpainter:
    """A network with `inpaint(known, holes, seeds)` as a generator of partial fakes."""

    clean = True  # the original pixels are restored outside the mask

    def __init__(self, name: str, network: torch.nn.Module, size: int | None):
        self.name = name
        self.network = network.to(pick_device(), memory_format=torch.channels_last).eval()
        self.size = size  # side of its images in pixels; None: any

    @torch.no_grad()
    def inpaint(
        self, images: np.ndarray, masks: np.ndarray, seeds: list[int], on_step: Callable | None = None
    ) -> np.ndarray:
        """Inpaint uint8 images [n, S, S, 3] where masks [n, S, S] are 1; the network does not see those pixels.

        One seed per image: Pluralistic gives another result for another seed, LaMa the same one.
        """
        holes = torch.as_tensor(np.array(masks)).to(pick_device())[:, None].float()
        with autocast():
            inpainted = self.network.inpaint(to_unit(images) * (1 - holes), holes, seeds)
        if on_step:
            on_step(0, inpainted)
        return np.where(masks[..., None] == 1, to_uint8(inpainted), images)

    def rehearse(self, batch: int, size: int) -> None:
        """One network call on `batch` images of `size` px, to time it."""
        grey = np.full((batch, size, size, 3), 127, np.uint8)
        self.inpaint(grey, np.ones(grey.shape[:3], np.uint8), [0] * batch)


def load_inpainter(name: str, weights: str | Path) -> Inpainter:
    """The generator `name` from a run of `train-generator`, or LaMa from a TorchScript file (big-lama.pt).

    TorchScript can run code: open only files from people you trust.
    """
    if _is_script(name, weights):
        return Inpainter(name, BigLaMa(Path(weights)), None)
    run = _inpainter_run(name, weights)
    network = build_network(run, lambda c: NETWORKS[name](c["width"], c["blocks"]), f"`train-generator {name}`")
    return Inpainter(name, load_model(network, run), read_image_size(run))


def inpainter_image_size(name: str, weights: str | Path) -> int | None:
    """Side of its images in pixels; None: any."""
    return None if _is_script(name, weights) else read_image_size(_inpainter_run(name, weights))


def inpainter_fingerprint(name: str, weights: str | Path) -> str:
    """The sha256 of the weights. WsdlError where they are not those of `name`."""
    if _is_script(name, weights):
        return sha256(Path(weights))
    return sha256(_inpainter_run(name, weights) / MODEL_FILE)


def _is_script(name: str, weights: str | Path) -> bool:
    return name == "lama" and Path(weights).is_file()


def _inpainter_run(name: str, weights: str | Path) -> Path:
    """The folder of a run of `train-generator NAME`. WsdlError where `weights` is something else."""
    folder = Path(weights)
    if not (folder / "config.json").is_file() or not (folder / MODEL_FILE).is_file():
        or_script = ", or a TorchScript file such as big-lama.pt" if name == "lama" else ""
        raise WsdlError(f"{weights}: holds no trained weights; give a run of `train-generator {name}`{or_script}.")
    trained = trained_generator(folder)
    if trained != name:
        raise WsdlError(
            f"{weights}: is {f'a run of {trained}' if trained else 'no generator'}, not of {name}; give a run of "
            f"`train-generator {name}`."
        )
    return folder
