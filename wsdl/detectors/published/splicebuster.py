"""Where the noiseprint of an image differs from that of the rest: local statistics, and a mixture of two Gaussians.

The method is the blind localisation of Noiseprint (Cozzolino and Verdoliva, arXiv 1808.08396), which is that of
Splicebuster (Cozzolino, Poggi and Verdoliva, 2015) on the noiseprint instead of a high-pass residual. As described
there: values quantised to three levels, co-occurrences of four neighbours in rows and in columns, a string counted
together with its mirror image and its negative (25 of 81 remain), relative frequencies in windows on a grid of 8 px,
their square roots, PCA, EM; windows that are mostly dark or saturated are left out; the rarer of two models is taken
as the forgery. Written from these descriptions. Here differ:

- The levels split the values of each image into three parts of equal size, so that no scale has to be known.
- Windows are smaller than 128 px in small images, 3/16 of the shorter side and at least 32 px, and 5 principal
  components are used instead of 25 to 32: the paper's images have several megapixels, those here 256 px. Both numbers
  were chosen on eight spliced photographs of that size.
- Both models are Gaussians, of the same covariance (the paper's later version: a Gaussian and a uniform distribution).
  With a covariance each, EM more often separated smooth from textured parts of what the image shows. EM starts from
  squares of the image, each against the rest, instead of from random assignments, so that a result can be repeated.
- The value of the map is the logistic function of the log-likelihood ratio of the two models (as there half the
  difference of two Mahalanobis distances) divided by the number of components, so that it does not saturate: above 0.5
  where a window is nearer to the rarer model.
"""

import itertools
import warnings

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

STRIDE = 8  # pixels between two windows
WINDOW = 3 / 16  # the side of a window, as a fraction of the shorter side of the image
MIN_WINDOW, MAX_WINDOW = 32, 128  # pixels
COMPONENTS = 5
DARK, SATURATED = 6 / 255, 252 / 255  # grey values outside these limits hold no trace of the camera
MIN_WINDOWS = 50  # fewer cannot be modelled


def _string_classes() -> tuple[np.ndarray, int]:
    """The class of each string of four levels (in base 3), and the number of classes."""
    strings = list(itertools.product(range(3), repeat=4))

    def representative(string: tuple) -> tuple:
        negative = tuple(2 - level for level in string)
        return min(string, string[::-1], negative, negative[::-1])

    names = {name: i for i, name in enumerate(sorted({representative(string) for string in strings}))}
    return np.array([names[representative(string)] for string in strings]), len(names)


_CLASS_OF, CLASSES = _string_classes()


def outlying_map(noiseprint: np.ndarray, grey: np.ndarray) -> tuple[np.ndarray, float]:
    """Map [h, w] in [0, 1] of a noiseprint and its grey image, both [H, W], and how well two models explain it.

    h, w: H/8 and W/8. The number is the gain in log-likelihood per window, in nats, over a single Gaussian. Where too
    little can be modelled the map and the number are 0.
    """
    features, valid = window_features(noiseprint, (grey >= DARK) & (grey <= SATURATED))
    if valid.sum() < MIN_WINDOWS:
        return np.zeros(valid.shape, np.float32), 0.0
    ratio, gain = split_in_two(features, valid)
    map_ = np.zeros(valid.shape, np.float32)
    map_[valid] = 1 / (1 + np.exp(-np.clip(ratio, -50, 50)))
    return map_, gain


def window_features(noiseprint: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square roots of the frequencies of strings, [h, w, 50], and which windows are mostly usable, bool [h, w]."""
    height, width = noiseprint.shape
    h, w = max(1, height // STRIDE), max(1, width // STRIDE)
    blocks = (np.arange(height) * h // height)[:, None] * w + np.arange(width) * w // width
    levels = np.digitize(noiseprint, np.quantile(noiseprint, [1 / 3, 2 / 3]))
    windows = round(np.clip(WINDOW * min(height, width), MIN_WINDOW, MAX_WINDOW) / STRIDE)
    parts = []
    for axis in (0, 1):
        counts = _count_strings(levels, blocks, usable, axis, h * w).reshape(h, w, CLASSES)
        summed = np.maximum(uniform_filter(counts, (windows, windows, 1), mode="reflect"), 0)  # rounding
        parts.append(np.sqrt(summed / np.maximum(summed.sum(axis=2, keepdims=True), 1e-9)))
    shares = np.bincount(blocks.ravel(), usable.ravel(), h * w) / np.bincount(blocks.ravel(), minlength=h * w)
    shares = uniform_filter(shares.reshape(h, w), windows, mode="reflect")
    return np.concatenate(parts, axis=2), shares > 0.5


def _count_strings(levels: np.ndarray, blocks: np.ndarray, usable: np.ndarray, axis: int, n: int) -> np.ndarray:
    """How often each class of strings along `axis` begins in each of `n` blocks: float [n, CLASSES]."""
    length = levels.shape[axis] - 3

    def shifted(array: np.ndarray, by: int) -> np.ndarray:
        return array[by : by + length] if axis == 0 else array[:, by : by + length]

    strings, whole = np.zeros(shifted(levels, 0).shape, np.int64), np.ones(shifted(levels, 0).shape, bool)
    for by in range(4):
        strings = 3 * strings + shifted(levels, by)
        whole &= shifted(usable, by)
    index = shifted(blocks, 0) * CLASSES + _CLASS_OF[strings]
    return np.bincount(index[whole], minlength=n * CLASSES).astype(np.float64).reshape(n, CLASSES)


def split_in_two(features: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, float]:
    """Log-likelihood ratio per component, of the rarer Gaussian to the other, at the valid windows; gain over one."""
    x = features[valid]
    x = PCA(min(COMPONENTS, x.shape[1]), random_state=0).fit_transform(x)
    x = x / max(1e-9, x[:, 0].std())
    one = _fit(x, 1)
    best = max((_fit_from(x, inside[valid]) for inside in squares(valid.shape)), key=lambda model: model.lower_bound_)
    rarer = int(np.argmin(best.weights_))
    logs = np.log(np.maximum(best.predict_proba(x), 1e-300))
    priors = np.log(best.weights_[rarer] / best.weights_[1 - rarer])
    return (logs[:, rarer] - logs[:, 1 - rarer] - priors) / x.shape[1], float(best.score(x) - one.score(x))


def squares(shape: tuple[int, int]) -> list[np.ndarray]:
    """Nine overlapping rectangles, half as high and wide as the map: bool [h, w] each. EM starts from each of them."""
    found = []
    for top, left in itertools.product(range(3), repeat=2):
        inside = np.zeros(shape, bool)
        y, x = (side * i // 4 for side, i in zip(shape, (top, left), strict=True))
        inside[y : y + (shape[0] + 1) // 2, x : x + (shape[1] + 1) // 2] = True
        found.append(inside)
    return found


def _fit_from(x: np.ndarray, inside: np.ndarray) -> GaussianMixture:
    """The mixture that EM reaches from the means of the windows inside a square and of the others."""
    if not 0 < inside.sum() < len(inside):
        return _fit(x, 2)
    return _fit(x, 2, means_init=np.stack([x[~inside].mean(axis=0), x[inside].mean(axis=0)]))


def _fit(x: np.ndarray, n: int, **options) -> GaussianMixture:
    """A mixture of `n` Gaussians fitted to `x` by EM, which may stop early: the best of several fits is taken."""
    model = GaussianMixture(n, covariance_type="tied", reg_covar=1e-3, max_iter=100, random_state=0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x)
