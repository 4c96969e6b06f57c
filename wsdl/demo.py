"""The main job: one study, from faces to a table and a report. Rerun the same command to resume it."""

import json
from dataclasses import replace
from pathlib import Path

from wsdl import notebooks
from wsdl.config import SETUPS, check_methods
from wsdl.core.io import WsdlError, atomic, sha256
from wsdl.core.locks import one_writer
from wsdl.core.processes import child_slots, run_children
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.run import is_done
from wsdl.detectors.initialization import check_start
from wsdl.experiments.estimate import describe_stages, lesson_run, plan_study
from wsdl.experiments.parallel_training import train_detectors
from wsdl.experiments.study import Study
from wsdl.experiments.study_checks import record_study
from wsdl.profiles import load_profile
from wsdl.report.site import build_site


@one_writer("out")
def run_demo(
    out: Path, profile: str, source: str, images: str, masks: str, p2_weights: str, seed: int, methods: str = ""
) -> Path:
    """Run the whole study into `out` and return the path of the report. WsdlError if a lesson failed.

    methods: comma-separated names, such as "patches,grad-cam"; "" for those of the profile.
    """
    settings = load_profile(profile)
    if p2_weights:
        settings = replace(settings, p2_weights=absolute_path(p2_weights))
    if methods:
        settings = replace(settings, methods=check_methods(tuple(methods.split(","))))
    study = Study(Path(out).resolve(), settings, source, absolute_path(images), absolute_path(masks), seed)
    check_starts(study)
    record_study(study.out, study.source, study.seed, study.profile)

    study.faces()
    print_stderr(describe_stages(plan_study(study)))
    study.fakes()
    train_detectors(study)
    results = study.table()
    with atomic(study.out / "results.csv") as temporary:
        results.to_csv(temporary, index=False)
    succeeded = run_lessons(study)
    page = build_site(study.out, study.out)
    if not succeeded:
        raise WsdlError(f"{page}: some lessons failed; the report names the cells.")
    return page


def check_starts(study: Study) -> None:
    """WsdlError where weights that a training must start from are missing: before days are spent on fakes."""
    for method in study.profile.methods:
        settings = study.profile.training(method)
        if not all(is_done(study.run_folder(method, setup)) for setup in SETUPS):
            check_start(settings.start, getattr(settings, "as_published", False))


def absolute_path(path: str) -> str:
    """`path` as an absolute one where it exists; hub ids and "" stay as they are."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path


def run_lessons(study: Study, long: bool = False, kernel: str = "") -> bool:
    """Run every lesson in `study`, as many at a time as there are CPU cores; return whether all succeeded.

    long: also those that train detectors of their own. kernel: a kernel of Jupyter; "" for the current Python. A lesson
    that succeeded is not run again while its notebook, its parameters, its kernel and the results of the study are the
    same. A failed one does not stop the others.
    """
    parameters = {"out": str(study.out), "profile": str(study.out / "profile.json"), "source": study.source,
                  "images": study.images, "masks": study.masks, "seed": study.seed}  # fmt: skip
    commands = {}
    for lesson in notebooks.slowest_first(notebooks.lesson_notebooks(long)):
        made_of = {"lesson": sha256(lesson), "results": _results_hash(study)} | ({"kernel": kernel} if kernel else {})
        old = lesson_run(study, lesson)
        if old.get("status") == "done" and (old.get("parameters"), old.get("made_of")) == (parameters, made_of):
            continue
        commands[lesson.stem] = ["notebooks", "one", str(lesson), f"--out={study.out / 'lessons'}",
                                 f"--parameters={json.dumps(parameters)}", f"--made-of={json.dumps(made_of)}",
                                 f"--kernel={kernel}"]  # fmt: skip
    if not commands:
        return True
    slots, logs = min(child_slots(), len(commands)), study.out / "logs"
    print_stderr(f"lessons to run: {len(commands)}, {slots} at a time; logs: {logs}")
    progress = progress_bar(len(commands), "lessons", "lesson")
    try:
        failed = run_children(commands, logs, lambda ended: progress.update(ended - progress.n))
    finally:
        progress.close()
    for name, reason in failed.items():
        reason = reason.removeprefix("wsdl: ")
        print_stderr(reason if reason.startswith(name) else f"{name}: {reason}")  # a kill does not name the lesson
    return not failed


def _results_hash(study: Study) -> str:
    """The sha256 of results.csv; "" while there is none."""
    table = study.out / "results.csv"
    return sha256(table) if table.exists() else ""
