"""What a grid has still to do, how long that takes on this machine and how much memory: said before anything starts."""

from collections.abc import Callable
from functools import cache

import pandas as pd
import torch

from wsdl.core.device import peak_megabytes
from wsdl.core.progress import format_duration
from wsdl.core.run import is_done, read_stats
from wsdl.experiments.estimate import Stage, faces_work, generator_stages, step_seconds
from wsdl.experiments.grid import Grid, is_finished, job_state
from wsdl.experiments.jobs import Job
from wsdl.experiments.scheduler import slot_environments
from wsdl.experiments.study import Study


def plan(grid: Grid, slots: int = 0) -> str:
    """A table of the runs with their predicted times, then the sums, as text. Nothing is written into the grid."""
    studies = {source: grid.at(source) for job in grid.jobs for source in job.needs()}
    data = [(source, stage) for source, study in studies.items() for stage in data_stages(study)]
    todo = [job for job in grid.jobs if not is_finished(grid, job)]
    step = cache(lambda method, setup: step_seconds(grid.study(todo[0]), method, setup))  # the same for every source
    stages = {job: training_stage(grid, job, step) for job in todo}

    rows = [
        {"number": number, "method": job.method, "setup": job.setup, "source": job.train_source,
         "seed": job.seed, **further(grid, job), "state": job_state(grid, job)[0], "left": spell(stages.get(job)),
         "work": stages[job].work if job in stages else ""}
        for number, job in enumerate(grid.jobs)
    ]  # fmt: skip
    slots_here = slot_environments(slots)
    side_by_side = len({place.get("CUDA_VISIBLE_DEVICES") for place in slots_here})  # slots on one device share it
    before, training = sum(stage.seconds for _, stage in data), sum(stage.seconds for stage in stages.values())
    hours = (before + training / side_by_side) / 3600
    return "\n".join(
        [
            pd.DataFrame(rows).to_string(index=False),
            "",
            *(f"{source}: {stage.name}: {stage.work}: {spell(stage)}" for source, stage in data),
            f"{len(grid.jobs)} runs, {len(grid.jobs) - len(todo)} done; {count(slots_here, side_by_side)}.",
            f"About {hours:.2f} hours left: {before / 3600:.2f} for data, the rest for training, from two timed steps "
            f"of each network. Starting and scoring come on top, about half a minute a run of the profile quick.",
            memory(len(slots_here)) if todo else "All is done: no memory is needed.",
        ]
    )


def further(grid: Grid, job: Job) -> dict[str, str]:
    """What a job is trained on and tested on beside the usual, if any job of its grid is."""
    if not any(other.tests or other.generators for other in grid.jobs):
        return {}
    return {"generators": "+".join(job.generators), "tests": " ".join(job.tests)}


def data_stages(study: Study) -> list[Stage]:
    """Faces, generator and fakes of one source."""
    if (study.out / "data" / "manifest.csv").exists():
        return [Stage("faces", "are there", 0), *generator_stages(study)]
    if study.has_fakes:
        return [Stage("faces", "unpack the bundle, with its fakes", 30)]
    return [Stage("faces", faces_work(study), 30), *generator_stages(study)]


def training_stage(grid: Grid, job: Job, step: Callable) -> Stage:
    """What is left of one training: what its last checkpoint has seen costs nothing any more."""
    folder = grid.run_folder(job)
    images, batch, _ = grid.profile.training(job.method).amounts(job.setup)
    seen = max((line["images"] for line in read_stats(folder)), default=0)
    left = 0 if is_done(folder) else max(0, images - seen)
    seconds = left and left / batch * step(job.method, job.setup)
    return Stage(grid.name(job), f"train on {images:,} pictures", seconds)


def spell(stage: Stage | None) -> str:
    return format_duration(stage.seconds) if stage and stage.seconds else "done" if stage is None else "0 s"


def count(slots: list, side_by_side: int) -> str:
    if "CUDA_VISIBLE_DEVICES" in slots[0]:
        return f"{len(slots)} at a time on {side_by_side} GPU{'s' if side_by_side > 1 else ''}"
    return "one at a time on the CPU" if len(slots) == 1 else f"{len(slots)} at a time, sharing the cores of the CPU"


def memory(slots: int) -> str:
    """The most memory this process has held by now, after its steps of each network, as words."""
    peak = peak_megabytes()
    if peak is None:
        return "Memory: cannot be measured on this system."
    words = (
        f"Memory: a run held {peak:,.0f} MB at most in the timed steps, libraries included; {slots} at a time: about "
        f"{slots * peak:,.0f} MB, and {peak:,.0f} for this command. Pages of pictures read from disk may show on "
        f"top; the system takes those back when it must."
    )
    if torch.cuda.is_available():
        words += f" On the GPU {torch.cuda.max_memory_allocated() / 2**20:,.0f} MB for each run."
    return words
