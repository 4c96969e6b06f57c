"""Which partial fakes of the Dolos download a training or a test uses where none are named: those of the paper."""

from pathlib import Path

from wsdl.config import DEFAULT_GENERATORS, find_setup
from wsdl.core.progress import print_stderr
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import is_download

SUBSET = "repaint-p2-9k"  # 9,000 training fakes of repaint-p2, as many as there are real images


def choose_generators(data: Path, generators: tuple[str, ...], setup: str = "") -> tuple[str, ...]:
    """The generators whose partial fakes are used: `generators` where it names some, else () for all.

    Of a Dolos download, which holds fakes by several generators and a subset of some, setup B trains on the subset, and
    setup C and every test (setup "") use repaint-p2, as in the paper. A sentence on stderr says so.
    """
    if generators:
        return generators
    dataset = Dataset(data)
    if not is_download(dataset.info) or (setup and find_setup(setup).fakes == "full"):
        return ()
    available = sorted(set(dataset.select("partial", "train" if setup else "test").generator))
    chosen = tuple(name for name in paper_generators(setup) if name in available)[:1]
    used = f"setup {setup} trains on" if setup else "the test uses"
    others = ", ".join(name for name in available if name not in chosen)
    if chosen:
        more = f"; --generators names others ({others})" if others else ""
        print_stderr(f"{data}: {used} the partial fakes by {chosen[0]}, as in the paper{more}.")
    elif others:
        wanted = DEFAULT_GENERATORS[0]
        print_stderr(
            f"{data}: {used} all partial fakes ({others}), as it has none by {wanted}; --generators names some."
        )
    return chosen


def paper_generators(setup: str = "") -> tuple[str, ...]:
    """The generators that the paper trains on in setup B or C, or tests on (setup ""), the first of them preferred."""
    is_weak = setup and not find_setup(setup).has_masks
    return (SUBSET, *DEFAULT_GENERATORS) if is_weak else DEFAULT_GENERATORS
