"""What a grid costs: images, network calls, hours on this device and disk of each stage, for `grid plan`."""

from dataclasses import asdict

import pandas as pd
from diffusers import UNet2DModel

from wsdl.config import FULL_GENERATORS
from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr
from wsdl.detectors import build_detector, network_options
from wsdl.experiments.grid import Grid
from wsdl.experiments.jobs import Job
from wsdl.experiments.study import Study
from wsdl.generators.diffusion.p2 import P2
from wsdl.generators.diffusion.repaint import repaint_calls
from wsdl.generators.diffusion.unet import FullUNet

_PNG = 1.6  # bytes per pixel of a PNG, where there are none to measure
_MEASURED = 100  # PNG files at most
# The U-Net of google/ddpm-ema-celebahq-256: 113.7 M parameters.
_DDPM = {"block_out_channels": (128, 128, 256, 256, 512, 512),
         "down_block_types": (*["DownBlock2D"] * 4, "AttnDownBlock2D", "DownBlock2D"),
         "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *["UpBlock2D"] * 4)}  # fmt: skip
_COPIES = 5  # of the weights in a run: the model, and in the trainer state the model, two moments of Adam, the EMA


def describe_costs(grid: Grid, data_seconds: dict[str, float], training_seconds: dict[Job, float]) -> str:
    """A table of the stages that are left.

    data_seconds: source -> seconds of the network calls of its fakes; training_seconds: of each job that is left.
    """
    rows = [row for source, seconds in data_seconds.items() for row in _fake_rows(grid.at(source), seconds)]
    rows += [_training_row(grid, job, seconds) for job, seconds in training_seconds.items()]
    if not rows:
        return ""
    table = pd.DataFrame(rows, columns=["stage", "images", "calls", "hours", "disk"])
    table.loc[len(table)] = ["total", *table[["images", "calls", "hours", "disk"]].sum()]
    shown = {"images": "{:,.0f}".format, "calls": "{:,.0f}".format, "hours": "{:,.2f}".format, "disk": format_bytes}
    return table.to_string(index=False, formatters=shown)


def _fake_rows(study: Study, seconds: float) -> list[tuple]:
    """Full and partial fakes that are left, and the decoded images and masks of all."""
    wanted, side = study.profile.fakes, study.profile.size
    kinds = (
        (FULL_GENERATORS[study.sampler], "", wanted.full, wanted.ddim_steps),
        ("repaint-p2", "images", wanted.partial, repaint_calls(**wanted.schedule)),
    )
    left = [max(0, count - _made(study, name, images)) for name, images, count, _ in kinds]
    total = sum(count * kind[3] for count, kind in zip(left, kinds, strict=True))
    rows = []
    for count, (name, _, _, calls) in zip(left, kinds, strict=True):
        share = seconds * count * calls / total / 3600 if total else 0.0
        rows.append((f"{study.source}: {name}", count, count * calls, share, count * _png_bytes(study)))
    images = wanted.full + wanted.partial
    rows.append((f"{study.source}: decoded", 0, 0, 0.0, side**2 * (3 * images + wanted.partial)))
    return rows


def _made(study: Study, generator: str, images: str) -> int:
    return len(list((study.data / "fake" / generator / images).rglob("*.png")))


def _png_bytes(study: Study) -> float:
    """The mean size of an image file of the study, or what is usual at its size."""
    files = [path for path, _ in zip(study.data.rglob("*.png"), range(_MEASURED), strict=False)]
    sizes = [path.stat().st_size for path in files]
    return sum(sizes) / len(sizes) if sizes else _PNG * study.profile.size**2


def _training_row(grid: Grid, job: Job, seconds: float) -> tuple:
    settings = grid.study(job).profile.training(job.method)
    network = build_detector(job.method, job.setup, **network_options(asdict(settings)))
    weights = 4 * sum(parameter.numel() for parameter in network.parameters())
    return grid.name(job), settings.amounts(job.setup)[0], 0, seconds / 3600, _COPIES * weights


def timed_generator(study: Study) -> P2:
    """The P2 model of a study; where its weights are not here, a network of the usual full size with random weights."""
    try:
        return study.generator()
    except WsdlError as error:
        if not study.profile.p2_weights:
            raise
        print_stderr(f"{error} Its calls are timed with random weights.")
        return P2(FullUNet(UNet2DModel(sample_size=study.profile.size, **_DDPM)), study.profile.size)


def format_bytes(count: float) -> str:
    """Bytes as "1.2 GB" or "340 MB"."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
