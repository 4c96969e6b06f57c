"""`train-generator ldm`: train the small latent diffusion model on the real faces of a dataset's train split."""

import shutil
from pathlib import Path

import numpy as np
import torch

from wsdl.core.io import atomic, sha256
from wsdl.core.progress import progress_bar
from wsdl.core.run import MODEL_FILE, Run
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import hash_faces
from wsdl.generators.diffusion.autoencoder import AUTOENCODER_FILES, Codec, load_autoencoder
from wsdl.generators.diffusion.ldm import AUTOENCODER_FOLDER, RepaintLDM, latent_unet
from wsdl.generators.diffusion.train_p2 import SAMPLES, choose, denoise, steps_and_noise

ENCODED = 64  # pictures between two movements of the progress bar


def train_ldm(
    data: Path,
    autoencoder: Path,  # a finished run of `train-generator autoencoder`; it is copied into `out`
    out: Path,
    *,
    images: int = 50_000,  # pictures to see, in all
    widths: tuple[int, ...] = (64, 96, 128),  # of the U-Net at each level
    patch: int = 1,  # latent cells unshuffled into channels
    batch: int = 16,
    rate: float = 4e-4,
    gamma: float = 1.0,  # of the P2 weight; 0 gives the plain loss
    ema_decay: float = 0.9995,
    check_every: int = 8000,  # pictures between checkpoints and sample sheets
    seed: int = 0,
) -> RepaintLDM:
    """Train, or go on training, until `images` pictures were seen. Writes a run folder with sample sheets.

    The loop, the loss and the mirroring are those of `train_p2`; what is denoised are latents, encoded once, both ways
    round, and held in memory: 32 kB a face at 128 px.
    """
    dataset, codec = Dataset(data), load_autoencoder(autoencoder)
    rows = dataset.select(kind="real", split="train")
    config = {"generator": "ldm", "faces": hash_faces(rows), "autoencoder": sha256(Path(autoencoder) / MODEL_FILE),
              "size": dataset.size, "widths": list(widths), "patch": patch, "images": images, "batch": batch,
              "rate": rate, "gamma": gamma, "ema_decay": ema_decay, "seed": seed}  # fmt: skip
    torch.manual_seed(seed)
    model = latent_unet(dataset.size, codec, tuple(widths), patch)  # before the run begins: it refuses sizes
    run = Run(out, config)
    keep_copy(Path(autoencoder), run.path(AUTOENCODER_FOLDER))
    latents = encode_both_ways(codec, dataset.images[rows.index])

    denoise(
        run,
        model,
        lambda step: training_batch(latents, batch, patch, seed, step),
        lambda net: RepaintLDM(net, codec, dataset.size).sample(SAMPLES, seed),
        gamma,
        images=images,
        batch=batch,
        rate=rate,
        check_every=check_every,
        ema_decay=ema_decay,
        what="training ldm",
    )
    return RepaintLDM(model, codec, dataset.size)


def keep_copy(autoencoder: Path, folder: Path) -> None:
    """Copy what loading an autoencoder needs, so that a run is complete in itself."""
    for name in AUTOENCODER_FILES:
        with atomic(folder / name) as temporary:
            shutil.copyfile(autoencoder / name, temporary)


def encode_both_ways(codec: Codec, faces: np.ndarray) -> torch.Tensor:
    """Latents [2, n, C, s, s] of `faces` and of their mirror images: those are not the mirrored latents."""
    progress, parts = progress_bar(len(faces), "encoding"), []
    for start in range(0, len(faces), ENCODED):
        some = faces[start : start + ENCODED]
        parts.append(torch.stack([codec.encode(some), codec.encode(some[:, :, ::-1])]))
        progress.update(len(some))
    progress.close()
    return torch.cat(parts, dim=1)


def training_batch(latents: torch.Tensor, batch: int, patch: int, seed: int, step: int):
    """Batch `step`, as `wsdl.generators.diffusion.train_p2.training_batch` makes it of pictures."""
    chosen, mirror, moved = choose(latents.shape[1], batch, patch, seed, step)
    x0 = latents[mirror.astype(int), chosen].roll(moved, dims=(2, 3)).contiguous(memory_format=torch.channels_last)
    return x0, *steps_and_noise(x0, seed, step), moved
