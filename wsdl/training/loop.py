"""The training loop that generators and detectors share: counted in images, resumable, on any device.

Every step draws from its own seed, so a resumed run sees what an undisturbed one would have seen.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from wsdl.core.device import pick_device, pick_precision, retain_freed_memory
from wsdl.core.io import atomic
from wsdl.core.progress import progress_bar
from wsdl.core.run import MODEL_FILE, Run, record_outcome
from wsdl.training.rival import Rival

STATE = "trainer.pt"


@record_outcome
def fit(
    run: Run,
    model: torch.nn.Module,
    loss: Callable,  # loss(model, step, share) -> scalar; share: the slice of the batch that this process takes
    check: Callable,  # check(model, images) -> numbers for stats.jsonl; "validation" among them picks the best
    *,
    images: int,  # train until so many pictures were seen
    batch: int,  # pictures a step, over all processes
    rate: float,  # Adam's learning rate, constant
    check_every: int,  # pictures between checks; each check also saves a checkpoint
    clip: float | None = None,  # largest norm of the gradient
    ema_decay: float | None = None,  # keep and check an exponential moving average of the weights
    rival: Rival | None = None,  # an opponent that trains in turn with the model
    what: str = "training",
) -> torch.nn.Module:
    """Train `model` (paper, section 4: Adam, default betas, no weight decay, constant rate).

    Returns the model as it is in model.safetensors: the best checkpoint by "validation" (lower is better), or the
    last one where check() gives none.
    """
    accelerator = Accelerator(
        cpu=pick_device().type == "cpu", mixed_precision="bf16" if pick_precision() == "bf16" else "no"
    )
    retain_freed_memory()
    model = model.to(accelerator.device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    ema = moving_average(model, ema_decay) if ema_decay else None
    if rival:
        rival.begin(accelerator)
    step, best = restore(run, model, optimizer, ema, rival)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    if rival:
        rival.prepare(accelerator)
    share = slice(accelerator.process_index, None, accelerator.num_processes)

    progress = progress_bar(images, what, initial=step * batch)
    total, since = 0.0, 0
    while step * batch < images:
        wrapped.train()
        with accelerator.autocast():
            value = loss(wrapped, step, share)
        accelerator.backward(value)
        if clip:
            accelerator.clip_grad_norm_(wrapped.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if ema:
            ema.step(model.parameters())
        if rival:
            rival.step(step, share)
        step, total, since = step + 1, total + value.detach(), since + 1
        progress.update(batch)

        due = step * batch // check_every > (step - 1) * batch // check_every
        if (due or step * batch >= images) and accelerator.is_main_process:
            numbers = {"images": step * batch, "loss": round(float(total) / since, 6)}
            total, since = 0.0, 0
            numbers |= rival.numbers() if rival else {}
            with averaged(model, ema):
                model.eval()
                numbers |= check(model, step * batch)
                best = keep_best(run, model, numbers, best)
            run.log(**numbers)
            run.save(STATE, state_of(model, optimizer, ema, step, best, rival))
            run.report("running")
            progress.set_postfix({k: v for k, v in numbers.items() if k != "images"})
        accelerator.wait_for_everyone()
    progress.close()
    model.load_state_dict(load_file(run.path(MODEL_FILE)))
    return model


def moving_average(model, decay: float):
    from diffusers.training_utils import EMAModel

    return EMAModel(model.parameters(), decay=decay)


class averaged:  # noqa: N801 (reads as a verb in a with statement)
    """Within the block the model holds the averaged weights, if there are any."""

    def __init__(self, model, ema):
        self.model, self.ema = model, ema

    def __enter__(self):
        if self.ema:
            self.ema.store(self.model.parameters())
            self.ema.copy_to(self.model.parameters())

    def __exit__(self, *_):
        if self.ema:
            self.ema.restore(self.model.parameters())


def keep_best(run: Run, model, numbers: dict, best: float | None) -> float | None:
    """Write model.safetensors if it is the best so far, or if nothing judges it."""
    value = numbers.get("validation")
    if value is not None and best is not None and value >= best:
        return best
    save_weights(model, run.path(MODEL_FILE))
    return value


def save_weights(model, path: Path) -> None:
    with atomic(path) as temporary:
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)


def state_of(model, optimizer, ema, step: int, best: float | None, rival: Rival | None) -> dict:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "best": best}
    others = {"ema": ema, "rival": rival}
    return state | {name: other.state_dict() for name, other in others.items() if other}


def restore(run: Run, model, optimizer, ema, rival: Rival | None) -> tuple[int, float | None]:
    """Load the last checkpoint of `run`, if there is one: the step it was made at and the best validation so far."""
    state = run.load(STATE)
    if state is None:
        run.forget_after(0)
        return 0, None
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if ema:
        ema.load_state_dict(state["ema"])
        ema.to(next(model.parameters()).device)
    if rival:
        rival.load_state_dict(state["rival"])
    run.forget_after(state["step"] * run.config["batch"])
    return state["step"], state["best"]
