"""What a grid has left to do, and how long that takes on this machine: the text of `grid plan`."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pandas as pd
import torch

from wsdl.core.device import peak_megabytes, pick_device
from wsdl.core.progress import format_duration
from wsdl.core.records import read_stats
from wsdl.core.run import is_done
from wsdl.experiments.costs import describe_costs
from wsdl.experiments.estimate import Stage, faces_work, generator_stages, step_seconds
from wsdl.experiments.given_study import GivenStudy
from wsdl.experiments.grid import Grid, is_finished, job_state
from wsdl.experiments.jobs import Job
from wsdl.experiments.scheduler import slot_environments
from wsdl.experiments.study import Study


def describe_grid(grid: Grid, slots: int = 0) -> str:
    """The jobs of a grid as a table, what is left in hours, and the memory needed. Writes nothing into the grid."""
    studies = {source: grid.at(source) for job in grid.jobs for source in job.needs()}
    data = [(source, stage) for source, study in studies.items() for stage in _data_stages(study)]
    todo = [job for job in grid.jobs if not is_finished(grid, job)]
    step = cache(lambda job: step_seconds(grid.study(job), job.method, job.setup))
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
        return [Stage("faces", "exist", 0), *generator_stages(study)]
    if study.has_bundled_fakes:
        return [Stage("faces", "unpack the bundle, with its fakes", 30)]
    return [Stage("faces", faces_work(study), 30), *generator_stages(study)]


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
