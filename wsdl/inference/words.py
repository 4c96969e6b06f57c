"""The result of `localize` in words: the same sentences in the overlay, the JSON lines, `print` and `wsdl.upload`."""

from pathlib import Path


def result_lines(result) -> list[str]:
    """A Localization as lines of text, the most important first; warnings last."""
    verdict = result.verdict
    detector = " · ".join([Path(result.detector).name, *describe_training(result.trained_on)])
    marked = f"marked {percent(result.marked)} of the analysed pixels (map above {result.threshold:g})"
    score = f"score {result.score:.3g} (higher = more fake)"
    if verdict.images:
        marked += f": of {verdict.images}, {percent(verdict.marked_more, 0)} are marked more"
        score += f": of these, {percent(verdict.score_higher, 0)} have a higher score"
    return [
        verdict.text,
        marked,
        score,
        f"detector {detector}; {describe_metrics(result.measured)}",
        *([f"file: {result.file}"] if result.file else []),
        *result.warnings,
    ]


def percent(share: float, digits: int = 1) -> str:
    """A fraction as the explorer writes it."""
    return f"{100 * share:.{digits}f} %"


def describe_training(facts: dict) -> list[str]:
    """The setup, source and generator that a detector was trained on, as short texts."""
    parts = [f"setup {facts['setup']}"] if facts.get("setup") else []
    parts += [f"trained on {facts['source']}"] if facts.get("source") else []
    parts += [f"fakes by {facts['generator']}"] if facts.get("generator") else []
    return parts


def describe_metrics(scores: dict | None) -> str:
    """The IoU of a detector with its interval, and on which images it was measured."""
    if not scores or scores.get("iou") is None:
        return "not evaluated"
    low, high = scores.get("iou_low"), scores.get("iou_high")
    interval = "" if low is None or high is None else f" ({100 * low:.1f} to {100 * high:.1f})"
    where = f"the test split of {scores['on']}" if scores.get("on") else "a test split"
    return f"on {where}: IoU {percent(scores['iou'])}{interval}"
