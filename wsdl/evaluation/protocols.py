"""Published definitions of localisation metrics, as functions of a map and a mask.

Unless stated otherwise, a pixel is fake where the map is *strictly* above 0.5, and the map is upsampled to the size of
the mask as in the paper (BICUBIC, clipped to [0, 1]). The other two codes have networks that output maps of the image
size, and do not define this step. All protocols receive the maps as predicted.
"""

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from wsdl.evaluation.metrics import THRESHOLD, binary, iou, pbca
from wsdl.evaluation.pixels import count_by_value, pixel_ap_auc, pixel_f1

_INNER, _OUTER = 15, 11  # px: squares with which TruFor's code erodes and dilates the fake region


def dolos(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The paper's code: IoU and PBCA of each partial fake, averaged over images.

    Real images are not scored. IoU is 1 where nothing is inpainted and nothing found. The AP of this protocol belongs
    to image scores, not to maps (`wsdl.evaluation.metrics.balanced_ap`).
    map_ [H, W] in [0, 1] and mask [H, W], 1 = fake, have the same size, here and in all protocols.
    """
    found = binary(map_)
    return {"iou": iou(found, mask), "pbca": pbca(found, mask)}


def pooled(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The confusion matrix of all pixels of all partial fakes; returns the counts of one image.

    `pooled_scores` computes IoU, F1 and accuracy from the sums. Real images are not counted. A large mask weighs more
    than a small one, while in means per image they weigh the same. IoU and F1 are 0 where no pixel of the whole set is
    inpainted or found.
    """
    found, mask = binary(map_), np.asarray(mask, bool)
    hits = int((found & mask).sum())
    alarms, misses = int(found.sum()) - hits, int(mask.sum()) - hits
    return {"hits": hits, "alarms": alarms, "misses": misses, "rests": mask.size - hits - alarms - misses}


def pooled_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """IoU, F1 and accuracy from summed counts [..., 4]: true positives, false positives, false and true negatives."""
    hits, alarms, misses, rests = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return {
        "iou": hits / np.maximum(hits + alarms + misses, 1),
        "f1": pixel_f1(hits, alarms, misses),
        "accuracy": (hits + rests) / np.maximum(hits + alarms + misses + rests, 1),
    }


def benco(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """IMDL-BenCo's PixelF1, PixelIOU and PixelAccuracy (github.com/scu-zjz/IMDLBenCo, IMDLBenCo/evaluation).

    Computed per image and averaged over **all** images, real ones included. F1 and IoU of a real image are 0 for every
    map, even for one that is rightly empty; the same holds for a fake without inpainted pixels. With as many reals as
    fakes no detector exceeds .5. `f1_double` is its mode "double": the better of the map and 1 - map.
    Its PixelAUC is left out because it orders equal values arbitrarily; `free` has one that does not.
    """
    hits, alarms, misses, rests = pooled(map_, mask).values()
    plain = float(pixel_f1(hits, alarms, misses))
    scores = pooled_scores(np.array([hits, alarms, misses, rests]))
    inverted = float(pixel_f1(misses, rests, hits))  # of 1 - map: what was found is missed and vice versa
    return {"f1": plain, "f1_double": max(plain, inverted), "iou": float(scores["iou"]),
            "accuracy": float(scores["accuracy"])}  # fmt: skip


def trufor(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """TruFor's F1 of each partial fake (github.com/grip-unina/TruFor, metrics.py), averaged over images.

    Pixels near the border of the mask are ignored: 7 px inside it (erosion by 15 x 15) and 5 px outside (dilation by
    11 x 11). The better of the map and 1 - map counts. `f1` is at 0.5; `f1_best` at the best threshold of each image,
    which is chosen with its mask. Real images are not scored. A region that contains no square of 15 px vanishes and
    has F1 0 for every map; `vanished` is the fraction of such images. (In that case TruFor's code gives NaN and skips
    the image; it was made for larger images than ours.)
    """
    inner, outer = trufor_regions(mask)
    kept = inner | outer
    if not inner.any():
        return {"f1": 0.0, "f1_best": 0.0, "vanished": 1.0}
    values, fake, real = count_by_value(np.asarray(map_)[kept], inner[kept])
    at_half = np.searchsorted(values, np.float32(THRESHOLD), side="right")  # the first value strictly above
    cuts = np.arange(1, len(values) + 1)  # "above value k" is fake, for each k; nothing is for the last, as in its code
    scores = _better_f1(fake, real, np.concatenate([cuts, [at_half]]))
    return {"f1": float(scores[-1]), "f1_best": float(scores[:-1].max()), "vanished": 0.0}


def trufor_regions(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels that TruFor's code counts as fake and as real: bool [H, W] each."""
    mask = np.asarray(mask, bool)
    return minimum_filter(mask, _INNER), ~maximum_filter(mask, _OUTER)


def _better_f1(fake: np.ndarray, real: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The better F1 of the map and of 1 - map, where values from index `cuts` on are called fake."""
    missed, rests = (np.concatenate([[0], np.cumsum(kind)])[cuts] for kind in (fake, real))
    hits, alarms = fake.sum() - missed, real.sum() - rests
    return np.maximum(pixel_f1(hits, alarms, missed), pixel_f1(missed, rests, hits))


def free(map_: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Threshold-free: AP and AUC of the pixels of each partial fake, averaged over images.

    Not the code of one paper, but scikit-learn's definition per image; ties count half, so a constant map has AUC .5.
    Real images, and fakes without a real pixel, give NaN and are left out of the mean.
    """
    _, fake, real = count_by_value(map_, mask)
    ap, auc = pixel_ap_auc(fake, real)
    return {"pixel_ap": ap, "pixel_auc": auc}


PROTOCOLS = {"dolos": dolos, "pooled": pooled, "benco": benco, "trufor": trufor, "free": free}
EXTRA_PROTOCOLS = tuple(PROTOCOLS)[1:]  # computed on request; `dolos` always is
SCORES_REAL_IMAGES = ("benco",)
