"""Map a function over many files in parallel, with a progress bar and a limit of memory."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Condition

from wsdl.core.progress import progress_bar

PIXELS_IN_FLIGHT = 200_000_000  # decoded at a time: about 1 GB, or 2 GB where they are converted as well


def parallel_map(work: Callable, items: Iterable, what: str, pixels: Callable | None = None) -> list:
    """[work(item) for item in items] in threads, as Pillow and hashing release the interpreter lock.

    what: label of the progress bar. pixels: the number of pixels that an item decodes; items wait while the others
    decode PIXELS_IN_FLIGHT. The first error is raised at once, and work that has not started is cancelled.
    """
    items = list(items)
    progress, results = progress_bar(len(items), what), []
    budget = Budget(PIXELS_IN_FLIGHT)

    def work_within_budget(item):
        with budget.spend(pixels(item)):
            return work(item)

    with ThreadPoolExecutor() as pool:
        try:
            for result in pool.map(work_within_budget if pixels else work, items):
                results.append(result)
                progress.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            progress.close()
    return results


def split_by_pixels(items: Iterable, pixels: Callable) -> Iterator[list]:
    """Consecutive parts of `items` that decode at most PIXELS_IN_FLIGHT each; one with more is a part of its own."""
    part, total = [], 0
    for item in items:
        count = pixels(item)
        if part and total + count > PIXELS_IN_FLIGHT:
            yield part
            part, total = [], 0
        part.append(item)
        total += count
    if part:
        yield part


class Budget:
    """An amount that threads share: who wants more than is left waits. The whole is the most that one can want."""

    def __init__(self, whole: int):
        self.whole = self.left = whole
        self._changed = Condition()

    @contextmanager
    def spend(self, amount: int) -> Iterator[None]:
        amount = min(amount, self.whole)
        with self._changed:
            self._changed.wait_for(lambda: amount <= self.left)
            self.left -= amount
        try:
            yield
        finally:
            with self._changed:
                self.left += amount
                self._changed.notify_all()
