"""`detectors alarms`: how many unaltered images and fakes raise an alarm, as they are, compressed and resized."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from wsdl.inference.conditions import evenly_spaced, list_conditions
from wsdl.inference.image_input import open_image
from wsdl.inference.localize import choose_detector, load_localizer


def alarm_rates(
    folders: list[Path],
    detector: str = "",  # "": for each image the one that `localize` chooses
    parser: str = "",
    jpeg: list[int] = (75,),
    resize: list[float] = (0.75,),
    limit: int = 0,  # at most so many images of each folder, evenly spaced; 0: all
) -> pd.DataFrame:
    """One row for each folder and condition: images, fractions with a verdict and with an alarm, and the marked part.

    low, high: the 95 % interval of the fraction of alarms (Wilson). `alarms` counts all images, also those without
    verdict; where no image gets a verdict, no alarm says nothing about the detector. The images must be others than
    those of `detectors calibrate`. Nothing is written.
    """
    conditions, rows = list_conditions(jpeg, resize), []
    for folder in folders:
        found = {name: [] for name in conditions}
        for path in evenly_spaced(folder, limit):
            given = open_image(path)
            for name, change in conditions.items():
                changed = change(given)
                result = load_localizer(detector or choose_detector(changed, parser), parser)(changed)
                found[name].append((result.verdict.alarm, result.marked))
        rows += [{"images": folder.name, "condition": name, **_rates(results)} for name, results in found.items()]
    return pd.DataFrame(rows)


def _rates(results: list[tuple[bool | None, float]]) -> dict:
    alarms = sum(alarm is True for alarm, _ in results)
    interval = binomtest(alarms, len(results)).proportion_ci(method="wilson")
    return {
        "n": len(results),
        "verdicts": float(np.mean([alarm is not None for alarm, _ in results])),
        "alarms": alarms / len(results),
        "low": interval.low,
        "high": interval.high,
        "marked": float(np.mean([marked for _, marked in results])),
    }
