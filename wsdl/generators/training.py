"""What the trainings of all generators share: real faces, settings in config.json, the loop, sample sheets."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from wsdl.core.io import WsdlError
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.ranks import first_goes_first
from wsdl.core.run import Run
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces
from wsdl.training.loop import fit

SHEET_FACES = 8  # validation faces on a sheet


@dataclass(frozen=True)
class LabelledFaces:
    """Real faces of one split with their label maps, in memory: 64 kB per face at 128 px."""

    images: np.ndarray  # uint8 [n, S, S, 3]
    labels: np.ndarray  # uint8 [n, S, S], CelebAMask-HQ numbering


def read_faces(dataset: Dataset, split: str, most: int | None = None) -> np.ndarray:
    """The first `most` (default: all) real faces of `split`: uint8 [n, S, S, 3]. WsdlError where there are none."""
    rows = dataset.select(kind="real", split=split)
    if rows.empty:
        raise WsdlError(f"{dataset.folder}: has no real face in {split}; prepare it with more images.")
    with first_goes_first():  # it decodes the images
        return dataset.images[rows.index[:most]]


def read_labelled_faces(dataset: Dataset, split: str) -> LabelledFaces:
    """The real faces of `split` and their label maps. WsdlError where one has no label map, or there are no faces."""
    images, rows = read_faces(dataset, split), dataset.select(kind="real", split=split)
    return LabelledFaces(images, np.stack(parallel_map(dataset.labels, rows.itertuples(), f"reading masks ({split})")))


def training_config(generator: str, dataset: Dataset, settings, seed: int) -> dict:
    """What config.json of a run states: the faces of the train split, their size, and every setting of the training.

    How often it is checked is left out: a resumed run may differ in that.
    """
    values = {name: value for name, value in asdict(settings).items() if name != "check_every"}
    faces = hash_faces(dataset.select(kind="real", split="train"))
    return {"generator": generator, "faces": faces, "size": dataset.size, **values, "seed": seed}


def fit_generator(run: Run, model, loss: Callable, check: Callable, settings, **more) -> None:
    """Call `fit` with the amounts in `settings` (images, batch, rate, check_every, ema_decay) and clipped gradients."""
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
        what=f"training {run.config['generator']}",
        **more,
    )


def finish_run(run: Run) -> None:
    """Mark the run as done and say where its sample sheets are."""
    run.report("done")
    print_stderr(f"{run.folder}: trained on {run.config['images']} images; samples in {run.path('samples')}.")


def write_sheet(run: Run, images: int, *rows: np.ndarray, columns: int = SHEET_FACES) -> None:
    """Write images uint8 [n, S, S, 3], one array per row, as the sheet of the check after `images` training images."""
    sheet = contact_sheet(np.concatenate(rows), columns=columns)
    write_image(Path(run.path(f"samples/{images:08d}.png")), np.asarray(sheet))
