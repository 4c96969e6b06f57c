"""Map a function over many files in parallel, with a progress bar."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from wsdl.core.progress import progress_bar


def parallel_map(work: Callable, items: Iterable, what: str) -> list:
    """[work(item) for item in items] in threads, as Pillow and hashing release the interpreter lock.

    what: label of the progress bar. The first error is raised at once, and work that has not started is cancelled.
    """
    items = list(items)
    progress, results = progress_bar(len(items), what), []
    with ThreadPoolExecutor() as pool:
        try:
            for result in pool.map(work, items):
                results.append(result)
                progress.update()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            progress.close()
    return results
