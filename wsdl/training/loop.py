"""The training loop of all networks: counted in images, resumable after a kill, on any device.

Every step draws its batch from its own seed, so a resumed run equals an uninterrupted one.
"""

import math
from collections.abc import Callable
from contextlib import contextmanager

import torch
from accelerate import Accelerator

from wsdl.core.device import retain_freed_memory
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar
from wsdl.core.run import MODEL_FILE, TRAINER_FILE, Run, record_outcome
from wsdl.core.weights import load_model, restore_state, save_model, save_state
from wsdl.training.together import end_together, make_accelerator, share_batch_statistics


class Adversary:
    """A second network for `fit(adversary=...)`, with its own Adam, that trains in turn with the model (GAN).

    After each step of the model it takes one step on `loss(network, step, share)`, a scalar that may use the last
    output of the model. Its weights are frozen while the model trains. It is part of the checkpoint, but not of
    model.safetensors.
    """

    def __init__(self, network: torch.nn.Module, loss: Callable, rate: float):
        self.network, self.loss, self.rate = network, loss, rate
        self.total, self.steps = 0.0, 0

    def begin(self, accelerator: Accelerator) -> None:
        self.network.to(accelerator.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.rate)

    def prepare(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.prepared = accelerator.prepare(self.network, self.optimizer)
        self.network.requires_grad_(False)

    def step(self, step: int, share: slice) -> None:
        network, optimizer = self.prepared
        self.network.requires_grad_(True)
        with self.accelerator.autocast():
            value = self.loss(network, step, share)
        self.accelerator.backward(value)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.network.requires_grad_(False)
        self.total, self.steps = self.total + value.detach(), self.steps + 1

    def mean_loss(self) -> float:
        """The mean loss since the last call."""
        mean = round(float(self.total) / self.steps, 6)
        self.total, self.steps = 0.0, 0
        return mean

    def state_dict(self) -> dict:
        return {"model": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


@record_outcome
@end_together
def fit(
    run: Run,
    model: torch.nn.Module,
    loss: Callable,  # loss(model, step, share) -> scalar; share: slice of the batch for this process
    check: Callable,  # check(model, images) -> numbers for stats.jsonl; "validation" among them selects the best model
    *,
    images: int,  # number of training images, repetitions included
    batch: int,  # images per step, over all processes
    rate: float,  # learning rate of Adam
    rate_decay: float = 0.0,  # fraction of the images, the last ones, over which the learning rate falls linearly to 0
    check_every: int,  # images between checks; each check also saves a checkpoint
    clip: float | None = None,  # maximum norm of the gradient
    ema_decay: float | None = None,  # of an exponential moving average of the weights, which is checked and saved
    adversary: Adversary | None = None,
    observe: Callable | None = None,  # observe(model, images), called at each checkpoint, also at one that is resumed
    what: str = "training",  # name of the progress bar
) -> torch.nn.Module:
    """Train `model` (section 4 of the paper: Adam with default betas, no weight decay, constant learning
    rate unless `rate_decay` is given).

    Returns the model of model.safetensors: the checkpoint of the lowest "validation", or the last checkpoint where
    check() returns none. WsdlError where "validation" was never finite.
    """
    accelerator = make_accelerator(batch)
    retain_freed_memory()
    model = share_batch_statistics(model).to(accelerator.device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    ema = _make_ema(model, ema_decay) if ema_decay else None
    if adversary:
        adversary.begin(accelerator)
    step, best = _restore(run, model, optimizer, ema, adversary)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    if adversary:
        adversary.prepare(accelerator)
    share = slice(accelerator.process_index, None, accelerator.num_processes)
    if observe and step:
        with _ema_weights(model, ema):
            observe(model.eval(), step * batch)

    progress = progress_bar(images, what, initial=step * batch)
    total, steps = 0.0, 0  # since the last check
    while step * batch < images:
        wrapped.train()
        for group in optimizer.param_groups:
            group["lr"] = rate * rate_factor(step * batch / images, rate_decay)
        with accelerator.autocast():
            value = loss(wrapped, step, share)
        accelerator.backward(value)
        if clip:
            accelerator.clip_grad_norm_(wrapped.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if ema:
            ema.step(model.parameters())
        if adversary:
            adversary.step(step, share)
        step, total, steps = step + 1, total + value.detach(), steps + 1
        progress.update(batch)

        due = step * batch // check_every > (step - 1) * batch // check_every
        if not (due or step * batch >= images):
            continue
        mean_loss = float(accelerator.reduce(total, "mean")) / steps  # over the shares of all processes
        total, steps = 0.0, 0
        if accelerator.is_main_process:
            numbers = {"images": step * batch, "loss": round(mean_loss, 6)}
            if adversary:
                numbers["rival"] = adversary.mean_loss()  # the name in files of all versions
            with _ema_weights(model, ema):
                model.eval()
                numbers |= check(model, step * batch)
                best = _save_if_best(run, model, numbers, best)
            run.log(**numbers)
            state = _trainer_state(model, optimizer, ema, adversary) | {"step": step, "best": best}
            save_state(run.path(TRAINER_FILE), state)
            run.report("running")
            progress.set_postfix({k: v for k, v in numbers.items() if k != "images"})
        accelerator.wait_for_everyone()
        if observe and due:
            with _ema_weights(model, ema):
                observe(model.eval(), step * batch)
    progress.close()
    if not run.path(MODEL_FILE).exists():
        raise WsdlError(f"{run.folder}: the validation loss was never finite; train with a lower learning rate.")
    return load_model(model, run.folder)


def rate_factor(done: float, decay: float) -> float:
    """Factor of the learning rate after the fraction `done` of a training; decay: see `rate_decay` of `fit`."""
    return 1.0 if done <= 1 - decay else (1 - done) / decay


def _make_ema(model: torch.nn.Module, decay: float):
    from diffusers.training_utils import EMAModel

    return EMAModel(model.parameters(), decay=decay)


@contextmanager
def _ema_weights(model: torch.nn.Module, ema):
    """Within the block `model` holds the averaged weights, if there is an average."""
    if ema is None:
        yield
        return
    ema.store(model.parameters())
    ema.copy_to(model.parameters())
    try:
        yield
    finally:
        ema.restore(model.parameters())


def _save_if_best(run: Run, model, numbers: dict, best: float | None) -> float | None:
    """Write model.safetensors unless "validation" is no better than `best`, or it or the loss is not finite.

    Returns the new best.
    """
    value = numbers.get("validation")
    if not math.isfinite(numbers["loss"]):
        return best
    if value is not None and (not math.isfinite(value) or (best is not None and value >= best)):
        return best
    save_model(model, run.folder)
    return value


def _trainer_state(model, optimizer, ema, adversary: Adversary | None) -> dict:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    optional = {"ema": ema, "rival": adversary}
    return state | {name: part.state_dict() for name, part in optional.items() if part}


def _restore(run: Run, model, optimizer, ema, adversary: Adversary | None) -> tuple[int, float | None]:
    """Load the last checkpoint of `run`, if any: its step and the best validation value so far."""

    def restore(state: dict) -> tuple[int, float | None]:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        if ema:
            ema.load_state_dict(state["ema"])
            ema.to(next(model.parameters()).device)
        if adversary:
            adversary.load_state_dict(state["rival"])
        return int(state["step"]), state["best"]

    step, best = restore_state(run.path(TRAINER_FILE), restore) or (0, None)
    run.forget_after(step * run.config["batch"])
    return step, best
