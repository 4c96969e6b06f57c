"""The pass over a split: the numbers of every image under every protocol, and their summary.

Maps are held one batch at a time. Only the numbers of each image remain in memory, and of all pixels a histogram.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from wsdl.core.io import WsdlError
from wsdl.core.progress import in_batches
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import has_unknown_mask
from wsdl.evaluation.metrics import balanced_ap, binary, bootstrap, bootstrap_ap, interval, resample, upsample
from wsdl.evaluation.pixels import PixelHistogram
from wsdl.evaluation.protocols import PROTOCOLS, SCORES_REAL_IMAGES, pooled_scores

DOLOS_MEASURES = ("iou", "pbca", "ap")
MAPS = "maps"  # the preset of statistics of maps, computed where masks are unknown
MAP_MEASURES = ("marked_real", "marked_fake", "any_real", "any_fake")
_DESCRIPTION = ("path", "kind", "generator", "component", "area", "source_id")
PER_IMAGE_COLUMNS = (*_DESCRIPTION, "score", "iou", "pbca")  # of pictures.csv
_BATCH_SIZE = 64


def score_protocols(
    dataset: Dataset, predict: Callable, extra: tuple[str, ...] = (), split: str = "test"
) -> tuple[pd.DataFrame, list[dict]]:
    """The table of `score_images`, and its summary: a row {preset, measure, value, low, high, n} per number.

    low, high: 95 % interval over source faces (None for AP and AUC of pooled pixels); n: images behind the number.
    """
    pixels = PixelHistogram() if "pooled" in extra else None
    table = score_images(dataset, predict, extra, pixels, split)
    return table, _summary_rows(table, pixels)


def score_images(
    dataset: Dataset,
    predict: Callable,  # predict(indices) -> Prediction
    extra: tuple[str, ...] = (),  # protocols besides `dolos`, which is always computed
    pixels: PixelHistogram | None = None,  # counts the pixels of all partial fakes
    split: str = "test",
) -> pd.DataFrame:
    """Score each image of `split`, a batch at a time: a row per image, real images first.

    Columns: those of pictures.csv, then PROTOCOL.MEASURE such as "benco.f1"; NaN where a protocol does not score an
    image, such as a fake whose mask is unknown. Where there is one, `marked` is the fraction of pixels above 0.5.
    Without partial fakes, full ones are scored, of which no mask is known. WsdlError where the split has no real
    images or no fakes.
    """
    table = _images_to_score(dataset, split)
    known = (table.kind == "partial") & ~has_unknown_mask(table)
    lacks_masks = bool((known != (table.kind != "real")).any())
    scores, numbers = [], []
    for (kind, is_known), rows in table.groupby(["kind", known], sort=False):
        scored = is_known or (kind == "real" and known.any())
        protocols = [name for name in ("dolos", *extra) if scored and (is_known or name in SCORES_REAL_IMAGES)]
        for index in in_batches(rows.index.to_numpy(), _BATCH_SIZE, "scoring"):
            prediction = predict(index)
            scores.append(prediction.scores)
            if not protocols and not lacks_masks:
                numbers += [{}] * len(index)
                continue
            for i, map_ in zip(index, prediction.maps, strict=True):
                full = upsample(map_, (dataset.size, dataset.size))
                numbers.append({"marked": float(binary(full).mean())} if lacks_masks else {})
                if not protocols:
                    continue
                mask = np.asarray(dataset.masks[i], bool)
                numbers[-1] |= _score_image(full, mask, protocols)
                if pixels and is_known:
                    pixels.add(full, mask)
    numbers = pd.DataFrame(numbers, index=table.index).rename(columns={"dolos.iou": "iou", "dolos.pbca": "pbca"})
    numbers = numbers.reindex(columns=list(dict.fromkeys(["iou", "pbca", *numbers.columns])))
    table = pd.concat([table[list(_DESCRIPTION)].assign(score=np.concatenate(scores)), numbers], axis=1)
    return table[[*PER_IMAGE_COLUMNS, *table.columns.drop([*PER_IMAGE_COLUMNS])]]


def _images_to_score(dataset: Dataset, split: str) -> pd.DataFrame:
    """The rows of `split` to score: real images, then fakes with a mask, then others.

    Full fakes are scored where there are no partial ones. WsdlError where there are no real images or no fakes.
    """
    real, partial, full = (dataset.select(kind=kind, split=split) for kind in ("real", "partial", "full"))
    fakes = full if partial.empty and dataset.select("partial").empty else partial
    if real.empty or fakes.empty:
        raise WsdlError(
            f"{dataset.folder}: has {len(real)} real and {len(partial)} partial images in {split}; scoring needs both."
        )
    unknown = has_unknown_mask(fakes)
    return pd.concat([real, fakes[~unknown], fakes[unknown]])


def _score_image(map_: np.ndarray, mask: np.ndarray, protocols: list[str]) -> dict[str, float]:
    """{"dolos.iou": ..., "benco.f1": ...} of one image; both arrays are [H, W]."""
    return {f"{name}.{measure}": value for name in protocols for measure, value in PROTOCOLS[name](map_, mask).items()}


def metrics_row(runs: list[pd.DataFrame]) -> dict:
    """IoU, PBCA and AP with 95 % intervals from tables of `score_images`, one per seed, of the same images.

    The IoU and PBCA of an image are averaged over the seeds first, so the interval concerns the choice of test faces,
    not the randomness of training. IoU and PBCA are those of fakes with a mask, and NaN where there are none; where
    these are not all, `n_masks` is their number.
    """
    is_fake = (runs[0].kind != "real").to_numpy()
    has_mask = is_fake & runs[0].iou.notna().to_numpy()
    faces = runs[0].source_id.to_numpy()
    scores = np.array([run.score for run in runs])
    real, fake = scores[:, ~is_fake], scores[:, is_fake]
    numbers = {"n": int(is_fake.sum()), "ap": np.mean([balanced_ap(*pair) for pair in zip(real, fake, strict=True)])}
    low, high = bootstrap_ap(real, faces[~is_fake], fake, faces[is_fake])
    # The lowest possible AP, of fakes that all score below the real images, is below that of every resample.
    numbers |= {"ap_low": np.minimum(low, numbers["ap"]), "ap_high": np.maximum(high, numbers["ap"])}
    for name in ("iou", "pbca"):
        column, low, high = np.mean([run[name][has_mask] for run in runs], axis=0), np.nan, np.nan
        if has_mask.any():
            low, high = bootstrap(column, faces[has_mask])
        numbers |= {name: column.mean() if has_mask.any() else np.nan, f"{name}_low": low, f"{name}_high": high}
    if (has_mask != is_fake).any():
        numbers["n_masks"] = int(has_mask.sum())
    return {name: value if isinstance(value, int) else round(float(value), 6) for name, value in numbers.items()}


def _summary_rows(table: pd.DataFrame, pixels: PixelHistogram | None) -> list[dict]:
    """The rows of `score_protocols` from the table of `score_images`."""
    partial = table[(table.kind == "partial") & table.iou.notna()]
    of_dolos = metrics_row([table])
    n_masks = of_dolos.get("n_masks", of_dolos["n"])
    rows = [_number("dolos", name, *(of_dolos[name + end] for end in ("", "_low", "_high")),
                    of_dolos["n"] if name == "ap" else n_masks)
            for name in DOLOS_MEASURES]  # fmt: skip
    rows += _map_numbers(table) if "marked" in table else []
    if pixels and len(partial):
        rows += _pooled_numbers(partial)
        rows += [_number("pooled", name, value, None, None, len(partial))
                 for name, value in (("pixel_ap", pixels.ap()), ("pixel_auc", pixels.auc()))]  # fmt: skip
    for column in table.columns[table.columns.str.startswith(("benco.", "trufor.", "free."))]:
        scored = table[table[column].notna()]
        if not scored.empty:
            low, high = bootstrap(scored[column].to_numpy(), scored.source_id.to_numpy())
            rows.append(_number(*column.split("."), scored[column].mean(), low, high, len(scored)))
    return rows


def _map_numbers(table: pd.DataFrame) -> list[dict]:
    """MAP_MEASURES: the mean fraction of pixels above 0.5 in real images and in fakes, and of images that have any."""
    rows = []
    is_real = (table.kind == "real").to_numpy()
    for what, values in (("marked", table.marked), ("any", (table.marked > 0).astype(float))):
        for name, chosen in (("real", is_real), ("fake", ~is_real)):
            low, high = bootstrap(values.to_numpy()[chosen], table.source_id.to_numpy()[chosen])
            rows.append(_number(MAPS, f"{what}_{name}", values[chosen].mean(), low, high, int(chosen.sum())))
    return rows


def _pooled_numbers(partial: pd.DataFrame) -> list[dict]:
    """IoU, F1 and accuracy of all pixels together, with intervals over source faces."""
    counts = partial[[f"pooled.{name}" for name in ("hits", "alarms", "misses", "rests")]].to_numpy()
    index, times = resample(partial.source_id.to_numpy(), len(partial), seed=0, rounds=1000)
    by_face = np.stack([np.bincount(index, weights=column) for column in counts.T], axis=1)
    drawn = pooled_scores(times @ by_face)
    return [
        _number("pooled", name, value, *interval(drawn[name], 0.95), len(partial))
        for name, value in pooled_scores(counts.sum(axis=0)).items()
    ]


def _number(preset: str, measure: str, value: float, low: float | None, high: float | None, n: int) -> dict:
    value, low, high = (None if x is None or np.isnan(x) else round(float(x), 6) for x in (value, low, high))
    return {"preset": preset, "measure": measure, "value": value, "low": low, "high": high, "n": n}
