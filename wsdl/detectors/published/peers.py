"""MantraNet, PSCC-Net, TruFor (networks of the package imdlbenco) and HiFi-Net, with the weights of their authors.

The methods differ in what PEERS lists: the files of the weights, the input, and what the network returns. All take RGB
images one at a time, since MantraNet normalises by statistics over all of its input; HiFi-Net resizes them.

imdlbenco 0.1.45 asks for numpy < 2, but these networks run with NumPy 2 (tried with 2.4), so it is installed without
its dependencies. Its loaders and `forward` methods, which need masks and ImageNet statistics, are not used.
"""

import contextlib
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError
from wsdl.detectors.prediction import Prediction
from wsdl.detectors.published.files import check_tensors, read_tensors
from wsdl.detectors.published.hifinet import HiFiNet, to_hifinet_input

INSTALL = "pip install 'wsdl[peers]' && pip install --no-deps imdlbenco==0.1.45"
MIN_SIDE, MAX_PIXELS = 64, 2**21  # of an image; MantraNet needs 6 GB per megapixel
Result = tuple[torch.Tensor, torch.Tensor | None]  # map [1, H, W]; score [1], or None for the mean of the map


class NotInstalledError(WsdlError):
    """A package that a published method needs is missing, or does not run here."""


@dataclass(frozen=True)
class Peer:
    """What one method needs: see PEERS."""

    title: str
    files: dict[str, tuple[str, str]]  # file of the authors: the prefix of its tensors in the network, its contents
    to_input: Callable[[torch.Tensor], torch.Tensor]  # of values 0 to 255
    build: Callable[..., nn.Module]
    run: Callable[[nn.Module, torch.Tensor], Result]
    licence: str


def _build_mantranet() -> nn.Module:
    from IMDLBenCo.model_zoo.mantra_net.mantranet import MantraNet

    return MantraNet(device=pick_device())


def _run_mantranet(network: nn.Module, x: torch.Tensor) -> Result:
    return network.AnomalyDetector(network.IMTFE(x))[:, 0], None


def _build_psccnet(size: int = 256) -> nn.Module:
    from IMDLBenCo.model_zoo.pscc_net.pscc_net import PSCC_Net

    network = PSCC_Net(size, "")
    del network.weights  # of the classes in its training loss
    return network


def _run_psccnet(network: nn.Module, x: torch.Tensor) -> Result:
    features = network.FENet(x)
    map_ = _resize(psccnet_logits(network, features)[0].sigmoid(), x.shape[2:])
    return map_[:, 0], network.ClsNet(features).softmax(1)[:, 1]


def psccnet_logits(network: nn.Module, features: list[torch.Tensor]) -> list[torch.Tensor]:
    """Logits of the maps of PSCC-Net at four scales, fine to coarse: [n, 1, S, S], [n, 1, S/2, S/2] ...

    features: of its backbone. Each map, in [0, 1], multiplies the features of the next finer scale. So it is in the
    paper and in the code of its authors; imdlbenco multiplies by the logits, for which the weights were not trained.
    """
    maps = []
    for scale in (3, 2, 1, 0):
        x = _resize(features[scale], [side // 2**scale for side in network.SegNet.crop_size])
        if maps:
            x = x * _resize(maps[0].sigmoid(), x.shape[2:])
        maps.insert(0, getattr(network.SegNet, f"getmask{scale + 1}")(x)[0])
    return maps


def _resize(x: torch.Tensor, size) -> torch.Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def _build_trufor() -> nn.Module:
    import IMDLBenCo
    from IMDLBenCo.model_zoo.trufor.cmx.builder_np_conf import myEncoderDecoder as Trufor
    from IMDLBenCo.model_zoo.trufor.config import _C

    config = _C.clone()
    config.defrost()
    config.merge_from_file(str(Path(IMDLBenCo.__file__).parent / "statics/model_zoo/configs/trufor.yaml"))
    return Trufor(config)


def _run_trufor(network: nn.Module, x: torch.Tensor) -> Result:
    logits, _, score, _ = network(x)  # the second is its confidence, the last the noiseprint
    return logits.softmax(1)[:, 1], score.sigmoid()[:, 0]


PEERS = {
    "mantranet": Peer(
        "MantraNet", {"MantraNetv4.pt": ("", "the network")}, lambda x: x / 127.5 - 1, _build_mantranet, _run_mantranet,
        "research only, not commercial",
    ),
    "psccnet": Peer(
        "PSCC-Net",
        {"HRNet.pth": ("FENet.", "the backbone"), "NLCDetection.pth": ("SegNet.", "the head of the maps"),
         "DetectionHead.pth": ("ClsNet.", "the head of the score")},
        lambda x: x / 255, _build_psccnet, _run_psccnet, "MIT",
    ),
    "trufor": Peer(
        "TruFor", {"trufor.pth.tar": ("", "the network")}, lambda x: x / 256, _build_trufor, _run_trufor,
        "GRIP-UNINA: research and other use without profit",
    ),
    "hifi-net": Peer(
        "HiFi-Net",
        {"HRNet/750001.pth": ("FENet.", "the backbone"), "NLCDetection/750001.pth": ("SegNet.", "the heads"),
         "center/radius_center.pth": ("", "the centre of real pixels")},
        to_hifinet_input, HiFiNet, lambda network, x: network(x), "MIT",
    ),
}  # fmt: skip


class PeerMethod:
    """One of PEERS with the published weights in a folder or a file; with random ones where `weights` is None.

    WsdlError where imdlbenco cannot be imported, a part of the weights is missing, or they are not the published ones.
    """

    def __init__(self, name: str, weights: Path | None):
        self.name, self.peer = name, PEERS[name]
        self.note = f"{self.peer.title} is run as published; nothing here was tuned, and no threshold was calibrated."
        self.licence = self.peer.licence
        given = None if weights is None else find_tensors(name, Path(weights))  # before the package, which takes 8 s
        self.network = build_network(name)
        if given is not None:
            shapes = {each: tuple(value.shape) for each, value in self.network.state_dict().items()}
            check_tensors(given, shapes, Path(weights), f"the published weights of {self.peer.title}")
            self.network.load_state_dict(given)
        self.network.to(pick_device()).eval()

    def predict(self, images: np.ndarray, qualities: list[float] | None = None) -> Prediction:
        """Maps and scores of uint8 images [n, H, W, 3]; maps are [n, H, W], of HiFi-Net [n, 256, 256].

        qualities: not used. WsdlError where a side is below MIN_SIDE, or there are more than MAX_PIXELS.
        """
        height, width = images.shape[1:3]
        if min(height, width) < MIN_SIDE or height * width > MAX_PIXELS:
            raise WsdlError(
                f"image: is {width}x{height}, but {self.peer.title} needs at least {MIN_SIDE} px a side and at most "
                f"{MAX_PIXELS / 1e6:.1f} megapixels."
            )
        found = [self._predict_one(image) for image in images]
        return Prediction(np.stack([map_ for map_, _ in found]), np.array([score for _, score in found], np.float32))

    @torch.no_grad()
    def _predict_one(self, image: np.ndarray) -> tuple[np.ndarray, float]:
        map_, score = self.peer.run(self.network, self.peer.to_input(as_tensor(image)))
        score = map_.mean() if score is None else score
        return map_[0].float().clamp(0, 1).cpu().numpy(), float(score)


def as_tensor(image: np.ndarray) -> torch.Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W], red first, values 0 to 255, on the default device."""
    return torch.from_numpy(np.array(image)).to(pick_device()).permute(2, 0, 1)[None].float()


def build_network(name: str, *options) -> nn.Module:
    """The network of one of PEERS with random weights. NotInstalledError where imdlbenco is missing or fails.

    options: of PSCC-Net, the side of its maps in pixels, to which it resizes features; as published 256.
    """
    if int(np.__version__.split(".")[0]) < 2:
        raise NotInstalledError(
            f"{name}: NumPy is {np.__version__}, but wsdl needs 2 or later; run: pip install 'numpy>=2'."
        )
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            warnings.simplefilter("ignore")
            return PEERS[name].build(*options)
    except (ImportError, AttributeError, RuntimeError) as error:  # AttributeError: of what NumPy 2 removed
        raise NotInstalledError(
            f"{name}: needs imdlbenco, which cannot be imported ({error}); run: {INSTALL}."
        ) from None


def find_tensors(name: str, weights: Path) -> dict[str, torch.Tensor]:
    """The tensors of all parts, by their names in the network, from the files of the authors or one checkpoint.

    weights: a folder with the files (or with a folder for each, as unpacked), or a checkpoint of imdlbenco.
    """
    peer = PEERS[name]
    wanted = ", ".join(f"{file} ({contents})" for file, (_, contents) in peer.files.items())
    what = f"the published weights of {peer.title}: {wanted}"
    if weights.is_file():
        given = {each.removeprefix("model."): value for each, value in read_tensors(weights, what).items()}
        lacking = [
            contents for prefix, contents in peer.files.values() if not any(each.startswith(prefix) for each in given)
        ]
        if lacking:
            raise WsdlError(f"{weights}: lacks {' and '.join(lacking)}; give {what}.")
        return {each: value for each, value in given.items() if each != "weights"}  # see _build_psccnet
    found = {file: next(iter([*weights.glob(file), *sorted(weights.glob(f"*/{file}"))]), None) for file in peer.files}
    lacking = [f"{file} ({peer.files[file][1]})" for file, path in found.items() if path is None]
    if lacking:
        raise WsdlError(f"{weights}: lacks {' and '.join(lacking)}; give {what}.")
    return {
        peer.files[file][0] + each: value
        for file, path in found.items()
        for each, value in read_tensors(path, what).items()
    }
