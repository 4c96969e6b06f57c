"""`detectors calibrate`: measure the results of a detector on unaltered images, and write reference.json of its run.

The alarm is a threshold of the score, not of the marked fraction: the score separates fakes from unaltered images as
well or better, and the marked fraction is 0 for most unaltered images, so that it has no quantiles to choose from.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from wsdl.core.io import sha256, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.inference.conditions import AS_IS, evenly_spaced, list_conditions
from wsdl.inference.image_input import open_image
from wsdl.inference.localize import Localizer
from wsdl.inference.reference import REFERENCE_FILE, Domain, Group
from wsdl.inference.statistics import ImageProperties

FALSE_ALARMS = 0.05  # at most this fraction of unaltered images raises an alarm, in each condition
KEPT = 0.9  # a condition is covered where the alarm keeps this fraction of the fakes that it finds without
FOLDS = 5  # of the cross-validation of distances
FACES = 0.95  # a face is expected in every image where it was found in this fraction of the reference
IN_DOMAIN = 0.99  # of the images of a group are within its limit


def calibrate(
    localizer: Localizer,
    folder: Path,  # the run; reference.json is written there
    images: Path,  # unaltered images that were not trained on
    domain: str,  # what they are, in the plural: "rendered portraits"
    fakes: list[Path] = (),  # folders of fakes of the same kind that were not trained on; no masks are read
    jpeg: list[int] = (75,),  # qualities
    resize: list[float] = (0.75,),  # factors of the sides
    limit: int = 0,  # at most so many images of each folder, evenly spaced; 0: all
    others: dict[str, Path] | None = None,  # folders of images that are to get no verdict, by what they are
) -> dict:
    """Write reference.json, atomically, and return it. WsdlError for folders of less than MIN_IMAGES images.

    A condition (JPEG, resizing) is covered where the detector still works in it: with the threshold that unaltered
    images need there, the alarm finds at least KEPT of the fakes that it finds otherwise. Images like those of covered
    conditions get a verdict. Without fakes every condition is covered. An image that is more like `others` in some
    condition gets none: it may be within the domain of the detector by chance.
    """
    conditions = list_conditions(jpeg, resize)
    real, *fake = (_measure(localizer, one, conditions, limit) for one in (images, *fakes))
    covered = choose_covered(real, fake)
    parts = [part[condition] for part in (real, *fake) for condition in covered]
    outside = [
        fit_group(f"{what} ({condition})", measured.statistics)
        for what, other in (others or {}).items()
        for condition, measured in _measure(localizer, other, conditions, limit).items()
    ]
    about = Domain(
        name=domain,
        groups=[fit_group(condition, part[condition].statistics) for part in (real, *fake) for condition in covered],
        quality=min((one for part in parts for one in part.qualities if not math.isnan(one)), default=100.0),
        side=min(side for part in parts for side in part.sides),
        largest=max(side for part in parts for side in part.sides),
        has_faces=bool(np.mean([one.has_face for part in parts for one in part.properties]) >= FACES),
        others=tuple(outside),
    )
    alarm = choose_alarm(real, fake, about)
    reference = {
        "model": sha256(folder / MODEL_FILE),
        "n": len(real[AS_IS].scores),
        "n_fakes": sum(len(part[AS_IS].scores) for part in fake),
        "alarm": alarm,
        "domain": {"name": domain, "quality": about.quality, "side": about.side, "largest": about.largest,
                   "faces": int(about.has_faces),
                   "groups": [_stored(one) for one in about.groups], "others": [_stored(one) for one in about.others]},
        "conditions": {
            name: _summary(real[name], [part[name] for part in fake], about, alarm) | {"covered": name in covered}
            for name in conditions
        },
    }  # fmt: skip
    write_json(folder / REFERENCE_FILE, reference)
    return reference


@dataclass
class Measured:
    """What a detector says of the images of one folder in one condition."""

    scores: np.ndarray  # [n]
    marked: np.ndarray  # [n]
    properties: list[ImageProperties]  # n of them

    @property
    def statistics(self) -> np.ndarray:
        """[n, 5]"""
        return np.array([one.statistics for one in self.properties])

    @property
    def sides(self) -> list[float]:
        return [one.side for one in self.properties]

    @property
    def qualities(self) -> list[float]:
        return [one.quality for one in self.properties]

    def within(self, domain: Domain) -> np.ndarray:
        """Which images get a verdict, bool [n]."""
        return np.array([not domain.unlike(one) for one in self.properties])

    def alarms(self, domain: Domain, alarm: float) -> np.ndarray:
        """Which images raise an alarm, bool [n]."""
        return self.within(domain) & (self.scores > alarm)


def _measure(localizer: Localizer, folder: Path, conditions: dict, limit: int) -> dict[str, Measured]:
    """Condition -> what the detector says of the images in a folder."""
    rows = {name: [] for name in conditions}
    for path in evenly_spaced(folder, limit):
        given = open_image(path)
        for name, change in conditions.items():
            result = localizer(change(given))
            rows[name].append((result.score, result.marked, result.properties))
    columns = {name: list(zip(*found, strict=True)) for name, found in rows.items()}
    return {name: Measured(np.array(one[0]), np.array(one[1]), list(one[2])) for name, one in columns.items()}


def choose_covered(real: dict[str, Measured], fake: list[dict[str, Measured]]) -> list[str]:
    """The conditions in which the detector still works, in the order given; the images as they are always count."""
    if not fake:
        return list(real)
    covered, scores = [AS_IS], np.concatenate([part[AS_IS].scores for part in fake])
    alarm = upper_quantile(real[AS_IS].scores)
    for name in list(real)[1:]:
        raised = max(alarm, upper_quantile(real[name].scores))
        if (scores > raised).sum() >= KEPT * (scores > alarm).sum():
            covered, alarm = [*covered, name], raised
    return covered


def choose_alarm(real: dict[str, Measured], fake: list[dict[str, Measured]], domain: Domain) -> float:
    """The score above which an image raises an alarm.

    At most FALSE_ALARMS of the unaltered images in each condition get a verdict and exceed it. Where fakes leave room
    above that score, halfway to the score that all but FALSE_ALARMS of the fakes exceed: few images fix a quantile
    loosely.
    """
    least = max(upper_quantile(np.where(part.within(domain), part.scores, -np.inf)) for part in real.values())
    if not fake:
        return least
    of_fakes = float(np.quantile(np.concatenate([part[AS_IS].scores for part in fake]), FALSE_ALARMS))
    return max(least, (least + of_fakes) / 2)


def upper_quantile(scores: np.ndarray) -> float:
    """The least score that at most FALSE_ALARMS of `scores` [n] exceed."""
    return float(np.sort(scores)[::-1][int(FALSE_ALARMS * len(scores))])


def fit_group(condition: str, statistics: np.ndarray) -> Group:
    """The normal distribution of statistics [n, 5], and the distance within which IN_DOMAIN of such images are."""
    fold = np.arange(len(statistics)) % FOLDS
    distances = [_normal(condition, statistics[fold != i]).distances(statistics[fold == i]) for i in range(FOLDS)]
    whole = _normal(condition, statistics)
    return Group(condition, whole.mean, whole.covariance, float(np.quantile(np.concatenate(distances), IN_DOMAIN)))


def _stored(group: Group) -> dict:
    """A group as in reference.json."""
    return {"condition": group.condition, "mean": group.mean.tolist(), "covariance": group.covariance.tolist(),
            "limit": group.limit}  # fmt: skip


def _normal(condition: str, statistics: np.ndarray) -> Group:
    ridge = np.diag(1e-4 * statistics.var(axis=0) + 1e-6)  # a statistic may be constant
    return Group(condition, statistics.mean(axis=0), np.cov(statistics.T) + ridge, math.inf)


def _summary(real: Measured, fakes: list[Measured], domain: Domain, alarm: float) -> dict:
    """The numbers of one condition in reference.json."""
    scores = [real.scores, *(part.scores for part in fakes)]
    labels = np.repeat([0, 1], [len(real.scores), sum(map(len, scores[1:]))])
    found = [part.alarms(domain, alarm) for part in fakes]
    return {
        "verdicts": float(real.within(domain).mean()),
        "alarms": float(real.alarms(domain, alarm).mean()),
        "fake_alarms": float(np.concatenate(found).mean()) if fakes else 0.0,
        "auc": float(roc_auc_score(labels, np.concatenate(scores))) if fakes else None,
        "score": _quantiles(real.scores),
        "marked": _quantiles(real.marked),
    }


def _quantiles(values: np.ndarray) -> list[float]:
    """The 0, 1, ... 100 % quantiles, float [101]."""
    return np.quantile(values, np.linspace(0, 1, 101)).round(6).tolist()
