"""Frozen features: a network that was trained for something else, and a small head that tells real from fake patches.

In the manner of DeCLIP (Smeu et al. 2025) and DinoLizer (2025). The backbone is not trained, so its features cannot
adapt to the traces of one generator. The head learns from masks in setup C, else from image labels and pooled patches.
"""

from pathlib import Path

import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed

from wsdl.core.io import WsdlError
from wsdl.core.weights import first_line
from wsdl.detectors.base import Detector
from wsdl.detectors.initialization import read_tensors
from wsdl.detectors.label_losses import TOP, find_label_loss, top_mean
from wsdl.detectors.patches_mil import PatchesMil

_HIDDEN = 256  # channels of the head


class Frozen(Detector):
    """Input S x S -> map on the finest grid of the chosen features (32 x 32 at 128 px by default).

    backbone: a name in timm. levels: which of its features, numbered as in timm's `forward_intermediates` from 0, the
    first, to -1, the last, which suits transformers; those of several levels are resized to the finest and joined.
    label_loss: a name in LABEL_LOSSES, used in setups A and B. The weights of the backbone are random until
    `load_backbone`. WsdlError where timm has no such network, or it has no such levels at this input size.
    """

    def __init__(
        self,
        input_size: int = 128,
        has_masks: bool = False,
        backbone: str = "tf_efficientnet_lite0",
        levels: tuple[int, ...] = (1, 2),
        label_loss: str = "multi-k",
    ):
        super().__init__(input_size, has_masks)
        self.label_loss = find_label_loss(label_loss)
        self.name, self.backbone = backbone, build_backbone(backbone, input_size)
        try:
            self.levels = self.backbone.prune_intermediate_layers(list(levels), prune_norm=True, prune_head=True)
            channels = self.eval().features(torch.zeros(1, 3, input_size, input_size)).shape[1]
        except (AssertionError, IndexError, ValueError, RuntimeError) as error:
            raise WsdlError(
                f"backbone {backbone} has no levels {list(levels)} at input_size {input_size} ({first_line(error)}); "
                "set levels and input_size to what it has."
            ) from None
        self.head = nn.Sequential(
            nn.Conv2d(channels, _HIDDEN, kernel_size=1),
            nn.BatchNorm2d(_HIDDEN),
            nn.ReLU(),
            nn.Conv2d(_HIDDEN, 1, kernel_size=1),
        )
        self.backbone.requires_grad_(False)

    def train(self, mode: bool = True):
        """Training mode for the head alone: statistics of the backbone do not change either."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.no_grad()
    def features(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] in [-1, 1] -> features [n, channels, h, w]; the backbone's own normalisation is applied."""
        mean, std = (x.new_tensor(self.backbone.pretrained_cfg[key]).view(3, 1, 1) for key in ("mean", "std"))
        found = self.backbone.forward_intermediates(
            ((x + 1) / 2 - mean) / std, indices=self.levels, intermediates_only=True, stop_early=True
        )
        finest = max((level.shape[-2:] for level in found), key=lambda shape: shape[0])
        return torch.cat([F.interpolate(level, finest, mode="bilinear") for level in found], dim=1)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, 3, S, S] -> logits [n, h, w] of "fake"."""
        return self.head(self.features(x))[:, 0]

    def loss_labels(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Setups A and B: the loss called `label_loss`."""
        return self.label_loss(logits, labels)

    loss_masks = staticmethod(PatchesMil.loss_masks)  # setup C: the target of a patch is its inpainted fraction

    def predict_batch(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patch probabilities [n, h, w], and the mean of the highest 5 % of them [n]."""
        maps = self.logits(x).float().sigmoid()
        return maps, top_mean(maps, TOP)

    def load_backbone(self, path: Path) -> None:
        """The published weights of the backbone, a safetensors or torch file in the names of timm.

        Position embeddings of another size are resampled. WsdlError where the file lacks a tensor that is used, or has
        it in another shape; further tensors, of later levels and a classifier, are not used.
        """
        what = f"weights of timm's {self.name}"
        given = read_tensors(path, what)
        own = {name: tensor for name, tensor in self.backbone.state_dict().items() if tensor.ndim}  # no counters
        if "pos_embed" in own and "pos_embed" in given and given["pos_embed"].shape != own["pos_embed"].shape:
            given["pos_embed"] = self._resample(given["pos_embed"])
        wrong = [name for name in own if name not in given or given[name].shape != own[name].shape]
        if wrong:
            raise WsdlError(
                f"{path}: does not fit, {len(wrong)} of {len(own)} tensors are missing or of another shape (first: "
                f"{wrong[0]}); give {what}."
            )
        self.backbone.load_state_dict({name: given[name] for name in own}, strict=False)

    def _resample(self, embedding: torch.Tensor) -> torch.Tensor:
        network = self.backbone
        prefix = 0 if network.no_embed_class else network.num_prefix_tokens
        return resample_abs_pos_embed(embedding, list(network.patch_embed.grid_size), num_prefix_tokens=prefix)


def build_backbone(name: str, input_size: int) -> nn.Module:
    """The network that timm calls `name`, without its classifier, with random weights. Nothing is downloaded.

    WsdlError where there is none, or where timm cannot return its intermediate features.
    """
    if not timm.is_model(name):
        raise WsdlError(
            f"backbone is '{name}', but must be a network of timm {timm.__version__}; see timm.list_models()."
        )
    fixed = {"img_size": input_size} if timm.get_pretrained_cfg(name).fixed_input_size else {}
    network = timm.create_model(name, pretrained=False, num_classes=0, **fixed)
    if not hasattr(network, "prune_intermediate_layers"):
        raise WsdlError(f"backbone is '{name}', but timm gives no intermediate features of it; choose another.")
    return network
