"""Weights with the names and shapes of published ones, images of two histories, and a small network in the form of
PSCC-Net, for tests of published methods."""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from PIL import Image

from wsdl.detectors.published.dncnn import published_shapes


def noiseprint_tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random tensors by published name, of a size that keeps the values of the layers near 1."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in published_shapes().items():
        values = torch.randn(shape, generator=generator)
        if len(shape) == 4:
            tensors[name] = values * (2 / (9 * shape[1])) ** 0.5
        else:
            tensors[name] = 1 + 0.1 * values.abs() if name.endswith(("gamma", "variance")) else 0.1 * values
    return tensors


def write_noiseprint_weights(folder: Path, qualities: tuple[int, ...] = (75, 101)) -> Path:
    """A folder with one file per quality."""
    folder.mkdir(parents=True, exist_ok=True)
    for quality in qualities:
        torch.save(noiseprint_tensors(quality), folder / f"model_qf{quality}.pth")
    return folder


def spliced_image(size: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A smooth scene with sensor noise, and a region of another camera and JPEG history: uint8 [S, S, 3], mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    scene = 120 + 10 * np.sin(3 * x + seed) * np.cos(4 * y)
    host = scene[..., None] + rng.normal(0, 4, (size, size, 3))
    coarse = rng.normal(0, 8, (size // 2, size // 2, 3)).repeat(2, axis=0).repeat(2, axis=1)  # noise of 2 x 2 pixels
    donor = jpeg(np.clip(scene[..., None] + coarse, 0, 255).astype(np.uint8), 70)
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 + 3 : size // 4 * 3, size // 8 : size // 8 * 3 + 5] = 1
    return np.where(mask[..., None] > 0, donor, np.clip(host, 0, 255).astype(np.uint8)), mask


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """`pixels` saved as JPEG and read again."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


class SmallPsccNet(nn.Module):
    """Stands for the network of imdlbenco, with the same parts: backbone, heads of four maps, head of the label."""

    def __init__(self, size: int = 256):
        super().__init__()
        self.FENet, self.SegNet, self.ClsNet = _Pyramid(), nn.Module(), _LabelHead()
        self.SegNet.crop_size = [size, size]
        for scale in range(4):
            setattr(self.SegNet, f"getmask{scale + 1}", _MapHead())


class _Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        return [nn.functional.avg_pool2d(x, 2**scale) for scale in range(4)]


class _MapHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.conv(x), x


class _LabelHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, features):
        return self.linear(features[0].mean(dim=(2, 3)))
