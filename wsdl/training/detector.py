"""Training of a detector: labels or masks, and in setups A and B optionally pasted images."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from wsdl.config import Training
from wsdl.core.device import autocast, seed_torch
from wsdl.core.locks import one_writer
from wsdl.core.progress import print_stderr
from wsdl.core.ranks import first_goes_first
from wsdl.core.run import Run
from wsdl.data.dataset import Dataset
from wsdl.data.paper_sets import choose_generators
from wsdl.detectors import build_detector, network_options
from wsdl.detectors.base import Batch
from wsdl.detectors.initialization import find_initial_weights, init_xavier, load_initial_weights
from wsdl.training.examples import Examples, setup_examples, shuffled_batch
from wsdl.training.loop import fit
from wsdl.training.pasting import BatchSource


@one_writer("out")
def train_detector(
    method: str,
    setup: str,
    data: Path,
    out: Path,
    seed: int,
    settings: Training,
    generators: tuple[str, ...] = (),
    start: str = "",
) -> None:
    """Train one detector into the run folder `out`, or resume it; the best checkpoint is kept (paper, section 4).

    generators: whose partial fakes setups B and C use, and whose full fakes setup A uses where some are named; (): all,
    or in the Dolos download those of the paper.
    start: where its weights start from, as for `find_initial_weights`; "": `settings.start`.
    """
    dataset = Dataset(data, choose_generators(data, generators, setup))
    with first_goes_first():  # it decodes the images
        training, validation = (setup_examples(dataset, setup, split) for split in ("train", "valid"))
    images, batch, rate = settings.amounts(setup)
    seed_torch(seed)
    model = build_detector(method, setup, **network_options(asdict(settings)))
    weights, started_from = find_initial_weights(start or settings.start, model.has_masks, model.as_published)
    if weights:
        load_initial_weights(model, weights)
    elif hasattr(model, "load_backbone"):
        print_stderr(f"{method}: its backbone has random weights; give a file of published ones by --start FILE.")
    if started_from == "xavier" and not model.has_masks:
        init_xavier(model)
    config = {
        "method": method,
        "setup": setup,
        "source": dataset.info["name"],
        "size": dataset.size,
        "generator": ", ".join(sorted(set(dataset.table.generator[training.fake]))),
        "data": dataset.info["manifest_sha256"],
        "images": images,
        "batch": batch,
        "seed": seed,
        "start": started_from,
        "settings": asdict(settings),
    }
    run = Run(out, config, growing=())

    source = BatchSource(run, training, validation, settings)

    def draw(step: int) -> Batch:
        if not model.as_published:
            return source.batch(step)
        # The paper flips images where it resizes them by LANCZOS: Patches and Grad-CAM in setups A and B.
        return shuffled_batch(training, batch, seed, step, model.lanczos, settings.augment)

    def loss(network, step: int, share: slice) -> torch.Tensor:
        drawn = draw(step)
        return network(replace(drawn, images=drawn.images[share]))

    def check(network, _: int) -> dict[str, float]:
        measured = validation_loss(network, validation, batch)
        # A loss of labels says nothing about the boundaries that pasted images teach: then the last checkpoint is kept.
        return {"validation" if source.regions is None else "label_validation": measured}

    fit(
        run,
        model,
        loss,
        check,
        images=images,
        batch=batch,
        rate=rate,
        rate_decay=settings.rate_decay,
        check_every=settings.check_interval(setup),
        ema_decay=settings.ema_decay or None,
        observe=source.observe,
        what=f"training {method} {setup}",
    )
    run.report("done")


@torch.no_grad()
def validation_loss(model: torch.nn.Module, data: Examples, batch: int) -> float:
    """The training loss on the validation split, the mean of real and fake images; from labels alone in A and B."""
    means = []
    for indices in filter(len, (data.real, data.fake)):
        total = 0.0
        for i in range(0, len(indices), batch):
            part = data.batch(indices[i : i + batch])
            with autocast():
                total += float(model.loss(part)) * len(part.images)
        means.append(total / len(indices))
    return round(float(np.mean(means)), 6)
