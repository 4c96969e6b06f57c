"""Predict before measuring: what a study has still to do, and how long that takes on this machine."""

import time
from dataclasses import dataclass

import torch

from wsdl import notebooks
from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.io import read_json
from wsdl.core.progress import format_duration
from wsdl.core.run import is_done
from wsdl.detectors import build_detector
from wsdl.detectors.base import Batch
from wsdl.experiments.study import Study
from wsdl.generators.diffusion.p2 import P2, p2_loss
from wsdl.generators.diffusion.repaint import repaint_calls
from wsdl.generators.diffusion.unet import SmallUNet

LESSON_SECONDS = 20  # a lesson whose data and detectors exist: mostly start-up and figures


@dataclass(frozen=True)
class Stage:
    name: str
    work: str  # in words
    seconds: float  # predicted; 0 where it is done already


def plan(study: Study) -> list[Stage]:
    """The stages of `study` in order, each with the time it should take, from two timed steps of each network."""
    return [
        Stage("faces", faces_work(study), 0 if (study.out / "data").exists() else 30),
        *generator_stages(study),
        *detector_stages(study),
        Stage("lessons", f"{len(notebooks.lesson_notebooks())} notebooks", lessons_left(study) * LESSON_SECONDS),
    ]


def faces_work(study: Study) -> str:
    return "unpack the bundle" if study.bundled else "decode, resize and split the pictures"


def lessons_left(study: Study) -> int:
    """How many lessons have not run to their end in this study yet."""
    runs = [study.out / "lessons" / f"{lesson.stem}.run.json" for lesson in notebooks.lesson_notebooks()]
    return sum(not (run.exists() and read_json(run)["status"] == "done") for run in runs)


def generator_stages(study: Study) -> list[Stage]:
    settings, fakes, size = study.profile.generator, study.profile.fakes, study.profile.size
    partial_calls = repaint_calls(**fakes.schedule)
    work = fakes.full * fakes.ddim_steps + fakes.partial * partial_calls
    made = [len(list((study.out / "data" / "fake" / path).rglob("*.png"))) for path in ("p2", "repaint-p2/images")]
    left = max(0, fakes.full - made[0]) * fakes.ddim_steps + max(0, fakes.partial - made[1]) * partial_calls
    describe = (
        f"{fakes.full} full ({fakes.ddim_steps} network calls each), {fakes.partial} partial ({partial_calls} "
        f"each): {work:,} calls"
    )
    if not study.own_generator:
        return [
            Stage("generator", f"load {study.profile.p2_weights or 'the one of the bundle'}", 0),
            Stage("fakes", describe, left * call_seconds(study.generator(), fakes.batch, size) if left else 0),
        ]
    model = SmallUNet(size, settings.channels, settings.patch).to(pick_device(), memory_format=torch.channels_last)
    unseen = 0 if is_done(study.out / "p2") else settings.images
    x0 = to_unit(torch.zeros(settings.batch, size, size, 3, dtype=torch.uint8))
    t = torch.zeros(settings.batch, dtype=torch.long, device=x0.device)
    training = unseen and unseen * seconds_of(lambda: p2_loss(model, x0, t, x0, "x0").backward()) / settings.batch
    return [
        Stage("generator", f"train P2 on {settings.images:,} pictures", training),
        Stage("fakes", describe, left and left * call_seconds(P2(model, size), fakes.batch, size)),
    ]


def call_seconds(p2: P2, batch: int, size: int) -> float:
    """Seconds of one network call for one picture, in a batch."""
    x = torch.zeros(batch, 3, size, size, device=pick_device())
    return seconds_of(lambda: p2.noise(x, 0)) / batch


def detector_stages(study: Study) -> list[Stage]:
    stages = []
    for method in study.profile.methods:
        for setup in "abc":
            images, batch, _ = study.profile.training(method).amounts(setup)
            done = is_done(study.run_folder(method, setup))
            seconds = 0 if done else images / batch * step_seconds(study, method, setup)
            stages.append(Stage(f"{method} {setup}", f"train on {images:,} pictures", seconds))
    return stages


def step_seconds(study: Study, method: str, setup: str) -> float:
    """Seconds of one training step of a detector, without drawing its pictures."""
    settings, size = study.profile.training(method), study.profile.size
    n = settings.amounts(setup)[1]
    model = build_detector(method, setup, settings.input_size)
    model.to(pick_device(), memory_format=torch.channels_last).train()
    masks = torch.zeros(n, size, size, dtype=torch.uint8) if setup == "c" else None
    batch = Batch(torch.zeros(n, size, size, 3, dtype=torch.uint8), torch.zeros(n, dtype=torch.long), masks)
    return seconds_of(lambda: model.loss(batch).backward())


def seconds_of(step) -> float:
    """Seconds of `step`, warmed up once."""
    for _ in range(2):
        start = time.perf_counter()
        with autocast():
            step()
        if pick_device().type == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start


def describe(stages: list[Stage]) -> str:
    """The plan as lines of text."""
    lines = [f"  {stage.name:<12}{format_duration(stage.seconds):>12}  {stage.work}" for stage in stages]
    return "\n".join(
        [
            "Plan, with the time each stage should take here:",
            *lines,
            f"  {'in all':<12}{format_duration(sum(stage.seconds for stage in stages)):>12}",
        ]
    )
