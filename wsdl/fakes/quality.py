"""Quality of inpainted regions per generator, compared with real regions under the same masks: `data judge`.

Sharpness: strength of the fine detail inside a region, inpainted over real; below 1 the region is too smooth, which a
detector may learn instead of forgery. Distance: Fréchet distance between features of inpainted and of real regions, by
a small network with random weights.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import binary_erosion, laplace

from wsdl.core.device import pick_device, to_unit
from wsdl.core.io import WsdlError
from wsdl.core.progress import in_batches
from wsdl.data.corruptions import gaussian_blur
from wsdl.data.dataset import Dataset
from wsdl.evaluation.forensics import noise_of
from wsdl.evaluation.metrics import bootstrap

QUALITY_COLUMNS = ("generator", "n", "sharpness", "sharpness_low", "sharpness_high", "distance", "floor", "flat")
_BORDER = 2  # pixels inside the border of a mask that are left out, because real and inpainted pixels meet there
_WIDTHS = 8, 16, 32  # channels of the feature network
_GREY_LEVEL = 1 / 127.5  # of an image in [-1, 1]
_BATCH = 64


def fake_quality(data: Path) -> pd.DataFrame:
    """One row per generator of partial fakes in `data`, over all splits, with the columns QUALITY_COLUMNS.

    sharpness: inpainted over real, the geometric mean over fakes with its 95 % interval over source faces; 1 is equal.
    distance: Fréchet distance between features of inpainted regions of one half of the faces and of real regions of
    the other half, under the same kind of masks. floor: the same with real regions on both sides, the distance without
    any difference. flat: with strongly blurred real regions, the distance of regions without fine detail.
    WsdlError without partial fakes, or where their real faces are missing.
    """
    dataset = Dataset(data)
    fakes = dataset.select(kind="partial")
    if fakes.empty:
        raise WsdlError(f"{data}: has no partial fakes; make some with `python -m wsdl generate`.")
    table = []
    for name, rows in fakes.groupby("generator", sort=True):
        measured = measure_regions(dataset, rows, dataset, f"comparing {name}")
        table.append({"generator": name, **summarize_regions(measured, rows.source_id)})
    return pd.DataFrame(table, columns=QUALITY_COLUMNS)


@dataclass(frozen=True)
class MeasuredRegions:
    """What is measured of the inpainted regions of some fakes."""

    sharpness: np.ndarray  # [n], inpainted over real
    features: dict[str, np.ndarray]  # float64 [n, d] of each region: "fake", "real", and "flat": real but blurred


def measure_regions(dataset: Dataset, fakes: pd.DataFrame, faces: Dataset, what: str) -> MeasuredRegions:
    """Compare each of `fakes`, rows of `dataset`, with its real face in `faces`, which may be the same dataset.

    what: label of the progress bar. WsdlError where a real face is missing.
    """
    network, ratios, features = RandomFeatures().to(pick_device()), [], {"fake": [], "real": [], "flat": []}
    places = list(zip(fakes.index, faces.source_index(fakes), strict=True))
    for some in in_batches(places, _BATCH, what):
        fake_index, real_index = map(list, zip(*some, strict=True))
        images = {"fake": dataset.images[fake_index], "real": faces.images[real_index]}
        images["flat"] = np.stack([gaussian_blur(image, 3, None) for image in images["real"]])
        masks = np.stack([erode_mask(mask) for mask in dataset.masks[fake_index]])
        ratios += [relative_sharpness(*pair) for pair in zip(images["fake"], images["real"], masks, strict=True)]
        for kind, batch in images.items():
            features[kind].append(network.inside(batch, masks))
    return MeasuredRegions(np.array(ratios), {kind: np.concatenate(parts) for kind, parts in features.items()})


def summarize_regions(measured: MeasuredRegions, source_ids: pd.Series) -> dict:
    """The columns of `fake_quality` from "n" on. source_ids: the source face of each fake."""
    features, half = measured.features, source_ids.isin(sorted(set(source_ids))[::2]).to_numpy()
    others = features["real"][~half]
    return {
        "n": len(source_ids),
        **dict(zip(QUALITY_COLUMNS[2:5], geometric_mean(measured.sharpness, source_ids), strict=True)),
        "distance": frechet_distance(features["fake"][half], others),
        "floor": frechet_distance(features["real"][half], others),
        "flat": frechet_distance(features["flat"][half], others),
    }


def geometric_mean(ratios: np.ndarray, source_ids: pd.Series) -> np.ndarray:
    """The geometric mean of ratios [n] and its 95 % interval over source faces: [3]."""
    logs = np.log(ratios)
    return np.exp([logs.mean(), *bootstrap(logs, source_ids.to_numpy())])


def erode_mask(mask: np.ndarray) -> np.ndarray:
    """The mask [H, W] without a border of 2 pixels, as bool; the mask itself where nothing would be left."""
    smaller = binary_erosion(mask, iterations=_BORDER)
    return smaller if smaller.any() else np.asarray(mask, bool)


def relative_sharpness(fake: np.ndarray, real: np.ndarray, inside: np.ndarray) -> float:
    """Strength of the fine detail in a region of `fake` over that of `real`: uint8 [H, W, 3]; inside: bool [H, W].

    The strength is the root mean square of the Laplacian of the mean over colours, at least one grey level, so that
    flat regions can be compared.
    """

    def strength(image: np.ndarray) -> float:
        detail = laplace(image.astype(np.float64).mean(axis=2))[inside]
        return max(1.0, np.sqrt((detail**2).mean()))

    return float(strength(fake) / strength(real))


class RandomFeatures(torch.nn.Module):
    """Three convolutions with fixed random weights, which distinguish textures (Ustyuzhaninov et al. 2017).

    No download is needed, and the weights are the same on every machine.
    """

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
    def inside(self, images: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Mean and standard deviation of each channel of all three layers inside each mask: float64 [n, 112]."""
        x = to_unit(images, next(self.parameters()).device)
        weight = torch.from_numpy(masks).to(x.device)[:, None].float()
        features = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                share = torch.nn.functional.adaptive_avg_pool2d(weight, x.shape[-2:])
                share = share / share.sum(dim=(2, 3), keepdim=True)
                mean = (x * share).sum(dim=(2, 3))
                spread = (x**2 * share).sum(dim=(2, 3)) - mean**2
                features += [mean, spread.clamp(min=0).sqrt()]
        return torch.cat(features, dim=1).double().cpu().numpy()


def residual_spectrum(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Mean power spectrum of the noise residual inside each mask: float64 [S, S], frequency 0 in the middle.

    images uint8 [n, S, S, 3], masks [n, S, S], 1 = inside; in squared grey levels per pixel of the region. Upsampling
    in a generator leaves peaks, and smooth regions lack power at high frequencies (Marra et al. 2019 for GANs).
    """
    total = np.zeros(masks.shape[1:])
    for image, mask in zip(images, masks, strict=True):
        residual = noise_of(image.astype(np.float32).mean(axis=2)) * erode_mask(mask)
        total += np.abs(np.fft.fftshift(np.fft.fft2(residual))) ** 2 / erode_mask(mask).sum()
    return total / len(masks)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Squared Fréchet distance of features [n, d] and [m, d], taken as Gaussian (Heusel et al. 2017).

    Features are first divided by their standard deviation in `b`, so that all have equal weight, except those that vary
    by less than one grey level of an image in [-1, 1]: these are divided by that level, or a feature that is almost
    constant would outweigh all others. NaN for fewer than two rows, which have no covariance.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    scale = np.maximum(b.std(axis=0), _GREY_LEVEL)
    first, second = ((x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (a / scale, b / scale))
    return gaussian_distance(first, second)


def gaussian_distance(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> float:
    """Squared Fréchet distance of two Gaussians, each a mean [d] and a covariance [d, d]."""
    (m1, c1), (m2, c2) = first, second
    roots = np.sqrt(np.linalg.eigvals(c1 @ c2).real.clip(min=0))  # their sum is the trace of the root of c1 c2
    return float(((m1 - m2) ** 2).sum() + np.trace(c1 + c2) - 2 * roots.sum())
