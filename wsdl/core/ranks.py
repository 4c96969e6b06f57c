"""The processes of one training under torchrun: the first writes and prints, all of them compute.

Without torchrun there is one process, the first, and nothing here imports PyTorch or waits.
"""

import os
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

_FOREVER = timedelta(days=30)  # the first may decode a large dataset; where it ends, torchrun ends the others
_turns = count()  # all processes take their turns in the same order


def process_count() -> int:
    """The number of processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def process_number() -> int:
    """The number of this process among them (its rank), from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this is the process that writes files and prints."""
    return process_number() == 0


@contextmanager
def first_goes_first():
    """The first process runs the block, then the others do: they find what it wrote."""
    if process_count() == 1:
        yield
        return
    store, turn = _shared_store(), f"turn {next(_turns)}"
    if not is_first():
        store.wait([turn], _FOREVER)
    yield
    if is_first():
        store.set(turn, "over")


def reports_error() -> bool:
    """Whether this process, which has failed, is the first to do so: it says why, the others end without a word."""
    if process_count() == 1:
        return True
    try:
        return _shared_store().add("failures", 1) == 1
    except RuntimeError:  # torchrun itself has ended
        return is_first()


def _shared_store():
    """The key-value store that torchrun keeps for its processes, with names of this start of them."""
    from torch.distributed import PrefixStore, TCPStore

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, timeout=timedelta(minutes=1))
    return PrefixStore(f"wsdl {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def whole_batch(share, size: int):
    """The outputs of all processes as those of the batch of `size` images, in its order; `share`: of this process.

    share is a tensor [n, ...]: image number i of the batch is number i // N of process i % N. A loss of the whole batch
    then has the gradient that it has in one process, once the processes have averaged theirs. A tensor that has `size`
    rows already is returned as it is.
    """
    if len(share) == size:
        return share
    import torch
    import torch.distributed as dist

    parts = [torch.empty_like(share) for _ in range(process_count())]
    dist.all_gather(parts, share.detach().contiguous())
    own = share.view_as(share)
    if own.requires_grad:
        own.register_hook(lambda gradient: gradient * process_count())
    parts[process_number()] = own
    return torch.stack(parts, dim=1).flatten(0, 1)
