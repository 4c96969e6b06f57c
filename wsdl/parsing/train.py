"""`train-parser`: train the parsing network on faces with component masks, from one or several dataset folders."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from wsdl.core.device import autocast, pick_device, seed_torch, to_unit
from wsdl.core.io import WsdlError, seed_for
from wsdl.core.locks import one_writer
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.ranges import CheckedSettings
from wsdl.core.ranks import first_goes_first, whole_batch
from wsdl.core.run import Run
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.decode import pixels_in_file
from wsdl.data.images import list_image_files, open_image, resize_image, write_image
from wsdl.data.manifest import hash_faces
from wsdl.data.masks import CLASSES, COMPONENTS
from wsdl.parsing.augment import augment
from wsdl.parsing.network import PARSER_WIDTHS, FaceUNet
from wsdl.parsing.score import count_pixels, f1_scores
from wsdl.plots import label_map
from wsdl.training.loop import fit

_SHOWN = 6  # validation faces on the sample sheet of each check
_CHECKED = 512  # validation faces at most in each check


@dataclass(frozen=True)
class ParserTraining(CheckedSettings):
    """Training of the face parser."""

    images: int = 200_000  # images to train on
    batch: int = 32
    rate: float = 1e-3  # learning rate of Adam
    ema_decay: float = 0.999
    check_every: int = 8000  # images between checkpoints and sample sheets
    widths: tuple[int, ...] = PARSER_WIDTHS


@dataclass(frozen=True)
class ParserFaces:
    """Labelled faces of one split of several datasets."""

    images: np.ndarray  # uint8 [n, S, S, 3]
    labels: np.ndarray  # uint8 [n, S, S], CelebAMask-HQ numbering

    def batch(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """The faces with the indices `chosen` on the device: images uint8, labels int64."""
        device = pick_device()
        return torch.from_numpy(self.images[chosen]).to(device), torch.from_numpy(self.labels[chosen]).to(device).long()


@one_writer("out")
def train_parser(
    data: list[Path],
    out: Path,
    settings: ParserTraining = ParserTraining(),
    *,
    style_from: Path | None = None,  # folder of images without masks that provide backgrounds and colours
    seed: int = 0,
) -> FaceUNet:
    """Train until `settings.images` images were seen, or resume. Writes a run folder with sample sheets.

    Only real faces of the train splits are used. The best checkpoint is chosen on augmented faces of the validation
    splits, which are closer to photographs than unchanged renders.
    """
    datasets = [Dataset(folder) for folder in data]
    size = _common_size(datasets)
    donors = _read_donors(style_from, size) if style_from else None
    config = {"parser": "unet", "widths": list(settings.widths), "size": size,
              "faces": [hash_faces(dataset.select(kind="real")) for dataset in datasets],
              "style_from": hashlib.sha256(donors.cpu().numpy().tobytes()).hexdigest()[:16] if style_from else None,
              "images": settings.images, "batch": settings.batch, "rate": settings.rate,
              "ema_decay": settings.ema_decay, "seed": seed}  # fmt: skip
    seed_torch(seed)
    model = FaceUNet(tuple(settings.widths))
    if size % model.step:  # raised before the run folder is written
        raise WsdlError(f"size: is {size} px, but the parser needs a multiple of {model.step}.")
    run = Run(out, config)
    with first_goes_first():  # it decodes the images
        training, validation = (read_parser_faces(datasets, split) for split in ("train", "valid"))
    weights = class_weights(training.labels).to(pick_device())

    def loss(net, step: int, share: slice):
        images, labels = training_batch(training, settings.batch, seed, step, donors)
        return parsing_loss(whole_batch(net(to_unit(images[share])), settings.batch), labels, weights)

    def check(net, seen: int) -> dict:
        shown = validation.batch(np.arange(min(_SHOWN, len(validation.images))))
        write_image(run.path(f"samples/{seen:08d}.png"), _sheet(net, *shown, _generator(seed, "sheet"), donors))
        return _validate(net, validation, weights, settings.batch, seed, donors)

    fit(
        run,
        model,
        loss,
        check,
        images=settings.images,
        batch=settings.batch,
        rate=settings.rate,
        check_every=settings.check_every,
        clip=1.0,
        ema_decay=settings.ema_decay,
        what="training the parser",
    )
    run.report("done")
    print_stderr(f"{out}: trained on {settings.images} images; sample sheets in {run.path('samples')}.")
    return model


def _common_size(datasets: list[Dataset]) -> int:
    sizes = {dataset.size: dataset.folder for dataset in datasets}
    if len(sizes) > 1:
        sizes_text = ", ".join(f"{folder} has {size} px" for size, folder in sizes.items())
        raise WsdlError(f"--data: {sizes_text}; prepare all with the same --size.")
    return datasets[0].size


def read_parser_faces(datasets: list[Dataset], split: str) -> ParserFaces:
    """The labelled real faces of `split`, in memory: 64 kB per face at 128 px."""
    images, labels = [], []
    for dataset in datasets:
        rows = dataset.select(kind="real", split=split)
        images.append(dataset.images[rows.index])
        labels += parallel_map(dataset.labels, rows.itertuples(), f"reading masks ({split})")
    if not labels:
        raise WsdlError(f"{datasets[0].folder}: has no real face in {split}; prepare it with more images.")
    return ParserFaces(np.concatenate(images), np.stack(labels))


def _read_donors(folder: Path, size: int) -> torch.Tensor:
    """The images in `folder`, resized to `size`: uint8 [m, S, S, 3]."""

    def read_donor(path: Path) -> np.ndarray:
        try:
            return np.asarray(resize_image(open_image(path), size))
        except ValueError as error:
            raise WsdlError(f"{path}: {error}; leave it out.") from None

    donors = parallel_map(read_donor, list_image_files(folder).values(), "reading styles", pixels_in_file)
    return torch.from_numpy(np.stack(donors)).to(pick_device())


def _generator(*words) -> torch.Generator:
    return torch.Generator().manual_seed(seed_for(*words))


def training_batch(faces: ParserFaces, batch: int, seed: int, step: int, donors: torch.Tensor | None = None):
    """Batch number `step`: augmented images uint8 [n, S, S, 3] and labels [n, S, S]; depends on seed and step only."""
    chosen = np.random.default_rng(seed_for(seed, "parser batch", step)).integers(len(faces.images), size=batch)
    return augment(*faces.batch(chosen), _generator(seed, "parser augment", step), donors)


def class_weights(labels: np.ndarray) -> torch.Tensor:
    """Weights of the classes [19], mean 1 over pixels: inverse square root of a class's share of pixels.

    Small classes such as eyes then matter. A class that never occurs has weight 0; the network still learns not to
    predict it.
    """
    share = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    weights = np.divide(1, np.sqrt(share), out=np.zeros(len(CLASSES)), where=share > 0).clip(max=20)
    return torch.tensor(weights / (weights * share).sum(), dtype=torch.float32)


def parsing_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross entropy + soft Dice over the classes in the batch: Dice is a smooth version of the reported F1."""
    logits = logits.float()
    truth = F.one_hot(labels, logits.shape[1]).permute(0, 3, 1, 2)
    probabilities = logits.softmax(dim=1)
    over = (0, 2, 3)
    present = truth.sum(over) > 0
    dice = 2 * (probabilities * truth).sum(over) / (probabilities.sum(over) + truth.sum(over)).clamp(min=1)
    return F.cross_entropy(logits, labels, weights) + 1 - dice[present].mean()


@torch.no_grad()
def _validate(net, faces: ParserFaces, weights: torch.Tensor, batch: int, seed: int, donors) -> dict:
    """The loss on fixed augmented validation faces, and the F1 of components on the unchanged ones."""
    total, counts, n = 0.0, 0, min(_CHECKED, len(faces.images))
    for first in range(0, n, batch):
        images, labels = faces.batch(np.arange(first, min(first + batch, n)))
        with autocast():
            plain = net(to_unit(images))
        counts = counts + count_pixels(plain.argmax(1).cpu().numpy(), labels.cpu().numpy()).sum(axis=0)
        images, labels = augment(images, labels, _generator(seed, "parser judge", first), donors)
        with autocast():
            total += float(parsing_loss(net(to_unit(images)), labels, weights)) * len(images)
    values = {
        name: float(value) for name, value in f1_scores(counts).items() if name in COMPONENTS and np.isfinite(value)
    }
    return {"validation": round(total / n, 6), **{f"f1_{name}": round(f, 4) for name, f in values.items()}}


@torch.no_grad()
def _sheet(net, images, labels, rng: torch.Generator, donors) -> np.ndarray:
    """Three rows: image, labels and prediction; unchanged faces on the left, augmented ones on the right."""
    augmented, moved = augment(images, labels, rng, donors)
    images, labels = torch.cat([images, augmented]), torch.cat([labels, moved])
    with autocast():
        found = net(to_unit(images)).argmax(1)
    rows = [images.cpu().numpy(), *(label_map(maps.cpu().numpy()) for maps in (labels, found))]
    return np.asarray(contact_sheet(np.concatenate(rows), columns=len(images)))
