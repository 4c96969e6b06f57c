"""Finding a parser: the shipped one, a run of `train-parser`, or a SegFormer face parser of the hub."""

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file

from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.io import WsdlError, hub_id, read_json, sha256
from wsdl.core.run import MODEL_FILE
from wsdl.data.images import resize_image
from wsdl.data.masks import CLASSES
from wsdl.parsing.network import FaceUNet, mirror_logits

SHIPPED = Path(__file__).parents[1] / "assets" / "parser"

# The classes of CelebAMask-HQ as SegFormer face parsers (such as jonathandinu/face-parsing) name them.
HUB_NAMES = ("background", "skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth",
             "u_lip", "l_lip", "hair", "hat", "ear_r", "neck_l", "neck", "cloth")  # fmt: skip
# What ImageNet networks expect: mean and deviation of colours in [0, 1].
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HUB_SIZE = 512  # pixels; the size CelebAMask-HQ masks have, and these networks were trained at


class Parser:
    """A network that parses square faces of `size` px, and `fingerprint`, which tells its weights from others."""

    def __init__(self, network, size: int, fingerprint: str):
        self.network, self.size, self.fingerprint = network, size, fingerprint

    @torch.no_grad()
    def logits(self, pictures: np.ndarray) -> torch.Tensor:
        """uint8 [n, S, S, 3] -> float [n, 19, s, s]: the mean of what the network says of them and of their mirror."""
        x = to_unit(pictures)
        with autocast():
            both = self.network(x).float(), mirror_logits(self.network(x.flip(-1)).float())
        return (both[0] + both[1]) / 2

    def parse_squares(self, squares: list[np.ndarray]) -> list[np.ndarray]:
        """Square pictures uint8 [S, S, 3], each of any S -> their label maps uint8 [S, S]."""
        logits = self.logits(np.stack([fit_square(square, self.size) for square in squares]))
        return [largest(one, len(square)) for one, square in zip(logits, squares, strict=True)]


def fit_square(square: np.ndarray, size: int) -> np.ndarray:
    """`square` at `size`: made smaller as all pictures of this package are, or larger with BICUBIC."""
    image = Image.fromarray(square)
    if len(square) < size:
        return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return np.asarray(resize_image(image, size))


def largest(logits: torch.Tensor, side: int) -> np.ndarray:
    """The class of the largest logit [19, s, s] after bilinear enlargement: uint8 [side, side].

    Class after class, so that a photograph of 4000 px needs two maps in memory and not nineteen.
    """
    best = torch.full((side, side), -torch.inf, device=logits.device)
    labels = torch.zeros((side, side), dtype=torch.uint8, device=logits.device)
    for number, one in enumerate(logits):
        large = F.interpolate(one[None, None], size=(side, side), mode="bilinear", align_corners=False)[0, 0]
        labels[large > best] = number
        best = torch.maximum(best, large)
    return labels.cpu().numpy()


def load_parser(model: str | Path = "") -> Parser:
    """The parser `model`: a run of `train-parser`, a folder or hub id of a SegFormer; "" is the shipped one."""
    folder = Path(model) if model else SHIPPED
    if (folder / MODEL_FILE).exists() and "parser" in read_json(folder / "config.json"):
        return load_run(folder)
    if not model:
        raise WsdlError(f"{SHIPPED}: holds no weights; name a run of `train-parser` or a hub model with --model.")
    return load_segformer(str(model))


def load_run(folder: Path) -> Parser:
    config = read_json(folder / "config.json")
    network = FaceUNet(tuple(config["widths"]))
    try:
        network.load_state_dict(load_file(folder / MODEL_FILE))
    except (RuntimeError, OSError, SafetensorError):
        raise WsdlError(
            f"{folder / MODEL_FILE}: does not fit the network that config.json describes; train the parser again."
        ) from None
    network = network.to(pick_device(), memory_format=torch.channels_last).eval()
    return Parser(network, config["size"], sha256(folder / MODEL_FILE))


class SegFormer(torch.nn.Module):
    """A SegFormer of transformers behind the same call: pictures in [-1, 1] -> logits at a quarter of their size."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        names = [network.config.id2label[i] for i in range(network.config.num_labels)]
        self.order = [names.index(name) for name in HUB_NAMES]  # in case the model numbers them in its own way
        for name, values in zip(("mean", "deviation"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values).reshape(3, 1, 1))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.network(((pictures + 1) / 2 - self.mean) / self.deviation).logits[:, self.order]


def load_segformer(model: str) -> Parser:
    """A SegFormer face parser by folder or hub id (owner/name), which transformers downloads."""
    if not Path(model).is_dir():
        hub_id(model)
    try:
        from transformers import SegformerForSemanticSegmentation
    except ImportError:
        raise WsdlError(
            f"{model}: is no run of `train-parser`, and SegFormers need transformers; `pip install transformers`."
        ) from None
    try:
        network = SegFormer(SegformerForSemanticSegmentation.from_pretrained(model)).to(pick_device()).eval()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise WsdlError(
            f"{model}: is no SegFormer face parser with the {len(CLASSES)} classes of CelebAMask-HQ ({reason})."
        ) from None
    return Parser(network, HUB_SIZE, fingerprint(network))


def fingerprint(network: torch.nn.Module) -> str:
    """The sha256 of all weights, in the order of their names."""
    digest = hashlib.sha256()
    for _, value in sorted(network.state_dict().items()):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
