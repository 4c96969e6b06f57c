"""Are the fakes too easy? Painted regions against the real ones under the same masks, a row a generator.

Two measures that need no reference for each picture. Sharpness: how strong the fine detail inside the region is, paint
over real; below 1 the paint is smooth, and a detector may learn to see blur. Distance: between the features of painted
regions and those of real ones, by a small network that nobody trained.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import binary_erosion, laplace

from wsdl.core.device import pick_device, to_unit
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.data.dataset import Dataset
from wsdl.evaluation.forensics import noise_of
from wsdl.evaluation.metrics import bootstrap

_BORDER = 2  # pixels inside the edge of a mask that are not looked at: there real and paint meet
_WIDTHS = 8, 16, 32  # channels of the network
_BATCH = 64
QUALITY_COLUMNS = ("generator", "n", "sharpness", "sharpness_low", "sharpness_high", "distance", "floor", "flat")


def fake_quality(data: Path) -> pd.DataFrame:
    """A row a generator of partial fakes in `data`, all splits: COLUMNS.

    sharpness: paint over real, the geometric mean over fakes, with its 95 % interval over source faces; 1 is as sharp.
    distance: Fréchet distance of features in painted regions of one half of the faces from those of the other half,
    untouched, under the same kind of masks. floor: the same with untouched regions on both sides: what no difference at
    all looks like. flat: with real regions that were blurred until nothing fine is left: what bad paint looks like.
    WsdlError without partial fakes, or where their real faces are missing.
    """
    dataset = Dataset(data)
    fakes = dataset.select(kind="partial")
    if fakes.empty:
        raise WsdlError(f"{data}: has no partial fakes to judge; make some with `python -m wsdl generate`.")
    groups = fakes.groupby("generator", sort=True)
    return pd.DataFrame([_quality_row(name, dataset, rows) for name, rows in groups], columns=QUALITY_COLUMNS)


def _quality_row(generator: str, dataset: Dataset, fakes: pd.DataFrame) -> dict:
    network, ratios, kept = RandomFeatures().to(pick_device()), [], {"paint": [], "real": [], "flat": []}
    origins = dataset.source_index(fakes)
    progress = progress_bar(len(fakes), f"judging {generator}")
    for start in range(0, len(fakes), _BATCH):
        index, origin = fakes.index[start : start + _BATCH].to_numpy(), origins[start : start + _BATCH]
        pictures = {"paint": dataset.images[index], "real": dataset.images[origin]}
        masks = np.stack([erode_mask(mask) for mask in dataset.masks[index]])
        ratios += [relative_sharpness(*pair) for pair in zip(pictures["paint"], pictures["real"], masks, strict=True)]
        pictures["flat"] = _blur_images(pictures["real"])
        for name, some in pictures.items():
            kept[name].append(network.inside(some, masks))
        progress.update(len(index))
    progress.close()
    logs, features = np.log(ratios), {name: np.concatenate(parts) for name, parts in kept.items()}
    low, high = bootstrap(logs, fakes.source_id.to_numpy())
    half = fakes.source_id.isin(sorted(set(fakes.source_id))[::2]).to_numpy()
    others = features["real"][~half]
    return {
        "generator": generator,
        "n": len(fakes),
        **dict(zip(QUALITY_COLUMNS[2:5], np.exp([logs.mean(), low, high]), strict=True)),
        "distance": frechet_distance(features["paint"][half], others),
        "floor": frechet_distance(features["real"][half], others),
        "flat": frechet_distance(features["flat"][half], others),
    }


def erode_mask(mask: np.ndarray) -> np.ndarray:
    """The mask [H, W] without its border, as bool; the whole mask where nothing would be left."""
    smaller = binary_erosion(mask, iterations=_BORDER)
    return smaller if smaller.any() else np.asarray(mask, bool)


def relative_sharpness(paint: np.ndarray, real: np.ndarray, inside: np.ndarray) -> float:
    """Strength of the fine detail inside a region, of `paint` over `real` (uint8 [H, W, 3]); inside: bool [H, W].

    Fine detail is the Laplacian of the mean of the colours; its strength the root of its mean square, of which one grey
    level is the least, so that flat regions can be compared.
    """
    strengths = [
        np.sqrt((laplace(picture.astype(np.float64).mean(axis=2))[inside] ** 2).mean()) for picture in (paint, real)
    ]
    return float(max(1.0, strengths[0]) / max(1.0, strengths[1]))


def _blur_images(pictures: np.ndarray) -> np.ndarray:
    """uint8 [n, H, W, 3] blurred by 3 pixels."""
    from wsdl.data.corruptions import gaussian_blur

    return np.stack([gaussian_blur(picture, 3, None) for picture in pictures])


class RandomFeatures(torch.nn.Module):
    """Three convolutions with fixed random weights: enough to tell textures apart (as the texture network of
    Ustyuzhaninov et al. 2017), it needs no download, and is the same on every machine."""

    def __init__(self):
        super().__init__()
        layers, last = [], 3
        generator = torch.Generator().manual_seed(0)
        for k, width in enumerate(_WIDTHS):
            layer = torch.nn.Conv2d(last, width, 5 if k == 0 else 3, stride=1 if k == 0 else 2, padding=1 + (k == 0))
            weight = torch.randn(layer.weight.shape, generator=generator)
            layer.weight.data = weight / weight.flatten(1).norm(dim=1)[:, None, None, None]
            torch.nn.init.zeros_(layer.bias)
            layers += [layer, torch.nn.ReLU()]
            last = width
        self.layers = torch.nn.Sequential(*layers)

    @torch.no_grad()
    def inside(self, pictures: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Mean and spread of each channel inside a region, of all three layers: float64 [n, 112]."""
        x = to_unit(pictures, next(self.parameters()).device)
        weight = torch.from_numpy(masks).to(x.device)[:, None].float()
        found = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                share = torch.nn.functional.adaptive_avg_pool2d(weight, x.shape[-2:])
                share = share / share.sum(dim=(2, 3), keepdim=True)
                mean = (x * share).sum(dim=(2, 3))
                spread = (x**2 * share).sum(dim=(2, 3)) - mean**2
                found += [mean, spread.clamp(min=0).sqrt()]
        return torch.cat(found, dim=1).double().cpu().numpy()


def residual_spectrum(pictures: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Mean power spectrum of what denoising takes from the inside of each mask: float64 [S, S], frequency 0 in the
    middle, in grey levels squared a pixel of the region. pictures uint8 [n, S, S, 3], masks [n, S, S], 1 = inside.

    A generator that upsamples leaves peaks, one that paints smoothly a dark rim (as Marra et al. 2019 do for GANs).
    """
    total = np.zeros(masks.shape[1:])
    for picture, mask in zip(pictures, masks, strict=True):
        residual = noise_of(picture.astype(np.float32).mean(axis=2)) * erode_mask(mask)
        total += np.abs(np.fft.fftshift(np.fft.fft2(residual))) ** 2 / erode_mask(mask).sum()
    return total / len(masks)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance of two clouds of features [n, d], [m, d] taken for Gaussians (Heusel et al. 2017).

    Features are first divided by their spread in `b`, so that all count alike. ValueError for fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("a distance needs at least two rows of features on each side")
    scale = b.std(axis=0) + 1e-6
    return gaussian_distance(
        *((x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (a / scale, b / scale))
    )


def gaussian_distance(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """Squared Fréchet distance of two Gaussians, each a mean [d] and a covariance [d, d]."""
    (m1, c1), (m2, c2) = first, second
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).real.clip(min=0))  # their sum is the trace of the root of c1 c2
    return float(((m1 - m2) ** 2).sum() + np.trace(c1 + c2) - 2 * roots.sum())
