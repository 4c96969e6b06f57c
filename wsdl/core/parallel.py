"""The same work on many files, on all cores, with a progress bar."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from wsdl.core.progress import progress_bar


def parallel_map(work: Callable, items: Iterable, what: str) -> list:
    """[work(item) for item in items] in threads: Pillow and hashing release the interpreter lock.

    The first error is raised at once; what has not begun by then is dropped.
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
