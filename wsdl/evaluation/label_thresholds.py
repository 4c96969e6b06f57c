"""Thresholds for localisation maps from image labels alone: no mask is seen, not even one of a validation image.

Of a real image every patch is real, so its labels tell the exact rate of false alarms at each threshold. What they
cannot tell is how much of a fake should be marked: next to an inpainted region patches see both of its sides, and the
area that is marked grows as the threshold falls, without any real image contradicting it. Quantiles of real patches are
therefore safe but low for a good detector, and a threshold that maximises marked area of fakes minus that of reals is
lower still. `choose_rule` compares decisions about images instead.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl.config import find_setup
from wsdl.core.io import WsdlError, write_json
from wsdl.core.locks import hold_folder
from wsdl.core.records import read_config, read_object
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import is_download
from wsdl.data.paper_sets import choose_generators
from wsdl.detectors.base import Detector
from wsdl.evaluation.breakdown import iter_partial_fakes
from wsdl.evaluation.evaluate import evaluation_inputs
from wsdl.evaluation.metrics import THRESHOLD, bootstrap, iou, upsample

QUANTILES = {"real 100 %": 1.0, "real 99.8 %": 0.998, "real 99.5 %": 0.995, "real 99 %": 0.99}
CHOSEN = "chosen by labels"
RULES = ("0.5", "prior-corrected", *QUANTILES, CHOSEN)
THRESHOLDS_FILE = "thresholds.json"
_BATCH_SIZE = 64


def label_thresholds(real: np.ndarray, fake: np.ndarray) -> pd.DataFrame:
    """The threshold of each of RULES from maps [n, h, w] of real and fake validation images: "fake" is above it.

    Columns: rule, threshold, accuracy (`image_accuracy`). "real 99 %": 99 % of the patches of real images are not above
    it; "real 100 %" none is. The last row is the one that `choose_rule` takes.
    """
    found = {"0.5": THRESHOLD, "prior-corrected": prior_corrected(real)}
    found |= {name: float(np.quantile(real, q)) for name, q in QUANTILES.items()}
    accuracies = {name: image_accuracy(real, fake, threshold) for name, threshold in found.items()}
    best = choose_rule(accuracies)
    rows = [{"rule": name, "threshold": found[name], "accuracy": accuracies[name]} for name in found]
    return pd.DataFrame([*rows, {**rows[list(found).index(best)], "rule": CHOSEN}])


def prior_corrected(real: np.ndarray) -> float:
    """(1 + p0) / 2, where p0 is the median of real patches [n, h, w].

    A network that learned the label of the image on every patch outputs, for a patch that is inpainted with probability
    q, the probability q + (1 - q) p0 that the image is fake: p0 for a patch that is surely real, as fakes have those,
    too. At (1 + p0) / 2, q is 1/2. Where p0 is 0, as after pooling or with masks, this is 0.5.
    """
    return (1 + float(np.median(real))) / 2


def image_accuracy(real: np.ndarray, fake: np.ndarray, threshold: float) -> float:
    """Balanced accuracy of "an image is fake if any patch is above `threshold`", of maps [n, h, w]: in [0, 1]."""
    alarms, hits = ((maps > threshold).any(axis=(1, 2)).mean() for maps in (real, fake))
    return float((hits + 1 - alarms) / 2)


def choose_rule(accuracies: dict[str, float]) -> str:
    """The rule with the highest image accuracy; of equal ones the first.

    Labels of images cannot order thresholds between which no image changes sides: there the earlier rule stays.
    """
    return max(accuracies, key=accuracies.get)


def validation_thresholds(detector: Detector, dataset: Dataset, config: dict) -> pd.DataFrame:
    """`label_thresholds` of `detector`, trained with `config`, on the validation split of `dataset`.

    The fakes are of the kind of its setup, and by the generators that it was trained on if the dataset has some.
    """
    real, fake = (dataset.select(kind, "valid") for kind in ("real", find_setup(config["setup"]).fakes))
    own = fake[fake.generator.isin((config.get("generator") or "").split(", "))]
    fake = fake if own.empty else own
    if real.empty or fake.empty:
        raise WsdlError(f"{dataset.folder}: thresholds need real images and fakes of setup {config['setup']} in valid.")
    return label_thresholds(*(_predict_all(detector, dataset, rows.index.to_numpy()) for rows in (real, fake)))


def _predict_all(detector: Detector, dataset: Dataset, index: np.ndarray) -> np.ndarray:
    """The maps [n, h, w] of the images at `index`, of which a batch is in memory at a time."""
    starts = range(0, len(index), _BATCH_SIZE)
    return np.concatenate([detector.predict(dataset.images[index[i : i + _BATCH_SIZE]]).maps for i in starts])


def score_thresholds(
    run: Path,
    data: Path,  # whose test split is scored
    generators: tuple[str, ...] = (),  # whose partial fakes are scored; (): all, of the Dolos download repaint-p2
    validation: Dataset | None = None,  # whose validation split decides; default: `data`
    into: Path | None = None,  # the folder of thresholds.json; default: the run
) -> dict:
    """IoU of the detector in `run` at each of RULES; returns thresholds.json, and writes it unless it is there.

    Keys: `rules` (rows of `label_thresholds`), `faces` (the source face of each partial fake), `iou` (rule -> list).
    """
    from wsdl.detectors import load_detector

    dataset, into = Dataset(data, choose_generators(data, generators)), Path(into or run)
    # A training on the Dolos download may have used other fakes than the test.
    validation = validation or (Dataset(data) if is_download(dataset.info) else dataset)
    made_from = evaluation_inputs(run, dataset) | {"validation": evaluation_inputs(run, validation), "version": 1}
    with hold_folder(into):
        stored = read_object(into / THRESHOLDS_FILE) if (into / THRESHOLDS_FILE).exists() else {}
        if {key: stored.get(key) for key in made_from} == made_from:
            return stored
        detector = load_detector(run)
        rules = validation_thresholds(detector, validation, read_config(run))
        faces, scores = [], []
        for map_, mask, face in iter_partial_fakes(dataset, detector.predict, _BATCH_SIZE):
            full = upsample(map_, mask.shape)
            faces.append(face)
            scores.append([iou(full > threshold, mask) for threshold in rules.threshold])
        by_rule = {rule: list(column) for rule, column in zip(rules.rule, np.transpose(scores), strict=True)}
        result = {**made_from, "rules": rules.to_dict("records"), "faces": faces, "iou": by_rule}
        write_json(into / THRESHOLDS_FILE, result)
    return result


def thresholds_table(results: list[dict]) -> pd.DataFrame:
    """One row per rule from results of `score_thresholds`, one per seed: rule, threshold, accuracy, iou, low, high, n.

    threshold and accuracy are means over the seeds; low and high are the 95 % interval over source faces.
    """
    rows = []
    for number, rule in enumerate(RULES):
        about = pd.DataFrame([result["rules"][number] for result in results])
        scores = np.mean([result["iou"][rule] for result in results], axis=0)
        low, high = bootstrap(scores, np.array(results[0]["faces"]))
        rows.append({"rule": rule, "threshold": about.threshold.mean(), "accuracy": about.accuracy.mean(),
                     "iou": scores.mean(), "low": low, "high": high, "n": len(scores)})  # fmt: skip
    return pd.DataFrame(rows).round(6)
