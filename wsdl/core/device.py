"""Device and precision of all computations, and conversion between images and tensors."""

import ctypes
import os
import sys
from functools import cache

import numpy as np
import torch

from wsdl.core.io import WsdlError
from wsdl.core.ranges import check_ranges

_DEVICES = "cpu", "cuda", "mps"


def pick_device() -> torch.device:
    """The first GPU if there is one, else the CPU. The environment variable `WSDL_DEVICE` overrides it.

    Each of several processes of one training (torchrun) has a GPU of its own. WsdlError where `WSDL_DEVICE` names a
    device that this machine does not have, or torchrun started more processes than there are GPUs.
    """
    if name := os.environ.get("WSDL_DEVICE"):
        return _find_device(name)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local, cards = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
    if local is None:
        return torch.device("cuda")
    if int(local) >= cards:
        raise WsdlError(f"--nproc-per-node: is more than the {cards} GPUs of this machine; give at most {cards}.")
    return torch.device("cuda", int(local))


@cache
def _find_device(name: str) -> torch.device:
    """The device `name`: cpu, cuda, cuda:1 ... or mps."""
    try:
        device = torch.device(name)
        if device.type in _DEVICES:
            torch.empty(1, device=device)
            return device
    except (RuntimeError, AssertionError):  # no such device; PyTorch is built without it
        pass
    present = "cuda, cuda:0 ... or cpu" if torch.cuda.is_available() else "cpu"
    raise WsdlError(f"WSDL_DEVICE: is '{name}', which this machine does not have; unset it, or set it to {present}.")


def pick_precision() -> str:
    """Return "bf16" where the hardware multiplies bf16 natively, else "fp32". `WSDL_PRECISION` overrides it.

    A CPU without AVX-512 BF16 or AMX emulates bf16: on an AVX2 machine a matrix product ran at 0.3 GFLOP/s in
    bf16 and at 179 in fp32.
    """
    if name := os.environ.get("WSDL_PRECISION"):
        if name not in ("bf16", "fp32"):
            raise WsdlError(f"WSDL_PRECISION: is '{name}', but must be bf16 or fp32.")
        return name
    if pick_device().type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    cpu = getattr(torch.cpu, "get_capabilities", dict)()  # older torch does not report it: fp32 is always correct
    return "bf16" if cpu.get("avx512_bf16") or cpu.get("amx_bf16") else "fp32"


def seed_torch(seed: int) -> None:
    """Seed the random numbers of PyTorch. WsdlError for a seed that it does not take."""
    check_ranges(seed=seed)
    torch.manual_seed(seed)


# Options of mallopt: number, value that retains freed memory, default of glibc.
_MALLOPT = {"M_MMAP_MAX": (-4, 0, 65536), "M_TRIM_THRESHOLD": (-1, 2**31 - 1, 131072)}


def retain_freed_memory(keep: bool = True) -> bool:
    """Retain the memory of freed tensors in this process, up to 2 GB. Return False where glibc is not in use.

    Every training step frees its tensors and allocates the same ones again. By default glibc returns large blocks to
    the kernel, which clears each page before it hands it out again: a third of the time of a training step on a CPU
    (`python -m wsdl bench patches`), and similar when fakes are generated.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return bool(
        mallopt and all(mallopt(number, kept if keep else default) for number, kept, default in _MALLOPT.values())
    )


def autocast(device: torch.device | None = None):
    """The autocast context of `pick_precision`."""
    device = device or pick_device()
    return torch.autocast(device.type, torch.bfloat16, enabled=pick_precision() == "bf16")


def to_unit(images, device: torch.device | None = None) -> torch.Tensor:
    """uint8 [n, H, W, 3] -> float32 [n, 3, H, W] in [-1, 1] (mean = std = 0.5), channels last, on `device`."""
    if not torch.is_tensor(images):
        images = torch.from_numpy(np.array(images))  # a copy: memory-mapped images are read-only
    tensor = images.to(device or pick_device()).permute(0, 3, 1, 2)
    return tensor.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def to_uint8(tensor: torch.Tensor) -> np.ndarray:
    """float [n, 3, H, W] in [-1, 1] -> uint8 [n, H, W, 3] on the CPU, rounded and clipped."""
    pixels = tensor.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def peak_megabytes() -> float | None:
    """Peak resident memory of this process so far in MB; None where the system does not report it."""
    if os.name != "posix":
        return None
    import resource

    return maxrss_megabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def maxrss_megabytes(maxrss: int) -> float:
    """`ru_maxrss` of a `resource.struct_rusage` in MB: it has bytes on a Mac, kilobytes elsewhere."""
    return maxrss / (2**20 if sys.platform == "darwin" else 2**10)
