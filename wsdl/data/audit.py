"""`data audit`: test whether properties other than the forgery separate real from fake images.

If fakes are saved in another format, or their untouched pixels differ from those of a photograph, a detector learns
that instead, scores well and localises nothing. A logistic regression is trained on each such property alone. It should
fail: an area under the ROC curve (AUC) of 0.5 is chance level.

Each partial fake is paired with the real image of its source face. Pixel properties are measured outside the fake's
mask in *both* images, so that the two differ only by what a generator or a codec changed there. Where the source face
or the mask is not known, whole images are compared: a difference is then a shortcut or the forgery itself.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import convolve1d
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wsdl.config import DEFAULT_GENERATORS, FULL_GENERATORS
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.parallel import parallel_map
from wsdl.data.dataset import Dataset
from wsdl.data.decode import opened
from wsdl.data.images import read_image
from wsdl.data.manifest import has_unknown_sources
from wsdl.data.masks import dilate, read_mask

_BANDS = 3  # octaves of the spectrum, starting from the finest
MASK_MARGIN = 10  # pixels around the mask that are excluded: filters reach 7 px along the axes, 9.9 px diagonally
_BOOTSTRAP_ROUNDS = 1000  # bootstrap resamples
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")

FILE_FEATURES = (
    "file format",
    "image size",
    "file bytes against our own PNG",
    "file bytes (depend on what was inpainted)",
)
PIXEL_FEATURES = ("colour means outside the mask", "spectrum outside the mask", "8-pixel grid outside the mask")
WHOLE_FEATURES = tuple(name.replace("outside the mask", "of the whole image") for name in PIXEL_FEATURES)


def audit_dataset(
    folder: Path, generator: str | None = None, seed: int = 0, kind: str = "", max_fakes: int = 2000
) -> pd.DataFrame:
    """One row per property: feature, auc, low, high (95 % bootstrap over source faces), verdict.

    verdict is "shortcut?" where the interval is above 0.5, else "ok" (an AUC below chance level on unseen faces is no
    shortcut). The number of bytes of a file may stand out: it depends on the inpainted content, and no detector uses
    it. kind: default "partial" if there are such fakes, else "full", which compares files only (a full fake has no
    outside). Where masks or source faces are unknown (`data prepare --real`), WHOLE_FEATURES are compared. generator:
    default "repaint-p2", for full fakes "p2-ddpm" or "p2", or the only one that there is. max_fakes: upper limit, drawn
    by `seed`. WsdlError where there is nothing to compare.
    """
    data = Dataset(folder)
    kind = kind or ("full" if data.select("partial").empty and not data.select("full").empty else "partial")
    if kind not in ("partial", "full"):
        raise WsdlError(f"--kind: is '{kind}', but must be partial or full.")
    generator = generator or _default_generator(data, kind)
    pairs = _pick_pairs(data, kind, generator, seed, max_fakes)
    unpaired = has_unknown_sources(data.info) and (kind == "full" or any(not fake.mask for _, fake in pairs))
    names = FILE_FEATURES + (WHOLE_FEATURES if unpaired else PIXEL_FEATURES if kind == "partial" else ())
    measured = [
        m for m in parallel_map(lambda pair: _measure_pair(data.folder, *pair, unpaired), pairs, "measuring") if m
    ]
    if len({face for face, _, _ in measured}) < 5:
        raise WsdlError(f"{folder}: has fewer than 5 faces with {kind} fakes by {generator}; generate more.")
    faces = np.repeat([face for face, _, _ in measured], 2)
    fake = np.tile([0, 1], len(measured))
    rows = []
    for name in names:
        features = np.array([values[name] for _, *both in measured for values in both])  # [2n, features], real first
        scores = _out_of_fold(features, fake, faces)
        low, high = _auc_interval(scores, fake, faces, seed)
        verdict = "ok" if low <= 0.5 else "shortcut?"
        rows.append({"feature": name, "auc": weighted_auc(scores, fake), "low": low, "high": high, "verdict": verdict})
    return pd.DataFrame(rows)


def describe_audit(table: pd.DataFrame, kind: str) -> str:
    """A sentence that names the properties in which an `audit_dataset` found a difference; "" where there is none."""
    found = table[table.verdict != "ok"]
    named = ", ".join(f"{row.feature} (AUC {row.auc:.2f})" for row in found.itertuples())
    return named and (
        f"after preparing, {kind} fakes and real images still differ in: {named}. These are traces of the forgery, or "
        f"shortcuts that a detector may learn instead."
    )


def _default_generator(data: Dataset, kind: str) -> str:
    if len(only := set(data.select(kind).generator)) == 1:
        return only.pop()
    if kind == "partial":
        return DEFAULT_GENERATORS[0]
    ddim, ddpm = (FULL_GENERATORS[sampler] for sampler in ("ddim", "ddpm"))
    return ddim if data.select(kind, generator=ddpm).empty else ddpm


def _pick_pairs(data: Dataset, kind: str, generator: str, seed: int, max_fakes: int) -> list[tuple]:
    """Pairs (real row, fake row): each fake with its source face, or, without one, a random face of its split."""
    rng = np.random.default_rng(seed_for(seed, "audit", kind, generator))
    fakes, reals = data.select(kind, generator=generator), data.select("real")
    if fakes.empty or reals.empty:
        raise WsdlError(f"{data.folder}: has {len(fakes)} {kind} fakes by '{generator}' and {len(reals)} real faces; "
                        f"an audit needs both.")  # fmt: skip
    own = {row.source_id: row for row in reals.itertuples()}
    others = {split: list(some.itertuples()) for split, some in reals.groupby("split")}
    everyone = list(reals.itertuples())
    pairs = []
    for fake in fakes.iloc[np.sort(rng.permutation(len(fakes))[:max_fakes])].itertuples():
        pool = others.get(fake.split, everyone)
        pairs.append((own.get(fake.source_id) or pool[rng.integers(len(pool))], fake))
    return pairs


def _measure_pair(folder: Path, real, fake, unpaired: bool) -> tuple[str, dict, dict] | None:
    """(source face, properties of the real image, of the fake); None where the mask covers nearly everything."""
    if unpaired:
        return fake.source_id, *(_measure_file(path) | _measure_whole(path)
                                 for path in (folder / real.path, folder / fake.path))  # fmt: skip
    if fake.kind == "full":
        return fake.source_id, _measure_file(folder / real.path), _measure_file(folder / fake.path)
    outside = ~dilate(read_mask(folder / fake.mask), MASK_MARGIN)
    if outside.mean() < 0.02:
        return None
    both = [_measure_file(p) | measure_pixels(read_image(p), outside) for p in (folder / real.path, folder / fake.path)]
    return fake.source_id, *both


def _measure_file(path: Path) -> dict[str, list[float]]:
    """Format, number of bands, image size and number of bytes of a file."""
    with opened(path) as image:
        kind = [float(image.format == name) for name in _FORMATS] + [float(len(image.getbands()))]
        encoded = BytesIO()
        image.convert("RGB").save(encoded, "PNG")
        size = [float(side) for side in image.size]
    bytes_ = path.stat().st_size
    values = (kind, size, [np.log(bytes_ / encoded.tell())], [np.log(bytes_)])
    return dict(zip(FILE_FEATURES, values, strict=True))


def _measure_whole(path: Path) -> dict[str, list[float]]:
    pixels = read_image(path)
    values = measure_pixels(pixels, np.ones(pixels.shape[:2], bool)).values()
    return dict(zip(WHOLE_FEATURES, values, strict=True))


def measure_pixels(pixels: np.ndarray, outside: np.ndarray) -> dict[str, list[float]]:
    """Properties of the pixels [H, W, 3] where `outside` [H, W] is true."""
    colours = pixels[outside].mean(axis=0).tolist()
    values = (colours, log_spectrum(pixels, outside), block_grid(pixels, outside))
    return dict(zip(PIXEL_FEATURES, values, strict=True))


def log_spectrum(pixels: np.ndarray, outside: np.ndarray) -> list[float]:
    """Log energy of the brightness in _BANDS octaves (differences between blurs that reach 1, 3 and 7 px)."""
    image, energies = pixels.mean(axis=2), []
    for band in range(_BANDS):
        kernel = np.zeros(2 * 2**band + 1)
        kernel[[0, 2**band, -1]] = 0.25, 0.5, 0.25  # "a trous" filter: the holes double the reach at each band
        blurred = convolve1d(convolve1d(image, kernel, axis=0), kernel, axis=1)
        energies.append(np.log((image - blurred)[outside].var() + 1e-3))
        image = blurred
    return energies


def block_grid(pixels: np.ndarray, outside: np.ndarray, period: int = 8) -> list[float]:
    """Log ratio of pixel differences across block borders to those elsewhere, along rows and columns; 0 = no grid.

    JPEG has a period of 8 px; a network that works on patches of p pixels may leave a period of p.
    """
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(pixels.astype(np.float32).mean(axis=2), axis=axis))
        inside = outside.take(range(1, outside.shape[axis]), axis)
        border = np.expand_dims(np.arange(steps.shape[axis]) % period == period - 1, 1 - axis) & inside
        inner = inside & ~border
        ratios.append(np.log((steps[border].mean() + 1e-3) / (steps[inner].mean() + 1e-3)) if border.any() else 0.0)
    return ratios


def _out_of_fold(features: np.ndarray, fake: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Log odds of being fake [n] by 5-fold cross-validation, where no face is in both training and test part."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = GroupKFold(5, shuffle=True, random_state=0)
    return cross_val_predict(model, features, fake, groups=faces, cv=folds, method="decision_function").round(9)


def weighted_auc(scores: np.ndarray, fake: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve with ties counted half; weights [n] repeat images."""
    _, rank = np.unique(scores, return_inverse=True)
    weights = np.ones(len(scores)) if weights is None else weights
    fakes, reals = (np.bincount(rank, weights * chosen) for chosen in (fake == 1, fake == 0))
    return float(fakes @ (np.cumsum(reals) - reals / 2) / (fakes.sum() * reals.sum()))


def _auc_interval(scores: np.ndarray, fake: np.ndarray, faces: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the AUC, resampling source faces with all their images."""
    names, index = np.unique(faces, return_inverse=True)
    rng = np.random.default_rng(seed_for(seed, "audit bootstrap"))
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=_BOOTSTRAP_ROUNDS)
    low, high = np.quantile([weighted_auc(scores, fake, times[index]) for times in drawn], [0.025, 0.975])
    return float(low), float(high)
