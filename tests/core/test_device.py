"""What a training step may count on from the machine."""

import resource

import pytest
import torch

from wsdl.core.device import retain_freed_memory


def fresh_pages() -> int:
    """Pages that the kernel had to hand out while the same large tensor was made and freed ten times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(not retain_freed_memory(), reason="no glibc: freed memory cannot be kept")
def test_freed_tensors_leave_their_memory_to_the_next():
    retain_freed_memory(False)
    assert fresh_pages() > 10_000
    retain_freed_memory()
    fresh_pages()  # from now on the process has room for it
    assert fresh_pages() < 1_000
