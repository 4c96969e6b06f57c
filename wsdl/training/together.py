"""Several processes train one network (torchrun): each computes a share of every batch, and all have the same weights.

The result is that of one process up to rounding: batch normalisation and the losses see the whole batch.
"""

import warnings
from collections.abc import Callable
from datetime import timedelta
from functools import wraps

import torch
import torch.distributed as dist
import torch.nn as nn
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs

from wsdl.core.device import pick_device, pick_precision
from wsdl.core.io import WsdlError
from wsdl.core.ranks import process_count
from wsdl.core.run import Run

_PATIENCE = timedelta(hours=6)  # while the first process checks the model; one that ends is noticed at once


def make_accelerator(batch: int) -> Accelerator:
    """The accelerator of this process. WsdlError where the processes cannot have equal shares of a batch."""
    if batch % process_count():
        raise WsdlError(
            f"batch: is {batch}, which {process_count()} processes cannot share equally; start torchrun with a "
            f"--nproc-per-node that divides it, or change the batch size in the profile."
        )
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")  # its successor is too new
    return Accelerator(
        cpu=pick_device().type == "cpu",
        mixed_precision="bf16" if pick_precision() == "bf16" else "no",
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=_PATIENCE),
            DistributedDataParallelKwargs(broadcast_buffers=False),  # they are the same in all processes
        ],
    )


def end_together(work: Callable) -> Callable:
    """Decorate a function of a Run: where it lost the connection to another process, which has ended: WsdlError."""

    @wraps(work)
    def ended(run: Run, *args, **kwargs):
        try:
            return work(run, *args, **kwargs)
        except RuntimeError as error:
            if process_count() == 1 or not _is_of_communication(error):
                raise
            raise WsdlError(
                f"{run.folder}: one of its {process_count()} processes has ended; run the same command again to resume "
                f"from the last checkpoint."
            ) from None

    return ended


def _is_of_communication(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "closed by peer" in str(error)


def share_batch_statistics(model: nn.Module) -> nn.Module:
    """`model`, whose batch normalisation uses the batch of all processes while it trains."""
    if process_count() == 1:
        return model
    if pick_device().type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for layer in model.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SharedBatchNorm
    return model


class _MeanOfProcesses(torch.autograd.Function):
    """The mean of a tensor over all processes; so is its gradient, as every process has a share in the others' loss."""

    @staticmethod
    def forward(_, values: torch.Tensor) -> torch.Tensor:
        return _mean_of_processes(values)

    @staticmethod
    def backward(_, gradient: torch.Tensor) -> torch.Tensor:
        return _mean_of_processes(gradient)


def _mean_of_processes(values: torch.Tensor) -> torch.Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total / process_count()


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes, for the CPU, which `nn.SyncBatchNorm` refuses."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [n, C, H, W], with the same n in all processes."""
        if not self.training:
            return super().forward(x)
        values, over = x.float(), (0, 2, 3)
        mean = _MeanOfProcesses.apply(values.mean(over))
        centred = values - mean[:, None, None]
        variance = _MeanOfProcesses.apply(centred.square().mean(over))
        self._update(mean.detach(), variance.detach(), process_count() * x.numel() // x.shape[1])
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _update(self, mean: torch.Tensor, variance: torch.Tensor, count: int) -> None:
        """Update the running averages; that of the variance is unbiased, as in PyTorch."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
