"""Where work runs, and in which precision: decided in one place, and written into every run.json."""

import ctypes
import os
import sys

import numpy as np
import torch

from wsdl.core.io import WsdlError


def pick_device() -> torch.device:
    """The first GPU where there is one, else the CPU. `WSDL_DEVICE` overrides."""
    if name := os.environ.get("WSDL_DEVICE"):
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision() -> str:
    """ "bf16" where the hardware multiplies bf16 natively, else "fp32". `WSDL_PRECISION` overrides.

    A CPU without AVX-512 BF16 or AMX emulates bf16: on an AVX2 machine a matrix product ran at 0.3 GFLOP/s in
    bf16 and at 179 in fp32.
    """
    if name := os.environ.get("WSDL_PRECISION"):
        if name not in ("bf16", "fp32"):
            raise WsdlError(f"WSDL_PRECISION: is '{name}', but must be bf16 or fp32.")
        return name
    if pick_device().type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    cpu = getattr(torch.cpu, "get_capabilities", dict)()  # older torch cannot tell: fp32 is always right
    return "bf16" if cpu.get("avx512_bf16") or cpu.get("amx_bf16") else "fp32"


MALLOPT = {"M_MMAP_MAX": (-4, 0, 65536), "M_TRIM_THRESHOLD": (-1, 2**31 - 1, 131072)}  # number, kept, glibc's own


def retain_freed_memory(keep: bool = True) -> bool:
    """Let this process keep the memory of freed tensors, up to 2 GB (glibc only; False where that cannot be had).

    A training step frees its tensors and asks for the same ones again. By itself glibc hands large blocks back, and
    the kernel clears every page anew: on a CPU that takes a third of the time (`python -m wsdl bench patches`), and so
    when fakes are made.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return bool(mallopt and all(mallopt(number, kept if keep else own) for number, kept, own in MALLOPT.values()))


def autocast(device: torch.device | None = None):
    """The autocast context that fits `pick_precision`."""
    device = device or pick_device()
    return torch.autocast(device.type, torch.bfloat16, enabled=pick_precision() == "bf16")


def to_unit(pictures, device: torch.device | None = None) -> torch.Tensor:
    """uint8 [n, H, W, 3] -> float32 [n, 3, H, W] in [-1, 1] (mean = std = 0.5), channels last, on `device`."""
    if not torch.is_tensor(pictures):
        pictures = torch.from_numpy(np.array(pictures))  # a copy: memory-mapped pictures are read-only
    tensor = pictures.to(device or pick_device()).permute(0, 3, 1, 2)
    return tensor.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def to_uint8(tensor: torch.Tensor):
    """float [n, 3, H, W] in [-1, 1] -> uint8 [n, H, W, 3] on the CPU, rounded and clipped."""
    pixels = tensor.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def peak_megabytes() -> float | None:
    """The largest resident size of this process so far."""
    if os.name != "posix":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on a Mac, kilobytes elsewhere
