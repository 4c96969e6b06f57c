"""One progress bar, on stderr, with rate and time left; silent when it would only be noise."""

import sys

from tqdm import tqdm


def progress_bar(total: int, what: str, unit: str = "picture", initial: int = 0) -> tqdm:
    """A plain-text bar that appears after 2 s, so that short work prints nothing."""
    return tqdm(
        total=total,
        desc=what,
        unit=f" {unit}s",
        initial=initial,
        file=sys.stderr,
        delay=2,
        mininterval=1 if sys.stderr.isatty() else 15,
        dynamic_ncols=sys.stderr.isatty(),
    )


def print_stderr(message: str) -> None:
    """One line to stderr: progress and remarks never mix with results on stdout."""
    tqdm.write(message, file=sys.stderr)


def format_duration(seconds: float) -> str:
    if seconds == 0:
        return "done"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
