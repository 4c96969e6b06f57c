"""`train-generator lama` and `pluralistic`: train inpainting on the real faces of a dataset's train split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import seed_torch, to_unit
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.locks import one_writer
from wsdl.core.ranges import CheckedSettings
from wsdl.core.ranks import process_count, whole_batch
from wsdl.core.run import Run
from wsdl.data.dataset import Dataset
from wsdl.generators.inpainting.discriminator import (
    ADVERSARIAL_SWITCH,
    ADVERSARIAL_WEIGHTS,
    Discriminator,
    adversarial_loss,
    adversarial_weight,
    discriminator_loss,
    hole_patches,
    masked_mean,
)
from wsdl.generators.inpainting.encoder_decoder import STEP
from wsdl.generators.inpainting.hole_masks import hole_masks
from wsdl.generators.inpainting.inpainter import NETWORKS, Inpainter
from wsdl.generators.inpainting.metrics import inpainting_scores
from wsdl.generators.inpainting.pluralistic import (
    CODE_SIZE,
    COLOUR_WEIGHT,
    KL_WEIGHT,
    PRIOR_ERROR_WEIGHT,
    colour_error,
    kl_loss,
    posterior_count,
)
from wsdl.generators.training import (
    SHEET_FACES,
    LabelledFaces,
    finish_run,
    fit_generator,
    read_labelled_faces,
    training_config,
    write_sheet,
)
from wsdl.training.loop import Adversary

_VALIDATED = 64  # validation faces at most in the scores of each check
_SHEET_RESULTS = {"lama": 1, "pluralistic": 3}  # rows of results on a sheet


@dataclass(frozen=True)
class InpainterTraining(CheckedSettings):
    """Training of the small LaMa or Pluralistic network against a patch discriminator."""

    images: int = 40_000  # images to train on
    width: int = 192  # channels at an eighth of the size: a multiple of 64
    blocks: int | None = None  # of the network at that size; None: 4 for LaMa, 3 for Pluralistic
    batch: int = 16
    rate: float = 4e-4  # learning rate of Adam
    discriminator_rate: float = 4e-4  # learning rate of the discriminator's Adam
    ema_decay: float = 0.998
    check_every: int = 4_000  # images between checkpoints and sample sheets


@one_writer("out")
def train_inpainter(
    name: str,  # lama or pluralistic
    data: Path,
    out: Path,
    settings: InpainterTraining = InpainterTraining(),
    *,
    seed: int = 0,
) -> Inpainter:
    """Train until `settings.images` images were seen, or resume. Writes a run folder with sample sheets.

    Only real faces of the train split are used, half of them mirrored, each time with another mask.
    """
    dataset = Dataset(data)
    training, validation = (read_labelled_faces(dataset, split) for split in ("train", "valid"))
    if dataset.size % STEP:
        raise WsdlError(f"size: is {dataset.size} px, but {name} needs a multiple of {STEP}.")
    if name == "pluralistic" and settings.batch % (2 * process_count()) and process_count() > 1:
        raise WsdlError(
            f"batch: is {settings.batch}, but {process_count()} processes of pluralistic need a multiple of "
            f"{2 * process_count()}; start torchrun with a smaller --nproc-per-node."
        )
    seed_torch(seed)
    blocks = {"blocks": settings.blocks} if settings.blocks else {}
    network, discriminator = NETWORKS[name](settings.width, **blocks), Discriminator()
    run = Run(out, _inpainter_config(name, dataset, settings, seed, len(network.blocks)))
    losses = AdversarialLosses(name, training, discriminator, settings.batch, seed)

    def check(net, images: int) -> dict:
        inpainter = Inpainter(name, net, dataset.size)
        _write_inpainting_sheet(run, images, inpainter, validation, seed)
        faces, labels = validation.images[:_VALIDATED], validation.labels[:_VALIDATED]
        return inpainting_scores(inpainter, faces, hole_masks(labels, seed, "judged"), settings.batch)

    adversary = Adversary(discriminator, losses.discriminator_loss, settings.discriminator_rate)
    fit_generator(run, network, losses.inpainter_loss, check, settings, adversary=adversary)
    finish_run(run)
    return Inpainter(name, network, dataset.size)


def _inpainter_config(name: str, dataset: Dataset, settings: InpainterTraining, seed: int, blocks: int) -> dict:
    """config.json of the run, with the keys that runs have had from the beginning."""
    config = training_config(name, dataset, settings, seed) | {"blocks": blocks}
    config["critic_rate"] = config.pop("discriminator_rate")
    config["pleasing"] = [*ADVERSARIAL_WEIGHTS, ADVERSARIAL_SWITCH]
    if name == "pluralistic":
        config |= {"kl_weight": KL_WEIGHT, "guessed": PRIOR_ERROR_WEIGHT, "colour": COLOUR_WEIGHT}
    return config


class AdversarialLosses:
    """The losses of the inpainting network and of the discriminator, which takes its turn on the same batch.

    Of several processes each inpaints its share of the batch; the losses are of the whole batch in all of them.
    """

    def __init__(self, name: str, faces: LabelledFaces, discriminator: Discriminator, batch: int, seed: int):
        self.name, self.faces, self.discriminator, self.batch, self.seed = name, faces, discriminator, batch, seed
        self.last_batch = None  # originals, inpainted images, patches that overlap the masks

    def inpainter_loss(self, network, step: int, share: slice) -> torch.Tensor:
        """Mean error in the masks + weighted adversarial loss, for Pluralistic + weighted KL and colour error."""
        images, masks = inpainting_batch(self.faces, self.batch, self.seed, step)
        truth = to_unit(images)
        holes = torch.from_numpy(masks).to(truth.device)[:, None].float()
        known = truth * (1 - holes)
        if self.name == "pluralistic":
            source = torch.Generator().manual_seed(seed_for(self.seed, "code", step))
            noise = torch.randn(self.batch, CODE_SIZE, generator=source).to(truth.device)
            output, *codes = network(known[share], holes[share], noise[share], truth[share])
            posterior, prior = ([whole_batch(part, self.batch) for part in normal] for normal in codes)
            half = posterior_count(len(truth))  # only these can be expected to match the original
            extra = KL_WEIGHT * kl_loss(posterior, prior)
        else:
            output, half, extra = network(known[share], holes[share]), len(truth), 0.0
        inpainted = known + whole_batch(output.float(), self.batch) * holes
        self.last_batch = truth, inpainted.detach(), hole_patches(holes)
        difference = inpainted - truth
        error = masked_mean(difference[:half].abs(), holes[:half])
        if half < len(truth):
            prior_error = masked_mean(difference[half:].abs(), holes[half:])
            colours = colour_error(difference[half:], holes[half:])
            error = error + PRIOR_ERROR_WEIGHT * prior_error + COLOUR_WEIGHT * colours
        adversarial = adversarial_loss(self.discriminator(inpainted), self.last_batch[2])
        return error + adversarial_weight(step * self.batch) * adversarial + extra

    def discriminator_loss(self, discriminator, step: int, share: slice) -> torch.Tensor:
        """Hinge loss of the discriminator on the last batch of `inpainter_loss`."""
        truth, inpainted, patches = self.last_batch
        real, fake = discriminator(torch.cat([truth, inpainted])).chunk(2)
        return discriminator_loss(real, fake, patches)


def inpainting_batch(faces: LabelledFaces, batch: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Batch `step`: uint8 images [n, S, S, 3] and masks [n, S, S], a function of seed and step alone."""
    rng = np.random.default_rng(seed_for(seed, "inpainting batch", step))
    chosen = rng.integers(len(faces.images), size=batch)
    images, masks = faces.images[chosen], hole_masks(faces.labels[chosen], seed, "hole", step)
    mirror = rng.random(batch) < 0.5
    images[mirror], masks[mirror] = images[mirror, :, ::-1], masks[mirror, :, ::-1]
    return images, masks


def _write_inpainting_sheet(run: Run, images: int, inpainter: Inpainter, validation: LabelledFaces, seed: int) -> None:
    """Rows: faces with grey masks, inpainted (Pluralistic: three times), and originals."""
    faces = validation.images[:SHEET_FACES]
    masks = hole_masks(validation.labels[:SHEET_FACES], seed, "sheet")
    rows = [np.where(masks[..., None] == 1, 127, faces).astype(np.uint8)]
    for result in range(_SHEET_RESULTS[inpainter.name]):
        seeds = [seed_for(seed, "sheet", result, i) for i in range(len(faces))]
        rows.append(inpainter.inpaint(faces, masks, seeds))
    write_sheet(run, images, *rows, faces, columns=len(faces))
