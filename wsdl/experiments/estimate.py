"""What a study has left to do, and how long that takes on this machine, from two timed steps per network."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from wsdl import notebooks
from wsdl.config import FULL_GENERATORS, SETUPS
from wsdl.core.device import autocast, pick_device, to_unit
from wsdl.core.io import WsdlError
from wsdl.core.processes import child_slots
from wsdl.core.progress import format_duration, print_stderr
from wsdl.core.records import read_object
from wsdl.core.run import is_done
from wsdl.detectors import build_detector, network_options
from wsdl.detectors.base import Batch
from wsdl.experiments.costs import timed_generator
from wsdl.experiments.study import Study
from wsdl.generators.diffusion.p2 import P2, p2_loss
from wsdl.generators.diffusion.repaint import check_noise_levels, repaint_calls
from wsdl.generators.diffusion.unet import SmallUNet

LESSON_SECONDS = 20  # a lesson whose data and detectors exist: mostly start-up and figures


@dataclass(frozen=True)
class Stage:
    name: str
    work: str  # description
    seconds: float  # predicted; 0 where the stage is done
    is_parallel: bool = False  # runs in a child process beside others


def plan_study(study: Study) -> list[Stage]:
    """The stages of `study` in order, with the predicted time of each."""
    return [
        Stage("faces", faces_work(study), 0 if (study.out / "data").exists() else 30),
        *generator_stages(study),
        *detector_stages(study),
        _lessons_stage(study),
    ]


def describe_stages(stages: list[Stage]) -> str:
    """The plan as lines of text."""
    lines = [f"  {stage.name:<12}{format_duration(stage.seconds):>12}  {stage.work}" for stage in stages]
    beside = [stage.seconds for stage in stages if stage.is_parallel]
    seconds = sum(stage.seconds for stage in stages if not stage.is_parallel)
    seconds += max(sum(beside) / child_slots(), *beside, 0)
    slots = f"{child_slots()} trainings or lessons at a time" if child_slots() > 1 else ""
    total = f"  {'total':<12}{format_duration(seconds):>12}  {slots}".rstrip()
    return "\n".join(["Plan, with the predicted time of each stage:", *lines, total])


def faces_work(study: Study) -> str:
    return "unpack the bundle" if study.is_bundled else "decode, resize and split the images"


def _lessons_stage(study: Study) -> Stage:
    """The lessons that have not succeeded in this study yet."""
    lessons = notebooks.lesson_notebooks()
    left = sum(lesson_run(study, lesson).get("status") != "done" for lesson in lessons)
    return Stage("lessons", f"{len(lessons)} notebooks", left * LESSON_SECONDS, is_parallel=True)


def lesson_run(study: Study, lesson: Path) -> dict:
    """What OUT/lessons/LESSON.run.json says; {} where it does not exist or is damaged: the lesson is run again."""
    path = study.out / "lessons" / f"{lesson.stem}.run.json"
    try:
        return read_object(path) if path.exists() else {}
    except WsdlError as error:
        print_stderr(str(error))
        return {}


def generator_stages(study: Study) -> list[Stage]:
    """Training of P2, and the fakes."""
    settings, fakes, size = study.profile.generator, study.profile.fakes, study.profile.size
    partial_calls = repaint_calls(**fakes.schedule)
    folders = [study.out / "data" / "fake" / path for path in (FULL_GENERATORS[study.sampler], "repaint-p2/images")]
    made = [len(list(folder.rglob("*.png"))) for folder in folders]
    if study.has_bundled_fakes:
        return [Stage("generator", "load the one of the bundle", 0), Stage("fakes", "come with the faces", 0)]
    if made[1] < fakes.partial:
        check_noise_levels(fakes.T)  # before a generator is trained for it
    calls = fakes.full * fakes.ddim_steps + fakes.partial * partial_calls
    left = max(0, fakes.full - made[0]) * fakes.ddim_steps + max(0, fakes.partial - made[1]) * partial_calls
    work = (
        f"{fakes.full} full ({fakes.ddim_steps} network calls each), {fakes.partial} partial ({partial_calls} "
        f"each): {calls:,} calls"
    )
    if not study.trains_p2:
        return [
            Stage("generator", f"load {study.profile.p2_weights or 'the one of the bundle'}", 0),
            Stage("fakes", work, left * _call_seconds(timed_generator(study), fakes.batch, size) if left else 0),
        ]
    model = SmallUNet(size, settings.channels, settings.patch).to(pick_device(), memory_format=torch.channels_last)
    images_left = 0 if is_done(study.out / "p2") else settings.images
    x0 = to_unit(torch.zeros(settings.batch, size, size, 3, dtype=torch.uint8))
    t = torch.zeros(settings.batch, dtype=torch.long, device=x0.device)
    step = _seconds_of(lambda: p2_loss(model, x0, t, x0, "x0").backward()) if images_left else 0
    return [
        Stage("generator", f"train P2 on {settings.images:,} images", images_left * step / settings.batch),
        Stage("fakes", work, left and left * _call_seconds(P2(model, size), fakes.batch, size)),
    ]


def _call_seconds(p2: P2, batch: int, size: int) -> float:
    """Seconds of one network call per image, in a batch; of large images on a CPU in a batch of one."""
    batch = batch if size <= 128 or pick_device().type != "cpu" else 1
    x = torch.zeros(batch, 3, size, size, device=pick_device())
    return _seconds_of(lambda: p2.noise(x, 0)) / batch


def detector_stages(study: Study) -> list[Stage]:
    """Training of every detector of the profile; on the CPU with one thread, as `train_detectors` runs it."""
    stages = []
    for method in study.profile.methods:
        for setup in SETUPS:
            images, batch, _ = study.profile.training(method).amounts(setup)
            done = is_done(study.run_folder(method, setup))
            with _one_thread():
                seconds = 0 if done else images / batch * step_seconds(study, method, setup)
            stages.append(Stage(f"{method} {setup}", f"train on {images:,} images", seconds, is_parallel=True))
    return stages


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def step_seconds(study: Study, method: str, setup: str) -> float:
    """Seconds of one training step of a detector, without reading its images."""
    settings, size = study.profile.training(method), study.profile.size
    n = settings.amounts(setup)[1]
    model = build_detector(method, setup, **network_options(asdict(settings)))
    model.to(pick_device(), memory_format=torch.channels_last).train()
    masks = torch.zeros(n, size, size, dtype=torch.uint8) if SETUPS[setup].has_masks else None
    batch = Batch(torch.zeros(n, size, size, 3, dtype=torch.uint8), torch.zeros(n, dtype=torch.long), masks)
    return _seconds_of(lambda: model.loss(batch).backward())


def _seconds_of(step: Callable) -> float:
    """Seconds of the second of two calls of `step`; the first warms up."""
    for _ in range(2):
        start = time.perf_counter()
        with autocast():
            step()
        if pick_device().type == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start
