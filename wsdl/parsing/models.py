"""Load a face parser: the bundled one, a run of `train-parser`, or a SegFormer from the Hugging Face hub."""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.io import WsdlError, hub_id, sha256
from wsdl.core.records import read_object
from wsdl.core.run import MODEL_FILE
from wsdl.core.weights import build_network, load_model
from wsdl.data.images import resize_image
from wsdl.data.masks import CLASSES
from wsdl.parsing.network import FaceUNet, mirror_logits

BUNDLED_PARSER = Path(__file__).parents[1] / "assets" / "parser"

# The classes of CelebAMask-HQ as SegFormer face parsers (such as jonathandinu/face-parsing) name them.
SEGFORMER_CLASSES = ("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear",
                     "mouth", "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth")  # fmt: skip
# Mean and standard deviation of colours in [0, 1] for networks trained on ImageNet.
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SEGFORMER_SIZE = 512  # pixels: the size of CelebAMask-HQ masks, at which these networks were trained


class Parser:
    """A network for square faces of `size` px; `fingerprint` is the sha256 of its weights."""

    def __init__(self, network, size: int, fingerprint: str):
        self.network, self.size, self.fingerprint = network, size, fingerprint

    @torch.no_grad()
    def logits(self, images: np.ndarray) -> torch.Tensor:
        """uint8 [n, S, S, 3] -> float [n, 19, s, s]: mean logits of the images and their mirrored copies."""
        x = to_unit(images)
        with autocast():
            both = self.network(x).float(), mirror_logits(self.network(x.flip(-1)).float())
        return (both[0] + both[1]) / 2

    def parse_squares(self, squares: list[np.ndarray]) -> list[np.ndarray]:
        """Label maps uint8 [S, S] of square images uint8 [S, S, 3], which may differ in S."""
        logits = self.logits(np.stack([_resize_square(square, self.size) for square in squares]))
        return [upsampled_argmax(one, len(square)) for one, square in zip(logits, squares, strict=True)]


def _resize_square(square: np.ndarray, size: int) -> np.ndarray:
    """`square` at `size`: reduced by `resize_image`, or enlarged with BICUBIC."""
    image = Image.fromarray(square)
    if len(square) < size:
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return np.asarray(resize_image(image, size))


def upsampled_argmax(logits: torch.Tensor, side: int) -> np.ndarray:
    """The class with the largest logit [19, s, s] after bilinear upsampling: uint8 [side, side].

    One class at a time: an image of 4000 px then needs two maps in memory instead of nineteen.
    """
    best = torch.full((side, side), -torch.inf, device=logits.device)
    labels = torch.zeros((side, side), dtype=torch.uint8, device=logits.device)
    for number, one in enumerate(logits):
        large = F.interpolate(one[None, None], size=(side, side), mode="bilinear", align_corners=False)[0, 0]
        labels[large > best] = number
        best = torch.maximum(best, large)
    return labels.cpu().numpy()


def load_parser(model: str | Path = "") -> Parser:
    """The parser `model`: a run of `train-parser`, a folder or hub id of a SegFormer; "" is the bundled one.

    WsdlError where it cannot be loaded.
    """
    folder = Path(model) if model else BUNDLED_PARSER
    if (folder / MODEL_FILE).exists() and "parser" in read_object(folder / "config.json"):
        return _load_run(folder)
    if not model:
        raise WsdlError(f"{BUNDLED_PARSER}: holds no weights; give a run of `train-parser` or a hub id with --model.")
    return _load_segformer(str(model))


def _load_run(folder: Path) -> Parser:
    network, size = build_network(folder, lambda c: (FaceUNet(tuple(c["widths"])), c["size"]), "`train-parser`")
    network = load_model(network, folder).to(pick_device(), memory_format=torch.channels_last).eval()
    return Parser(network, size, sha256(folder / MODEL_FILE))


class SegFormer(torch.nn.Module):
    """A SegFormer of transformers, called like `FaceUNet`: images in [-1, 1] -> logits at 1/4 of their size."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        names = [network.config.id2label[i] for i in range(network.config.num_labels)]
        self.order = [names.index(name) for name in SEGFORMER_CLASSES]  # the model may number the classes differently
        for name, values in zip(("mean", "deviation"), _IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(((images + 1) / 2 - self.mean) / self.deviation).logits[:, self.order]


def _load_segformer(model: str) -> Parser:
    """A SegFormer face parser by folder or hub id (owner/name), which transformers downloads."""
    if not Path(model).is_dir():
        hub_id(model)
    try:
        from transformers import SegformerForSemanticSegmentation
    except ImportError:
        raise WsdlError(
            f"{model}: is not a run of `train-parser`, and SegFormers need transformers; `pip install transformers`."
        ) from None
    try:
        network = SegFormer(SegformerForSemanticSegmentation.from_pretrained(model)).to(pick_device()).eval()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise WsdlError(
            f"{model}: is not a SegFormer face parser with the {len(CLASSES)} classes of CelebAMask-HQ ({reason})."
        ) from None
    return Parser(network, SEGFORMER_SIZE, _hash_weights(network))


def _hash_weights(network: torch.nn.Module) -> str:
    """The sha256 of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for _, value in sorted(network.state_dict().items()):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
