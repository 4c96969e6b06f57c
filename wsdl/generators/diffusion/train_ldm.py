"""`train-generator ldm`: train the small latent diffusion model on the real faces of a dataset's train split."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import seed_torch
from wsdl.core.io import atomic, sha256
from wsdl.core.locks import one_writer
from wsdl.core.progress import in_batches
from wsdl.core.ranges import CheckedSettings
from wsdl.core.run import MODEL_FILE, Run
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.autoencoder import AUTOENCODER_FILES, Codec, load_autoencoder
from wsdl.generators.diffusion.ldm import AUTOENCODER_FOLDER, RepaintLDM, latent_unet
from wsdl.generators.diffusion.train_p2 import SAMPLES, choose_batch, draw_steps_and_noise, train_denoiser
from wsdl.generators.training import read_faces, training_config

_ENCODED_TOGETHER = 64


@dataclass(frozen=True)
class LDMTraining(CheckedSettings):
    """Training of the small latent diffusion model."""

    images: int = 50_000  # images to train on
    widths: tuple[int, ...] = (64, 96, 128)  # U-Net width at each level
    patch: int = 1  # latent positions unshuffled into channels
    batch: int = 16
    rate: float = 4e-4  # learning rate of Adam
    gamma: float = 1.0  # of the P2 weight; 0 gives the plain loss
    ema_decay: float = 0.9995
    check_every: int = 8_000  # images between checkpoints and sample sheets


@one_writer("out")
def train_ldm(
    data: Path,
    autoencoder: Path,  # a finished run of `train-generator autoencoder`; it is copied into `out`
    out: Path,
    settings: LDMTraining = LDMTraining(),
    *,
    seed: int = 0,
) -> RepaintLDM:
    """Train until `settings.images` images were seen, or resume. Writes a run folder with sample sheets.

    Loss and augmentation are those of `train_p2`, on latents. These are encoded once, of each face and of its mirror
    image, and held in memory: 32 kB per face at 128 px.
    """
    dataset, codec = Dataset(data), load_autoencoder(autoencoder)
    faces = read_faces(dataset, "train")
    fingerprint = sha256(Path(autoencoder) / MODEL_FILE)
    config = training_config("ldm", dataset, settings, seed) | {"autoencoder": fingerprint}
    seed_torch(seed)
    model = latent_unet(dataset.size, codec, settings.widths, settings.patch)  # raises before the run folder is written
    run = Run(out, config)
    _copy_autoencoder(Path(autoencoder), run.path(AUTOENCODER_FOLDER))
    latents = encode_with_mirrors(codec, faces)
    train_denoiser(
        run,
        model,
        settings,
        lambda step: latent_batch(latents, settings.batch, settings.patch, seed, step),
        lambda net: RepaintLDM(net, codec, dataset.size).sample(SAMPLES, seed),
    )
    return RepaintLDM(model, codec, dataset.size)


def _copy_autoencoder(autoencoder: Path, folder: Path) -> None:
    """Copy what loading an autoencoder needs, so that a run is complete in itself."""
    for name in AUTOENCODER_FILES:
        with atomic(folder / name) as temporary:
            shutil.copyfile(autoencoder / name, temporary)


def encode_with_mirrors(codec: Codec, faces: np.ndarray) -> torch.Tensor:
    """Latents [2, n, C, s, s] of `faces` and of their mirror images, which are not the mirrored latents."""
    parts = [
        torch.stack([codec.encode(some), codec.encode(some[:, :, ::-1])])
        for some in in_batches(faces, _ENCODED_TOGETHER, "encoding")
    ]
    return torch.cat(parts, dim=1)


def latent_batch(latents: torch.Tensor, batch: int, patch: int, seed: int, step: int):
    """Batch `step` of latents [2, n, C, s, s], as `wsdl.generators.diffusion.train_p2.p2_batch` of images."""
    chosen, mirror, shift = choose_batch(latents.shape[1], batch, patch, seed, step)
    x0 = latents[mirror.astype(int), chosen].roll(shift, dims=(2, 3)).contiguous(memory_format=torch.channels_last)
    return x0, *draw_steps_and_noise(x0, seed, step), shift
