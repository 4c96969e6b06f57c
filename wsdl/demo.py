"""The main job: from faces to a table and a report, in one study folder. Run again, it does what is missing."""

from dataclasses import replace
from pathlib import Path

from wsdl import notebooks
from wsdl.config import check_methods, complete_profile, load_profile, profile_to_dict
from wsdl.core.io import WsdlError, atomic, read_json, sha256
from wsdl.core.progress import print_stderr
from wsdl.core.run import write_or_check_config
from wsdl.experiments.estimate import describe, plan
from wsdl.experiments.study import Study
from wsdl.report.site import build_site


def run_demo(
    out: Path, profile: str, source: str, images: str, masks: str, p2_weights: str, seed: int, methods: str = ""
) -> Path:
    """Run the whole study into `out` and return the path of the report. WsdlError if a lesson failed.

    methods: names with commas between them, e.g. "patches,grad-cam"; "" for those of the profile.
    """
    settings = load_profile(profile)
    if p2_weights:
        settings = replace(settings, p2_weights=absolute_path(p2_weights))
    if methods:
        settings = replace(settings, methods=check_methods(tuple(methods.split(","))))
    study = Study(Path(out).resolve(), settings, source, absolute_path(images), absolute_path(masks), seed)
    begin_study(study)

    study.faces()
    print_stderr(describe(plan(study)))
    study.fakes()
    results = study.table()
    with atomic(study.out / "results.csv") as temporary:
        results.to_csv(temporary, index=False)
    done = run_lessons(study, str(study.out / "profile.json"))
    page = build_site(study.out, study.out)
    if not done:
        raise WsdlError(f"{page}: some lessons failed; the report names the cells.")
    return page


def begin_study(study: Study) -> None:
    """Write down what this study is of. WsdlError where the folder holds another one."""
    profile, (about, settings) = (
        profile_to_dict(study.profile),
        (study.out / name for name in ("study.json", "profile.json")),
    )
    write_or_check_config(about, {"source": study.source, "seed": study.seed, "profile": profile},
          understood=lambda old: {**old, "profile": complete_profile(old["profile"], f"{about}: profile")})  # fmt: skip
    write_or_check_config(settings, profile, understood=lambda old: complete_profile(old, str(settings)))


def absolute_path(path: str) -> str:
    """`path` as an absolute one where it exists; hub ids and "" stay as they are."""
    return str(Path(path).resolve()) if path and Path(path).exists() else path


def run_lessons(study: Study, profile: str, long: bool = False) -> bool:
    """Run every notebook of the series in `study`, a failed one never stopping the others; did all succeed?

    long: also those that train detectors of their own. A lesson that succeeded is not run again while its text, its
    parameters and the study's results are the same.
    """
    fine = True
    parameters = {"out": str(study.out), "profile": profile, "source": study.source, "images": study.images,
                  "masks": study.masks, "seed": study.seed}  # fmt: skip
    for lesson in notebooks.lesson_notebooks(long):
        made_of = {"lesson": sha256(lesson), "results": _results_hash(study)}
        status = study.out / "lessons" / f"{lesson.stem}.run.json"
        old = read_json(status) if status.exists() else {}
        if old.get("status") == "done" and (old["parameters"], old["made_of"]) == (parameters, made_of):
            continue
        try:
            print_stderr(f"lesson {lesson.stem}")
            notebooks.run_notebook(lesson, study.out / "lessons", parameters, made_of)
        except WsdlError as error:
            print_stderr(str(error))
            fine = False
    return fine


def _results_hash(study: Study) -> str:
    """What tells the results in this study from others; "" while there are none."""
    table = study.out / "results.csv"
    return sha256(table) if table.exists() else ""
