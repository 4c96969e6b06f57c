"""What a training step may count on from the machine."""

import resource

import pytest
import torch

from wsdl.core.device import pick_device, retain_freed_memory
from wsdl.core.io import WsdlError


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


@pytest.mark.parametrize("name", ["toaster", "meta", "cuda:99", "cpu cuda"])
def test_a_device_that_is_not_there_is_named(name, monkeypatch):
    monkeypatch.setenv("WSDL_DEVICE", name)
    with pytest.raises(WsdlError, match=f"^WSDL_DEVICE: is '{name}', which this machine does not have; unset it, or"):
        pick_device()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setenv("WSDL_DEVICE", "cuda")
    with pytest.raises(WsdlError, match=r"WSDL_DEVICE: is 'cuda', .*set it to cpu\.$"):
        pick_device()


def test_the_device_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("WSDL_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
