"""`train-generator autoencoder`: train the small autoencoder on the real faces of a dataset's train split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import seed_torch, to_unit
from wsdl.core.io import WsdlError, seed_for, write_json
from wsdl.core.locks import one_writer
from wsdl.core.ranges import CheckedSettings
from wsdl.core.ranks import is_first
from wsdl.core.run import Run
from wsdl.data.dataset import Dataset
from wsdl.generators.diffusion.autoencoder import LATENT_STATISTICS_FILE, Autoencoder, Codec, downscale_factor, psnr
from wsdl.generators.training import SHEET_FACES, finish_run, fit_generator, read_faces, training_config, write_sheet

CROP = 64  # pixels; a crop costs a quarter of a face of 128 px, so four times as many steps fit into a minute
_VALIDATED = 128  # validation faces at most in each check


@dataclass(frozen=True)
class AutoencoderTraining(CheckedSettings):
    """Training of the small autoencoder."""

    images: int = 40_000  # crops of images to train on
    widths: tuple[int, ...] = (24, 48, 96)  # channels at full, half and quarter resolution: 1.4 M parameters
    latents: int = 4  # channels of a latent
    batch: int = 8
    rate: float = 5e-4  # learning rate of Adam
    kl: float = 1e-3  # weight of the KL divergence per latent value against the L1 error per pixel value
    ema_decay: float = 0.998
    check_every: int = 4_000  # crops between checkpoints and sheets


@one_writer("out")
def train_autoencoder(
    data: Path,
    out: Path,
    settings: AutoencoderTraining = AutoencoderTraining(),
    *,
    seed: int = 0,
) -> Codec:
    """Train until `settings.images` crops were seen, or resume. Writes a run folder with sheets: first row
    validation faces, second row their reconstructions.

    The loss is L1 + a small KL term, without a perceptual loss, so no network trained on photographs is needed. Only
    real faces of the train split are used, in crops of 64 px, half of them mirrored. The best checkpoint has the
    lowest L1 error on full real faces of the validation split; stats.jsonl also has their PSNR.
    """
    dataset = Dataset(data)
    factor = downscale_factor(settings.widths)
    if dataset.size % factor:
        raise WsdlError(
            f"{data}: has images of {dataset.size} px, but an autoencoder of {len(settings.widths)} levels needs a "
            f"multiple of {factor}; prepare the data with another --size."
        )
    faces, validation = read_faces(dataset, "train"), read_faces(dataset, "valid", _VALIDATED)
    seed_torch(seed)
    model = Autoencoder(settings.widths, settings.latents)
    run = Run(out, training_config("autoencoder", dataset, settings, seed))
    crop = min(CROP, dataset.size)
    noise_shape = (settings.batch, settings.latents, crop // factor, crop // factor)

    def loss(net, step: int, share: slice):
        x, source = crop_batch(faces, crop, settings.batch, seed, step)
        noise = torch.randn(noise_shape, generator=source).to(x.device)
        reconstruction, divergence = net(x[share], noise[share])
        return (reconstruction - x[share]).abs().mean() + settings.kl * divergence

    def check(net, images: int) -> dict:
        unscaled = Codec(net.vae, factor, [0.0] * settings.latents, 1.0)
        reconstructed = unscaled.decode(unscaled.encode(validation))
        shown = min(SHEET_FACES, len(validation))
        write_sheet(run, images, validation[:shown], reconstructed[:shown], columns=shown)
        return _validate(validation, reconstructed)

    fit_generator(run, model, loss, check, settings)
    mean, scale = latent_statistics(model, faces)
    if is_first():
        write_json(run.path(LATENT_STATISTICS_FILE), {"mean": mean, "scale": scale})
    finish_run(run)
    return Codec(model.vae, factor, mean, scale)


def crop_batch(faces: np.ndarray, crop: int, batch: int, seed: int, step: int) -> tuple[torch.Tensor, torch.Generator]:
    """Batch `step`: x [n, 3, crop, crop], and the generator of its noise; a function of seed and step alone."""
    rng = np.random.default_rng(seed_for(seed, "autoencoder batch", step))
    chosen, tops, lefts = (rng.integers(high, size=batch) for high in (len(faces), *[faces.shape[1] - crop + 1] * 2))
    places = zip(chosen, tops, lefts, strict=True)
    crops = np.stack([faces[i, top : top + crop, left : left + crop] for i, top, left in places])
    mirror = rng.random(batch) < 0.5
    crops[mirror] = crops[mirror, :, ::-1]
    return to_unit(crops), torch.Generator().manual_seed(seed_for(seed, "autoencoder noise", step))


def _validate(images: np.ndarray, reconstructed: np.ndarray) -> dict:
    """L1 error on the scale of the loss, where pixels are in [-1, 1], and mean PSNR in dB."""
    error = np.abs(images.astype(np.float64) - reconstructed).mean() / 127.5
    return {"validation": round(float(error), 6), "psnr": round(float(psnr(images, reconstructed).mean()), 3)}


def latent_statistics(model: Autoencoder, faces: np.ndarray) -> tuple[list[float], float]:
    """Mean of each channel, and the one scale that gives the latents of `faces` unit variance.

    One scale for all channels keeps a channel of low variance small, as it should matter little to latent diffusion.
    """
    latents = Codec(model.vae, 1, [0.0], 1.0).encode(faces).double()
    mean = latents.mean(dim=(0, 2, 3))
    scale = (latents - mean.view(1, -1, 1, 1)).square().mean().sqrt()
    return [round(value, 6) for value in mean.tolist()], round(float(scale), 6)
