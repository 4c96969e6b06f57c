"""Progress bars and messages, on stderr only: results go to stdout."""

import sys
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from wsdl.core.ranks import is_first


class _Bar(tqdm):
    def refresh(self, *arguments, **options):
        """Draw nothing before `delay`; a message that is printed meanwhile would draw the bar otherwise."""
        if self._time() >= self.start_t + self.delay:
            return super().refresh(*arguments, **options)

    def display(self, *arguments, **options):
        self.delay = 0  # `close` ends the line of a bar that was drawn, also by set_postfix, which tqdm does not count
        return super().display(*arguments, **options)


def progress_bar(total: int, what: str, unit: str = "image", initial: int = 0) -> tqdm:
    """A plain-text progress bar with rate and time left; it appears after 2 s, so short work prints nothing.

    Of several processes of one training the first prints.
    """
    return _Bar(
        total=total,
        desc=what,
        unit=f" {unit}s",
        initial=initial,
        file=sys.stderr,
        delay=2,
        mininterval=1 if sys.stderr.isatty() else 15,
        dynamic_ncols=sys.stderr.isatty(),
        disable=not is_first(),
    )


def end_progress_bars() -> None:
    """End the bars that are shown, so that what is printed next begins on a line of its own."""
    for bar in list(getattr(_Bar, "_instances", ())):
        bar.close()


def in_batches(items: Sequence, size: int, what: str) -> Iterator[Sequence]:
    """Yield slices of `items` of at most `size`, in order, with a progress bar called `what`."""
    progress = progress_bar(len(items), what)
    for start in range(0, len(items), size):
        part = items[start : start + size]
        yield part
        progress.update(len(part))
    progress.close()


def print_stderr(message: str) -> None:
    """Print one line to stderr without breaking a progress bar. Names that are no UTF-8 appear with escapes."""
    if is_first():
        tqdm.write(message.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)


def print_problem(message: str) -> None:
    """Print that something was left out, and why, to stderr."""
    print_stderr(f"wsdl: {message}")


def format_duration(seconds: float) -> str:
    """Seconds as "done" (0), "42 s", "7 min" or "2.5 h"."""
    if seconds == 0:
        return "done"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
