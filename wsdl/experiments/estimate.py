"""What a study or a grid has left to do, and how long that takes on this machine, from two timed steps per network."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from wsdl import notebooks
from wsdl.config import FULL_GENERATORS, SETUPS
from wsdl.core.device import autocast, peak_megabytes, pick_device, to_unit
from wsdl.core.io import WsdlError
from wsdl.core.progress import format_duration, print_stderr
from wsdl.core.records import read_object
from wsdl.core.run import is_done, read_stats
from wsdl.detectors import build_detector, network_options
from wsdl.detectors.base import Batch
from wsdl.experiments.costs import describe_costs, timed_generator
from wsdl.experiments.given_study import GivenStudy
from wsdl.experiments.grid import Grid, is_finished, job_state
from wsdl.experiments.jobs import Job
from wsdl.experiments.scheduler import slot_environments
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


# --- studies ----------------------------------------------------------------------------------------------------------


def plan_study(study: Study) -> list[Stage]:
    """The stages of `study` in order, with the predicted time of each."""
    return [
        Stage("faces", _faces_work(study), 0 if (study.out / "data").exists() else 30),
        *_generator_stages(study),
        *detector_stages(study),
        Stage("lessons", f"{len(notebooks.lesson_notebooks())} notebooks", _lessons_left(study) * LESSON_SECONDS),
    ]


def describe_stages(stages: list[Stage]) -> str:
    """The plan as lines of text."""
    lines = [f"  {stage.name:<12}{format_duration(stage.seconds):>12}  {stage.work}" for stage in stages]
    total = format_duration(sum(stage.seconds for stage in stages))
    return "\n".join(["Plan, with the predicted time of each stage:", *lines, f"  {'total':<12}{total:>12}"])


def _faces_work(study: Study) -> str:
    return "unpack the bundle" if study.is_bundled else "decode, resize and split the images"


def _lessons_left(study: Study) -> int:
    """How many lessons have not succeeded in this study yet."""
    return sum(lesson_run(study, lesson).get("status") != "done" for lesson in notebooks.lesson_notebooks())


def lesson_run(study: Study, lesson: Path) -> dict:
    """What OUT/lessons/LESSON.run.json says; {} where it does not exist or is damaged: the lesson is run again."""
    path = study.out / "lessons" / f"{lesson.stem}.run.json"
    try:
        return read_object(path) if path.exists() else {}
    except WsdlError as error:
        print_stderr(str(error))
        return {}


def _generator_stages(study: Study) -> list[Stage]:
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
    """Training of every detector of the profile."""
    stages = []
    for method in study.profile.methods:
        for setup in SETUPS:
            images, batch, _ = study.profile.training(method).amounts(setup)
            done = is_done(study.run_folder(method, setup))
            seconds = 0 if done else images / batch * _step_seconds(study, method, setup)
            stages.append(Stage(f"{method} {setup}", f"train on {images:,} images", seconds))
    return stages


def _step_seconds(study: Study, method: str, setup: str) -> float:
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


# --- grids ------------------------------------------------------------------------------------------------------------


def describe_grid(grid: Grid, slots: int = 0) -> str:
    """The jobs of a grid as a table, what is left in hours, and the memory needed. Writes nothing into the grid."""
    studies = {source: grid.at(source) for job in grid.jobs for source in job.needs()}
    data = [(source, stage) for source, study in studies.items() for stage in _data_stages(study)]
    todo = [job for job in grid.jobs if not is_finished(grid, job)]
    step = cache(lambda job: _step_seconds(grid.study(job), job.method, job.setup))
    stages = {job: _training_stage(grid, job, step) for job in todo}

    environments = slot_environments(slots)
    devices = len({variables.get("CUDA_VISIBLE_DEVICES") for variables in environments})  # slots of one device share it
    fakes = {source: stage.seconds for source, stage in data if stage.name == "fakes" and stage.seconds}
    costs = describe_costs(grid, fakes, {job: stage.seconds for job, stage in stages.items()})
    before, training = sum(stage.seconds for _, stage in data), sum(stage.seconds for stage in stages.values())
    hours = (before + training / devices) / 3600
    return "\n".join(
        [
            pd.DataFrame([_job_row(grid, n, job, stages.get(job)) for n, job in enumerate(grid.jobs)]).to_string(
                index=False
            ),
            "",
            *(f"{source}: {stage.name}: {stage.work}: {_time_left(stage)}" for source, stage in data),
            *([f"Left, with hours of one {_device_word()}:", costs] if costs else []),
            f"{len(grid.jobs)} runs, {len(grid.jobs) - len(todo)} done; {_describe_slots(environments, devices)}.",
            f"About {hours:.2f} hours left: {before / 3600:.2f} for data, the rest for training, from two timed steps "
            f"of each network. Start-up and evaluation add about half a minute per run of the profile quick.",
            _describe_memory(len(environments)) if todo else "All runs are done: no memory is needed.",
        ]
    )


def _job_row(grid: Grid, number: int, job: Job, stage: Stage | None) -> dict:
    """A row of the plan; columns for generators and tests where any job of the grid names some."""
    row = {"number": number, "method": job.method, "setup": job.setup, "source": job.train_source, "seed": job.seed}
    if any(other.variant for other in grid.jobs):
        row |= {"variant": job.variant}
    if any(other.tests or other.generators for other in grid.jobs):
        row |= {"generators": "+".join(job.generators), "tests": " ".join(job.tests)}
    return row | {"state": job_state(grid, job)[0], "left": _time_left(stage), "work": stage.work if stage else ""}


def _data_stages(study: Study) -> list[Stage]:
    """Faces, generator and fakes of one source."""
    if isinstance(study, GivenStudy):
        return [Stage("data", f"given: {study.data}", 0)]
    if study.has_faces:
        return [Stage("faces", "exist", 0), *_generator_stages(study)]
    if study.has_bundled_fakes:
        return [Stage("faces", "unpack the bundle, with its fakes", 30)]
    return [Stage("faces", _faces_work(study), 30), *_generator_stages(study)]


def _training_stage(grid: Grid, job: Job, step: Callable) -> Stage:
    """What is left of one training after its last checkpoint. `step(job)`: seconds of one step."""
    folder = grid.run_folder(job)
    images, batch, _ = grid.study(job).profile.training(job.method).amounts(job.setup)
    trained_on = max((line["images"] for line in read_stats(folder)), default=0)
    left = 0 if is_done(folder) else max(0, images - trained_on)
    same = replace(
        job, train_source=grid.jobs[0].train_source, seed=0, tests=()
    )  # other sources and seeds take as long
    seconds = left and left / batch * step(same)
    return Stage(grid.name(job), f"train on {images:,} images", seconds)


def _device_word() -> str:
    return "GPU" if pick_device().type == "cuda" else "CPU"


def _time_left(stage: Stage | None) -> str:
    if stage is None:
        return "done"
    return format_duration(stage.seconds) if stage.seconds else "0 s"


def _describe_slots(environments: list, devices: int) -> str:
    if "CUDA_VISIBLE_DEVICES" in environments[0]:
        return f"{len(environments)} at a time on {devices} GPU{'s' if devices > 1 else ''}"
    if len(environments) == 1:
        return "one at a time on the CPU"
    return f"{len(environments)} at a time, sharing the cores of the CPU"


def _describe_memory(slots: int) -> str:
    """The peak memory of this process, after two steps of each network, as a sentence."""
    peak = peak_megabytes()
    if peak is None:
        return "Memory: cannot be measured on this system."
    words = (
        f"Memory: at most {peak:,.0f} MB per run in the timed steps, libraries included; {slots} at a time: about "
        f"{slots * peak:,.0f} MB, and {peak:,.0f} for this command. Cached pages of image files may show on top; the "
        f"system frees those when it needs memory."
    )
    if torch.cuda.is_available():
        words += f" On the GPU {torch.cuda.max_memory_allocated() / 2**20:,.0f} MB per run."
    return words
