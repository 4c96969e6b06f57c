"""`train-generator autoencoder`: train the small autoencoder on the real faces of a dataset's train split."""

from pathlib import Path

import numpy as np
import torch

from wsdl.core.device import to_unit
from wsdl.core.io import WsdlError, seed_for, write_json
from wsdl.core.progress import print_stderr
from wsdl.core.run import Run
from wsdl.data.contact_sheet import contact_sheet
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces
from wsdl.generators.diffusion.autoencoder import (
    AUTOENCODER_WIDTHS,
    LATENT_CHANNELS,
    LATENT_STATISTICS_FILE,
    Autoencoder,
    Codec,
    downscale_factor,
    psnr,
)
from wsdl.training.loop import fit

CROP = 64  # pixels: a piece of a face costs a quarter of it at 128 px, so four times as many steps fit into a minute
SHOWN = 8  # validation faces on the sheet of each check
JUDGED = 128  # validation faces at most in each check


def train_autoencoder(
    data: Path,
    out: Path,
    *,
    images: int = 40_000,  # pieces of pictures to see, in all
    widths: tuple[int, ...] = AUTOENCODER_WIDTHS,  # channels at each level
    latents: int = LATENT_CHANNELS,  # channels of a latent
    batch: int = 8,
    rate: float = 5e-4,
    kl: float = 1e-3,  # weight of the KL of a latent's number against the L1 error of a pixel's number
    ema_decay: float = 0.998,
    check_every: int = 4000,  # pieces between checkpoints and sheets
    seed: int = 0,
) -> Codec:
    """Train, or go on training, until `images` pieces were seen. Writes a run folder with sheets: above, validation
    faces as they are; below, after the round trip.

    The loss is L1 + a small KL: no network judges the result, so nothing that was trained on photographs is needed.
    Only real faces of the train split are seen, in pieces of 64 px, mirrored half of the time. The best checkpoint is
    chosen by the L1 error on whole real faces of the validation split; stats.jsonl also has their PSNR.
    """
    dataset = Dataset(data)
    factor = downscale_factor(widths)
    if dataset.size % factor:
        raise WsdlError(
            f"{data}: has pictures of {dataset.size} px, but an autoencoder of {len(widths)} levels needs a multiple "
            f"of {factor}; prepare the data with another --size."
        )
    rows = dataset.select(kind="real", split="train")
    valid = dataset.select(kind="real", split="valid").index[:JUDGED]
    if rows.empty or valid.empty:
        raise WsdlError(f"{data}: has no real face in train or in valid; prepare it with more pictures.")
    faces, judged = dataset.images[rows.index], dataset.images[valid]
    config = {"generator": "autoencoder", "faces": hash_faces(rows), "size": dataset.size, "widths": list(widths),
              "latents": latents, "images": images, "batch": batch, "rate": rate, "kl": kl, "ema_decay": ema_decay,
              "seed": seed}  # fmt: skip
    torch.manual_seed(seed)
    model = Autoencoder(tuple(widths), latents)
    run = Run(out, config)
    crop = min(CROP, dataset.size)

    def loss(net, step: int, share: slice):
        x, source = training_batch(faces, crop, batch, seed, step)
        noise = torch.randn((batch, latents, crop // factor, crop // factor), generator=source).to(x.device)
        back, divergence = net(x[share], noise[share])
        return (back - x[share]).abs().mean() + kl * divergence

    def check(net, seen: int) -> dict:
        plain = Codec(net.vae, factor, [0.0] * latents, 1.0)
        back = plain.decode(plain.encode(judged))
        write_image(run.path(f"samples/{seen:08d}.png"), sheet(judged[:SHOWN], back[:SHOWN]))
        return judge(judged, back)

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
        what="training the autoencoder",
    )
    mean, scale = measure(model, faces)
    write_json(run.path(LATENT_STATISTICS_FILE), {"mean": mean, "scale": scale})
    run.report("done")
    print_stderr(f"{out}: trained on {images} pieces of pictures; round trips in {run.path('samples')}.")
    return Codec(model.vae, factor, mean, scale)


def training_batch(faces: np.ndarray, crop: int, batch: int, seed: int, step: int):
    """Batch `step`: x [n, 3, crop, crop], and the source of its noise; a function of seed and step alone."""
    rng = np.random.default_rng(seed_for(seed, "autoencoder batch", step))
    chosen, tops, lefts = (rng.integers(high, size=batch) for high in (len(faces), *[faces.shape[1] - crop + 1] * 2))
    places = zip(chosen, tops, lefts, strict=True)
    pieces = np.stack([faces[i, top : top + crop, left : left + crop] for i, top, left in places])
    mirror = rng.random(batch) < 0.5
    pieces[mirror] = pieces[mirror, :, ::-1]
    return to_unit(pieces), torch.Generator().manual_seed(seed_for(seed, "autoencoder noise", step))


def judge(pictures: np.ndarray, back: np.ndarray) -> dict:
    """L1 error on the scale of the loss, where pixels run from -1 to 1, and mean PSNR in dB."""
    error = np.abs(pictures.astype(np.float64) - back).mean() / 127.5
    return {"validation": round(float(error), 6), "psnr": round(float(psnr(pictures, back).mean()), 3)}


def sheet(pictures: np.ndarray, back: np.ndarray) -> np.ndarray:
    return np.asarray(contact_sheet(np.concatenate([pictures, back]), columns=len(pictures)))


def measure(model: Autoencoder, faces: np.ndarray) -> tuple[list[float], float]:
    """Mean of each channel, and the one scale that gives the latents of `faces` unit variance.

    One scale for all channels: a channel that says little stays small, and a latent diffusion model may neglect it.
    """
    latents = Codec(model.vae, 1, [0.0], 1.0).encode(faces).double()
    mean = latents.mean(dim=(0, 2, 3))
    scale = (latents - mean.view(1, -1, 1, 1)).square().mean().sqrt()
    return [round(value, 6) for value in mean.tolist()], round(float(scale), 6)
