"""What every detector shares: batches, predictions, and the way a picture becomes a tensor."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.detectors.prediction import Prediction


@dataclass(frozen=True)
class Batch:
    """Pictures with what training may know of them. In setups A and B `masks` is None: there is nothing to leak."""

    images: torch.Tensor  # uint8 [n, H, W, 3]
    labels: torch.Tensor  # int64 [n], 1 = fake
    masks: torch.Tensor | None = None  # uint8 [n, H, W], 1 = fake; setup C only


class Detector(nn.Module):
    """A method defines `logits`, `loss_labels`, `loss_masks`, and `predict_batch`; its file shows the idea.

    The setup is known from the start: in setup C a method leaves out what masks do not need.
    """

    def __init__(self, setup: str, input_size: int):
        super().__init__()
        self.setup, self.input_size = setup, input_size

    def prepare(self, images) -> torch.Tensor:
        """uint8 [n, H, W, 3] -> float32 [n, 3, S, S] in [-1, 1], resized bilinearly to the network's input size."""
        x = to_unit(images, next(self.parameters()).device)
        if x.shape[-1] == self.input_size:
            return x
        shape = (self.input_size, self.input_size)
        return F.interpolate(x, shape, mode="bilinear", antialias=True).contiguous(memory_format=torch.channels_last)

    def forward(self, batch: Batch) -> torch.Tensor:
        """The training loss of a batch: calling the module is `loss`, so that several GPUs can share it."""
        return self.loss(batch)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Scalar loss: setups a and b know labels, setup c knows masks."""
        logits = self.logits(self.prepare(batch.images)).float()
        if self.setup == "c":
            return self.loss_masks(logits, batch.masks.to(logits.device))
        return self.loss_labels(logits, batch.labels.to(logits.device))

    @torch.no_grad()
    def predict(self, images: np.ndarray, batch: int = 64) -> Prediction:
        """Maps and scores of uint8 images [n, H, W, 3] (any sequence that slices into that)."""
        self.eval()
        with autocast(pick_device()):
            parts = [self.predict_batch(self.prepare(images[i : i + batch])) for i in range(0, len(images), batch)]
        maps, scores = (torch.cat(part).float().cpu().numpy() for part in zip(*parts, strict=True))
        return Prediction(maps, scores)

    def paper_maps(self, maps: np.ndarray) -> np.ndarray:
        """Maps [n, h, w] of `predict` as the paper scores them: the same, but for a method that says otherwise."""
        return maps
