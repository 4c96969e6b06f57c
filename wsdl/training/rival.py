"""A second network that trains against the first: a critic of what a painter paints, say."""

from collections.abc import Callable

import torch
from accelerate import Accelerator


class Rival:
    """An opponent for `wsdl.training.loop.fit(rival=...)`, with an Adam of its own.

    After each step of the model it takes one of its own: `loss(rival, step, share)`, a scalar, sees what the model
    has just painted. While the model learns, the rival's weights stand still. It is part of the checkpoint, but not
    of model.safetensors: when the training is over nobody needs it.
    """

    def __init__(self, model: torch.nn.Module, loss: Callable, rate: float):
        self.model, self.loss, self.rate = model, loss, rate
        self.total, self.turns = 0.0, 0

    def begin(self, accelerator: Accelerator) -> None:
        self.model.to(accelerator.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.rate)

    def prepare(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.prepared = accelerator.prepare(self.model, self.optimizer)
        self.model.requires_grad_(False)

    def step(self, step: int, share: slice) -> None:
        model, optimizer = self.prepared
        self.model.requires_grad_(True)
        with self.accelerator.autocast():
            value = self.loss(model, step, share)
        self.accelerator.backward(value)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.model.requires_grad_(False)
        self.total, self.turns = self.total + value.detach(), self.turns + 1

    def numbers(self) -> dict:
        """The mean of its loss since the last call, for stats.jsonl."""
        mean = round(float(self.total) / self.turns, 6)
        self.total, self.turns = 0.0, 0
        return {"rival": mean}

    def state_dict(self) -> dict:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
