"""reference.json of a detector: its results on unaltered images, and for which images it gives a verdict.

`python -m wsdl detectors calibrate` measures it (wsdl.inference.calibrate). `localize` compares each image with it: an
alarm, no alarm, or no verdict, because the image is unlike all on which the detector was calibrated.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from wsdl.core.io import WsdlError, sha256
from wsdl.core.records import check_object, read_object
from wsdl.core.run import MODEL_FILE
from wsdl.inference.conditions import AS_IS
from wsdl.inference.statistics import NAMES, ImageProperties
from wsdl.inference.words import percent

REFERENCE_FILE = "reference.json"
MIN_FOUND = 0.5  # of the fakes of the calibration; a detector that finds less gives no verdict
RESIZED = 1.02  # a region so many times smaller or larger than all of the reference was resized in another way
_KINDS = {"model": str, "n": int, "n_fakes": int, "alarm": float, "domain": dict, "conditions": dict}
_DOMAIN = {"name": str, "quality": float, "side": float, "largest": float, "faces": int, "groups": list}
_CONDITION = {"alarms": float, "fake_alarms": float, "score": list, "marked": list}


@dataclass(frozen=True)
class Group:
    """Images of one kind in one condition, as a normal distribution of their statistics."""

    condition: str
    mean: np.ndarray  # [5]
    covariance: np.ndarray  # [5, 5]
    limit: float  # a distance from the mean; almost all such images are nearer

    def distances(self, statistics: np.ndarray) -> np.ndarray:
        """Mahalanobis distances of statistics [n, 5] from the mean: [n]."""
        away = statistics - self.mean
        return np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(self.covariance), away))

    def log_density(self, statistics: np.ndarray) -> float:
        """Of statistics [5], up to a constant that all groups share."""
        return -0.5 * float(self.distances(statistics[None])[0] ** 2 + np.linalg.slogdet(self.covariance)[1])


@dataclass(frozen=True)
class Domain:
    """The images for which a detector gives a verdict."""

    name: str  # what they are, in the plural: "rendered portraits"
    groups: list[Group]
    quality: float  # the lowest JPEG quality among them; 100: all are lossless
    side: float  # the smallest analysed region among them, in pixels
    largest: float  # and the largest
    has_faces: bool  # a face was found in almost all of them
    others: tuple[Group, ...] = ()  # images for which the detector gives none; `condition` says what they are

    def unlike(self, properties: ImageProperties) -> str:
        """Why an image is unlike all of these, in a sentence; "" where it is like some."""
        if self.has_faces and not properties.has_face:
            return f"no face was found, and the {self.name} with which the detector was calibrated show one each"
        if properties.quality < self.quality:  # false where it is not known
            least = "lossless" if self.quality == 100 else f"of quality {self.quality:.0f} or better"
            return f"the image is a JPEG of quality {properties.quality:.0f}, and the reference images are {least}"
        what = f"the face or image is {properties.side:.0f} px wide"
        if properties.side < self.side / RESIZED:
            return f"{what}, the smallest reference image {self.side:.0f} px"
        if properties.side > self.largest * RESIZED:
            return f"{what}, the largest reference image {self.largest:.0f} px"
        group = self.nearest(properties)
        if other := self._other(properties.statistics):
            return f"the image is more like {other} than like the {self.name} with which the detector was calibrated"
        distance = group.distances(properties.statistics[None])[0]
        if distance <= group.limit:
            return ""
        away = np.abs(properties.statistics - group.mean) / np.sqrt(group.covariance.diagonal())
        return (
            f"the image is unlike the {self.name} with which the detector was calibrated (distance {distance:.1f}, "
            f"limit {group.limit:.1f}), most of all in its {NAMES[int(away.argmax())]}"
        )

    def _other(self, statistics: np.ndarray) -> str:
        """What an image of these statistics [5] is more likely to be than one of the reference; "" where nothing."""
        own = max(group.log_density(statistics) for group in self.groups)
        likeliest = max(self.others, key=lambda group: group.log_density(statistics), default=None)
        return likeliest.condition if likeliest and likeliest.log_density(statistics) > own else ""

    def nearest(self, properties: ImageProperties) -> Group:
        """The group that an image fits best."""
        return min(self.groups, key=lambda group: group.distances(properties.statistics[None])[0] / group.limit)


@dataclass(frozen=True)
class Verdict:
    """What a score means."""

    alarm: bool | None  # None: no verdict
    text: str  # one sentence
    images: str = ""  # the unaltered images with which this one is compared; "" without a verdict
    marked_more: float | None = None  # fraction of them of which more is marked
    score_higher: float | None = None  # fraction of them with a higher score

    def to_dict(self) -> dict:
        return asdict(self)


NO_REFERENCE = Verdict(None, "no verdict: the detector has no reference.json, made by `detectors calibrate`")


@dataclass(frozen=True)
class Reference:
    """The content of reference.json."""

    n: int  # unaltered images
    n_fakes: int
    alarm: float  # a higher score is an alarm
    domain: Domain
    conditions: dict[str, dict]  # name -> quantiles of score and marked fraction, rates of alarms

    def judge(self, score: float, marked: float, properties: ImageProperties) -> Verdict:
        """The verdict on an image of this score and marked fraction."""
        if why := self.no_verdict(properties):
            return Verdict(None, f"no verdict: {why}")
        condition = self.domain.nearest(properties).condition
        unaltered, alarm = self.conditions[condition], score > self.alarm
        images = f"{self.n} unaltered {self.domain.name}" + (f" ({condition})" if condition != AS_IS else "")
        rates = f"{percent(unaltered['alarms'], 0)} of {images}"
        if self.n_fakes:
            rates += f" and by {percent(unaltered['fake_alarms'], 0)} of {self.n_fakes} fakes"
        above = f"the score is {'' if alarm else 'not '}above {self.alarm:.3g}"
        return Verdict(
            alarm=alarm,
            text=f"{'alarm' if alarm else 'no alarm'}: {above} (an alarm is raised by {rates})",
            images=images,
            marked_more=float(np.mean(unaltered["marked"] > marked)),
            score_higher=float(np.mean(unaltered["score"] > score)),
        )

    def no_verdict(self, properties: ImageProperties) -> str:
        """Why no verdict on an image is given, in a sentence; "" where one is."""
        found = self.conditions[AS_IS]["fake_alarms"]
        if self.n_fakes and found < MIN_FOUND:
            return f"the detector raises an alarm on only {percent(found, 0)} of {self.n_fakes} fakes of its kind"
        return self.domain.unlike(properties)


def read_reference(folder: Path) -> Reference | None:
    """reference.json of a run; None where it has none, or one of other weights. WsdlError where it is damaged."""
    path = folder / REFERENCE_FILE
    if not path.is_file():
        return None
    content = check_object(read_object(path), _KINDS, tuple(_KINDS), str(path))
    domain = check_object(content["domain"], _DOMAIN, tuple(_DOMAIN), f"{path}: domain")
    conditions = {
        name: check_object(one, _CONDITION, tuple(_CONDITION), f"{path}: {name}")
        for name, one in content["conditions"].items()
    }
    try:
        conditions = {
            name: {**one, "score": _array(one["score"], 1), "marked": _array(one["marked"], 1)}
            for name, one in conditions.items()
        }
        groups, others = (
            [
                Group(one["condition"], _array(one["mean"], 1), _array(one["covariance"], 2), float(one["limit"]))
                for one in domain.get(key, [])  # "others" is missing in files of earlier versions
            ]
            for key in ("groups", "others")
        )
        for group in (*groups, *others):
            group.distances(np.zeros((1, len(NAMES))))  # ValueError or LinAlgError where shapes do not fit
        for group in groups:
            conditions[group.condition]
        groups[0]
    except (ValueError, TypeError, KeyError, IndexError, np.linalg.LinAlgError):
        raise WsdlError(f"{path}: is no result of `detectors calibrate`; run it again.") from None
    if content["model"] != sha256(folder / MODEL_FILE):
        return None
    sizes = (domain[key] for key in ("quality", "side", "largest"))
    domain = Domain(domain["name"], groups, *sizes, bool(domain["faces"]), tuple(others))
    return Reference(content["n"], content["n_fakes"], content["alarm"], domain, conditions)


def _array(values: list, dimensions: int) -> np.ndarray:
    array = np.asarray(values, float)
    if array.ndim != dimensions or not np.isfinite(array).all() or not array.size:
        raise ValueError
    return array
