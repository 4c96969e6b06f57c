"""The base class of all detectors: preprocessing, the training loss and prediction in batches."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.ranks import whole_batch
from wsdl.detectors.prediction import Prediction
from wsdl.detectors.resize import resize_lanczos

BATCH_ON_CPU = 8  # in prediction: the feature maps of a larger one leave the caches of a CPU
BATCH_ON_GPU = 64


@dataclass(frozen=True)
class Batch:
    """Images and their annotation. In setups A and B `masks` is None, or that of pasted pieces (`training.pasting`)."""

    images: torch.Tensor  # uint8 [n, H, W, 3]
    labels: torch.Tensor  # int64 [n], 1 = fake
    masks: torch.Tensor | None = None  # uint8 [n, H, W], 1 = fake


class Detector(nn.Module):
    """A method defines `logits`, `loss_labels`, `loss_masks` and `predict_batch`.

    has_masks: trains on masks (setup C) instead of image labels; some methods then need fewer layers.
    as_published: follows the paper's code where ours differs (notebooks/differences.md); for the paper's methods.
    note: what a reader of its maps must know, in one sentence.
    """

    note = ""
    lanczos = False  # resizes images by LANCZOS instead of bilinearly

    def __init__(self, input_size: int, has_masks: bool, as_published: bool = False):
        super().__init__()
        self.input_size, self.has_masks, self.as_published = input_size, has_masks, as_published

    def prepare(self, images) -> torch.Tensor:
        """uint8 [n, H, W, 3] -> float32 [n, 3, S, S] in [-1, 1], resized to the input size S."""
        x = to_unit(images, next(self.parameters()).device)
        if x.shape[-1] == self.input_size:
            return x
        if self.lanczos:
            return resize_lanczos(x, self.input_size)
        shape = (self.input_size, self.input_size)
        return F.interpolate(x, shape, mode="bilinear", antialias=True).contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> torch.Tensor:
        """The training loss. Calling the module computes `loss`, as distributed data-parallel training requires."""
        return self.loss(batch)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Scalar training loss: from masks where the batch has any (setup C, pasted images), else from labels.

        In one of several processes the batch has the labels and masks of all images, but the images of its own share.
        """
        logits = whole_batch(self.logits(self.prepare(batch.images)).float(), len(batch.labels))
        if batch.masks is not None:
            return self.loss_masks(logits, batch.masks.to(logits.device))
        return self.loss_labels(logits, batch.labels.to(logits.device))

    @torch.no_grad()
    def predict(self, images: np.ndarray, batch: int | None = None) -> Prediction:
        """Maps and scores of uint8 images [n, H, W, 3] (any sequence that slices into that).

        batch: images at a time; default BATCH_ON_CPU or BATCH_ON_GPU.

        These maps are the ones that are scored under every protocol, drawn, explored and returned by `localize`.
        """
        self.eval()
        batch = batch or (BATCH_ON_CPU if pick_device().type == "cpu" else BATCH_ON_GPU)
        with autocast(pick_device()):
            parts = [self.predict_batch(self.prepare(images[i : i + batch])) for i in range(0, len(images), batch)]
        maps, scores = (torch.cat(part).float().cpu().numpy() for part in zip(*parts, strict=True))
        return Prediction(maps, scores)
