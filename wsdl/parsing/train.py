"""`train-parser`: train the parsing network on faces with component masks, from one dataset folder or several."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.run import Run
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.images import list_image_files, open_image, resize_image, write_image
from wsdl.data.manifest import hash_faces
from wsdl.data.masks import CLASSES, COMPONENTS
from wsdl.parsing.augment import augment
from wsdl.parsing.network import WIDTHS, FaceUNet
from wsdl.parsing.score import component_counts, f1
from wsdl.plots import label_map
from wsdl.training.loop import fit

SHOWN = 6  # validation faces on the sheet of each check
JUDGED = 512  # validation faces at most in each check


@dataclass(frozen=True)
class Faces:
    """Labelled faces of one split of several datasets."""

    images: np.ndarray  # uint8 [n, S, S, 3]
    labels: np.ndarray  # uint8 [n, S, S], CelebAMask-HQ numbering

    def batch(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        device = pick_device()
        return torch.from_numpy(self.images[chosen]).to(device), torch.from_numpy(self.labels[chosen]).to(device).long()


def train_parser(
    data: list[Path],
    out: Path,
    *,
    images: int = 200_000,  # pictures to see, in all
    batch: int = 32,
    rate: float = 1e-3,
    ema_decay: float = 0.999,
    check_every: int = 8000,  # pictures between checkpoints and sheets
    style_from: Path | None = None,  # pictures without masks whose backgrounds and colours are borrowed
    widths: tuple[int, ...] = WIDTHS,
    seed: int = 0,
) -> FaceUNet:
    """Train, or go on training, until `images` pictures were seen. Writes a run folder with sheets of predictions.

    Only real faces of the train splits are seen. The best checkpoint is chosen on augmented faces of the validation
    splits: they are nearer to photographs than renders as they are.
    """
    datasets = [Dataset(folder) for folder in data]
    size = common_size(datasets)
    donors = read_donors(style_from, size) if style_from else None
    config = {"parser": "unet", "widths": list(widths), "size": size,
              "faces": [hash_faces(dataset.select(kind="real")) for dataset in datasets],
              "style_from": hashlib.sha256(donors.cpu().numpy().tobytes()).hexdigest()[:16] if style_from else None,
              "images": images, "batch": batch, "rate": rate, "ema_decay": ema_decay, "seed": seed}  # fmt: skip
    torch.manual_seed(seed)
    model = FaceUNet(tuple(widths))
    if size % model.step:  # said before a run folder is begun
        raise WsdlError(f"size: is {size} px, but the parser needs a multiple of {model.step}.")
    run = Run(out, config)
    training, validation = (read_faces(datasets, split) for split in ("train", "valid"))
    weights = class_weights(training.labels).to(pick_device())

    def loss(net, step: int, share: slice):
        pictures, labels = training_batch(training, batch, seed, step, donors)
        return parsing_loss(net(to_unit(pictures[share])), labels[share], weights)

    def check(net, seen: int) -> dict:
        shown = validation.batch(np.arange(min(SHOWN, len(validation.images))))
        write_image(run.path(f"samples/{seen:08d}.png"), sheet(net, *shown, generator(seed, "sheet"), donors))
        return judge(net, validation, weights, batch, seed, donors)

    fit(
        run,
        model,
        loss,
        check,
        images=images,
        batch=batch,
        rate=rate,
        check_every=check_every,
        clip=1.0,
        ema_decay=ema_decay,
        what="training the parser",
    )
    run.report("done")
    print_stderr(f"{out}: trained on {images} pictures; predictions in {run.path('samples')}.")
    return model


def common_size(datasets: list[Dataset]) -> int:
    sizes = {dataset.size: dataset.folder for dataset in datasets}
    if len(sizes) > 1:
        told = ", ".join(f"{folder} has {size} px" for size, folder in sizes.items())
        raise WsdlError(f"--data: {told}; prepare all with the same --size.")
    return datasets[0].size


def read_faces(datasets: list[Dataset], split: str) -> Faces:
    """The labelled real faces of `split`. Labels are held in memory: 16 kB a face at 128 px."""
    images, labels = [], []
    for dataset in datasets:
        rows = dataset.select(kind="real", split=split)
        images.append(dataset.images[rows.index])
        labels += parallel_map(dataset.labels, rows.itertuples(), f"reading masks ({split})")
    if not labels:
        raise WsdlError(f"{datasets[0].folder}: has no real face in {split}; prepare it with more pictures.")
    return Faces(np.concatenate(images), np.stack(labels))


def read_donors(folder: Path, size: int) -> torch.Tensor:
    """The pictures in `folder` at `size`: uint8 [m, S, S, 3]."""
    paths = list_image_files(folder).values()
    try:
        pictures = parallel_map(lambda path: np.asarray(resize_image(open_image(path), size)), paths, "reading styles")
    except ValueError as error:
        raise WsdlError(f"{folder}: a picture in it {error}; leave it out.") from None
    return torch.from_numpy(np.stack(pictures)).to(pick_device())


def generator(*words) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(*words))


def training_batch(faces: Faces, batch: int, seed: int, step: int, donors: torch.Tensor | None = None):
    """Batch `step`: uint8 pictures [n, S, S, 3] and labels [n, S, S], a function of seed and step alone."""
    chosen = np.random.default_rng(seed_for(seed, "parser batch", step)).integers(len(faces.images), size=batch)
    return augment(*faces.batch(chosen), generator(seed, "parser augment", step), donors)


def class_weights(labels: np.ndarray) -> torch.Tensor:
    """A weight for each class [19], mean 1 over pixels: one over the root of its share, so that eyes count too.

    A class that never appears weighs nothing as a truth; the network still learns not to predict it.
    """
    share = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    weights = np.divide(1, np.sqrt(share), out=np.zeros(len(CLASSES)), where=share > 0).clip(max=20)
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def parsing_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross entropy + soft Dice over the classes in the batch: Dice is the F1 that we report, made smooth."""
    logits = logits.float()
    truth = F.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2)
    guess = logits.softmax(dim=1)
    over = (0, 2, 3)
    present = truth.sum(over) > 0
    dice = 2 * (guess * truth).sum(over) / (guess.sum(over) + truth.sum(over)).clamp(min=1)
    return F.cross_entropy(logits, labels, weights) + 1 - dice[present].mean()


@torch.no_grad()
def judge(net, faces: Faces, weights: torch.Tensor, batch: int, seed: int, donors) -> dict:
    """The loss on augmented validation faces (always the same ones), and the F1 of components on them as they are."""
    total, counts, judged = 0.0, 0, min(JUDGED, len(faces.images))
    for first in range(0, judged, batch):
        pictures, labels = faces.batch(np.arange(first, min(first + batch, judged)))
        with autocast():
            plain = net(to_unit(pictures))
        counts = counts + component_counts(plain.argmax(1).cpu().numpy(), labels.cpu().numpy()).sum(axis=0)
        pictures, labels = augment(pictures, labels, generator(seed, "parser judge", first), donors)
        with autocast():
            total += float(parsing_loss(net(to_unit(pictures)), labels, weights)) * len(pictures)
    values = {name: float(value) for name, value in f1(counts).items() if name in COMPONENTS and np.isfinite(value)}
    return {"validation": round(total / judged, 6), **{f"f1_{name}": round(f, 4) for name, f in values.items()}}


@torch.no_grad()
def sheet(net, pictures, labels, rng: torch.Generator, donors) -> np.ndarray:
    """Picture, truth and prediction in three rows: as they are on the left, augmented on the right."""
    strange, moved = augment(pictures, labels, rng, donors)
    pictures, labels = torch.cat([pictures, strange]), torch.cat([labels, moved])
    with autocast():
        found = net(to_unit(pictures)).argmax(1)
    rows = [pictures.cpu().numpy(), *(label_map(maps.cpu().numpy()) for maps in (labels, found))]
    return np.asarray(contact_sheet(np.concatenate(rows), columns=len(pictures)))
