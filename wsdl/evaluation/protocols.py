"""The same map under several published definitions. A preset is a function: map and mask in, numbers out.

Every preset calls a pixel fake where the map is *strictly* above 0.5, unless it says otherwise, and brings the map to
the mask's size as the paper does (BICUBIC, clipped to [0, 1]): the other two codes get maps of the picture's size from
their networks and say nothing about small ones. Only `dolos` sees Grad-CAM maps divided by their own maximum, as the
paper's code did; the others see what the detector said.
"""

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from wsdl.evaluation.metrics import THRESHOLD, binary, iou, pbca
from wsdl.evaluation.pixels import by_value, f1, pixel_ap_auc

INNER, OUTER = 15, 11  # px, the squares with which TruFor's code erodes the fake region and dilates it


def dolos(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The paper's code. IoU and PBCA of each partial fake, averaged over pictures.

    Real pictures: not scored. Nothing painted and nothing found: IoU 1. Grad-CAM maps: divided by their maximum.
    Beside these stands AP, of picture scores and not of maps (`wsdl.evaluation.metrics.balanced_ap`).
    map_ [H, W] in [0, 1] at the size of mask [H, W], 1 = fake; so in every preset.
    """
    found = binary(map_)
    return {"iou": iou(found, mask), "pbca": pbca(found, mask)}


def pooled(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """All pixels of all partial fakes in one table of right and wrong: the counts that one picture adds to it.

    `pooled_scores` makes IoU, F1 and accuracy of the sums. Real pictures: not counted. A large mask weighs more than a
    small one; in per-picture means they weigh the same. No pixel painted or found in the whole set: IoU and F1 are 0.
    """
    found, mask = binary(map_), np.asarray(mask, bool)
    hits = int((found & mask).sum())
    alarms, misses = int(found.sum()) - hits, int(mask.sum()) - hits
    return {"hits": hits, "alarms": alarms, "misses": misses, "rests": mask.size - hits - alarms - misses}


def pooled_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """IoU, F1 and accuracy of summed counts [..., 4]: hits, false alarms, misses, true rests."""
    hits, alarms, misses, rests = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return {
        "iou": hits / np.maximum(hits + alarms + misses, 1),
        "f1": f1(hits, alarms, misses),
        "accuracy": (hits + rests) / np.maximum(hits + alarms + misses + rests, 1),
    }


def benco(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """IMDL-BenCo's PixelF1, PixelIOU and PixelAccuracy (github.com/scu-zjz/IMDLBenCo, IMDLBenCo/evaluation).

    Computed for each picture, averaged over **all** pictures, real ones too. A real picture has F1 and IoU 0 whatever
    the map says, even where it rightly says nothing; so has a fake whose painted pixels are none. With as many reals as
    fakes no detector gets above .5. `f1_double` is its mode "double": the better of the map and 1 - map.
    Its PixelAUC is left out: it orders equal values by chance of the sort; see `free` for one that does not.
    """
    hits, alarms, misses, rests = pooled(map_, mask).values()
    plain = float(f1(hits, alarms, misses))
    scores = pooled_scores(np.array([hits, alarms, misses, rests]))
    turned = float(f1(misses, rests, hits))  # of 1 - map: what was found was missed, and the other way round
    return {"f1": plain, "f1_double": max(plain, turned), "iou": float(scores["iou"]),
            "accuracy": float(scores["accuracy"])}  # fmt: skip


def trufor(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """TruFor's F1 of each partial fake (github.com/grip-unina/TruFor, metrics.py), averaged over pictures.

    Pixels near the border of the mask are ignored: 7 px inside it (erosion by 15 x 15), 5 px outside (dilation by
    11 x 11). The better of the map and 1 - map counts. `f1` at 0.5; `f1_best` at the best threshold of each picture,
    which is chosen by looking at its mask. Real pictures: not scored. A region that holds no square of 15 px vanishes:
    F1 is 0 for every map; `vanished` says how often. (Its code is in pixels of its pictures, which are larger than
    ours, and in one such case gives NaN and leaves the picture out.)
    """
    inner, outer = trufor_regions(mask)
    kept = inner | outer
    if not inner.any():
        return {"f1": 0.0, "f1_best": 0.0, "vanished": 1.0}
    values, fake, real = by_value(np.asarray(map_)[kept], inner[kept])
    at_half = np.searchsorted(values, np.float32(THRESHOLD), side="right")  # the first value strictly above
    cuts = np.arange(1, len(values) + 1)  # "above value k" is fake, for each k: nothing in the end, as in its code
    scores = _either_way(fake, real, np.concatenate([cuts, [at_half]]))
    return {"f1": float(scores[-1]), "f1_best": float(scores[:-1].max()), "vanished": 0.0}


def trufor_regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that TruFor's code counts as surely fake and as surely real: bool [H, W] each."""
    mask = np.asarray(mask, bool)
    return minimum_filter(mask, INNER), ~maximum_filter(mask, OUTER)


def _either_way(fake: np.ndarray, real: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """F1 of the map and of 1 - map, the better one, when values from index `cuts` on are called fake."""
    missed, rests = (np.concatenate([[0], np.cumsum(kind)])[cuts] for kind in (fake, real))
    hits, alarms = fake.sum() - missed, real.sum() - rests
    return np.maximum(f1(hits, alarms, missed), f1(missed, rests, hits))


def free(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Without a threshold: AP and AUC of the pixels of each partial fake, averaged over pictures.

    No code of one paper, but what scikit-learn computes of each picture; equal values count half, so a constant map has
    AUC .5. Real pictures, and fakes without a real pixel: NaN, left out of the mean.
    """
    _, fake, real = by_value(map_, mask)
    ap, auc = pixel_ap_auc(fake, real)
    return {"pixel_ap": ap, "pixel_auc": auc}


PROTOCOLS = {"dolos": dolos, "pooled": pooled, "benco": benco, "trufor": trufor, "free": free}
