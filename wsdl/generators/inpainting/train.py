"""`train-generator lama` and `pluralistic`: learn inpainting on the real faces of a dataset's train split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import to_unit
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.run import Run
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces
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
from wsdl.training.loop import Adversary, fit

SHOWN = 8  # faces on a sheet, of the validation split: the network has never seen them
JUDGED = 64  # faces in the numbers of each check
FILLINGS = {"lama": 1, "pluralistic": 3}  # on the sheets


@dataclass(frozen=True)
class Faces:
    """Real faces of one split with their label maps, in memory: 64 kB a face at 128 px."""

    images: np.ndarray  # uint8 [n, S, S, 3]
    labels: np.ndarray  # uint8 [n, S, S], CelebAMask-HQ numbering


def train_inpainter(
    name: str,  # lama or pluralistic
    data: Path,
    out: Path,
    *,
    images: int = 40_000,  # pictures to see, in all
    width: int = 192,  # channels at an eighth of the size: a multiple of 64
    blocks: int | None = None,  # of the network, there; by default 4 for LaMa and 3 for Pluralistic
    batch: int = 16,
    rate: float = 4e-4,
    critic_rate: float = 4e-4,
    ema_decay: float = 0.998,
    check_every: int = 4000,  # pictures between checkpoints and sample sheets
    seed: int = 0,
) -> Inpainter:
    """Train, or go on training, until `images` pictures were seen. Writes a run folder with sample sheets.

    Only real faces of the train split are seen, mirrored half of the time, each time with another hole.
    """
    dataset = Dataset(data)
    training, validation = (read_faces(dataset, split) for split in ("train", "valid"))
    if dataset.size % STEP:
        raise WsdlError(f"size: is {dataset.size} px, but {name} needs a multiple of {STEP}.")
    torch.manual_seed(seed)
    network, critic = NETWORKS[name](width, **({"blocks": blocks} if blocks else {})), Discriminator()
    config = {"generator": name, "faces": hash_faces(dataset.select(kind="real", split="train")), "size": dataset.size,
              "width": width, "blocks": len(network.blocks), "images": images, "batch": batch, "rate": rate,
              "critic_rate": critic_rate, "pleasing": [*ADVERSARIAL_WEIGHTS, ADVERSARIAL_SWITCH], "ema_decay":
              ema_decay, "seed": seed}  # fmt: skip
    if name == "pluralistic":
        config |= {"kl_weight": KL_WEIGHT, "guessed": PRIOR_ERROR_WEIGHT, "colour": COLOUR_WEIGHT}
    run = Run(out, config)
    game = Game(name, training, critic, batch, seed)

    def check(net, seen: int) -> dict:
        painter = Inpainter(name, net, dataset.size)
        write_image(run.path(f"samples/{seen:08d}.png"), sheet(painter, validation, seed))
        chosen = slice(min(JUDGED, len(validation.images)))
        shown, where = validation.images[chosen], hole_masks(validation.labels[chosen], seed, "judged")
        return inpainting_scores(painter, shown, where, batch)

    fit(
        run,
        network,
        game.painter_loss,
        check,
        images=images,
        batch=batch,
        rate=rate,
        check_every=check_every,
        clip=1.0,
        ema_decay=ema_decay,
        adversary=Adversary(critic, game.critic_loss, critic_rate),
        what=f"training {name}",
    )
    run.report("done")
    print_stderr(f"{out}: trained on {images} pictures; samples in {run.path('samples')}.")
    return Inpainter(name, network, dataset.size)


class Game:
    """The two sides of the training: what the painter loses, and what the critic loses on the same batch."""

    def __init__(self, name: str, faces: Faces, critic: Discriminator, batch: int, seed: int):
        self.name, self.faces, self.critic, self.batch, self.seed = name, faces, critic, batch, seed
        self.shown = None  # the last batch of this process: truth, what was painted, cells with some of the hole

    def painter_loss(self, network, step: int, share: slice) -> torch.Tensor:
        """Mean error in the hole + the critic's opinion, weighted; for Pluralistic + the KL."""
        pictures, holed = training_batch(self.faces, self.batch, self.seed, step)
        truth = to_unit(pictures[share])
        hole = torch.from_numpy(holed[share]).to(truth.device)[:, None].float()
        known = truth * (1 - hole)
        if self.name == "pluralistic":
            source = torch.Generator().manual_seed(seed_for(self.seed, "code", step))
            noise = torch.randn(self.batch, CODE_SIZE, generator=source)[share].to(truth.device)
            painted, posterior, prior = network(known, hole, noise, truth)
            told = posterior_count(len(truth))  # of the others one cannot expect the truth, but something like it
            extra = KL_WEIGHT * kl_loss(posterior, prior)
        else:
            painted, told, extra = network(known, hole), len(truth), 0.0
        whole = known + painted.float() * hole
        self.shown = truth, whole.detach(), hole_patches(hole)
        apart = whole - truth
        error = masked_mean(apart[:told].abs(), hole[:told])
        if told < len(truth):
            guessed, where = apart[told:], hole[told:]
            error = (
                error
                + PRIOR_ERROR_WEIGHT * masked_mean(guessed.abs(), where)
                + COLOUR_WEIGHT * colour_error(guessed, where)
            )
        pleasing = adversarial_weight(step * self.batch) * adversarial_loss(self.critic(whole), self.shown[2])
        return error + pleasing + extra

    def critic_loss(self, critic, step: int, share: slice) -> torch.Tensor:
        truth, whole, painted = self.shown
        real, fake = critic(torch.cat([truth, whole])).chunk(2)
        return discriminator_loss(real, fake, painted)


def read_faces(dataset: Dataset, split: str) -> Faces:
    """The real faces of `split`; WsdlError where one has no component mask, or there is none."""
    rows = dataset.select(kind="real", split=split)
    if not len(rows):
        raise WsdlError(f"{dataset.folder}: has no real face in {split}; prepare it with more pictures.")
    labels = parallel_map(dataset.labels, rows.itertuples(), f"reading masks ({split})")
    return Faces(dataset.images[rows.index], np.stack(labels))


def training_batch(faces: Faces, batch: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Batch `step`: uint8 pictures [n, S, S, 3] and holes [n, S, S], a function of seed and step alone."""
    rng = np.random.default_rng(seed_for(seed, "inpainting batch", step))
    chosen = rng.integers(len(faces.images), size=batch)
    pictures, where = faces.images[chosen], hole_masks(faces.labels[chosen], seed, "hole", step)
    mirror = rng.random(batch) < 0.5
    pictures[mirror], where[mirror] = pictures[mirror, :, ::-1], where[mirror, :, ::-1]
    return pictures, where


def sheet(painter: Inpainter, faces: Faces, seed: int) -> np.ndarray:
    """Rows: the faces with their holes, painted (Pluralistic: three times), and as they were."""
    pictures = faces.images[:SHOWN]
    where = hole_masks(faces.labels[:SHOWN], seed, "sheet")
    rows = [np.where(where[..., None] == 1, 127, pictures).astype(np.uint8)]
    for filling in range(FILLINGS[painter.name]):
        seeds = [seed_for(seed, "sheet", filling, i) for i in range(len(pictures))]
        rows.append(painter.inpaint(pictures, where, seeds))
    return np.asarray(contact_sheet(np.concatenate([*rows, pictures]), columns=len(pictures)))
