"""The main job: from faces to a table and a report, in one study folder. Run again, it does what is missing."""

from dataclasses import replace
from pathlib import Path

from wsdl import notebooks, report
from wsdl.evaluate import frame
from wsdl.files import WsdlError, atomic
from wsdl.plan import describe, plan
from wsdl.profiles import load_profile, to_dict
from wsdl.progress import say
from wsdl.runs import claim
from wsdl.study import Study


def demo(out: Path, profile: str, source: str, images: str, masks: str, p2_weights: str, seed: int) -> Path:
    """Run the whole study into `out` and return the path of the report. WsdlError if a lesson failed."""
    settings = load_profile(profile)
    if p2_weights:
        settings = replace(
            settings, p2_weights=str(Path(p2_weights).resolve()) if Path(p2_weights).exists() else p2_weights
        )
    out = Path(out).resolve()
    study = Study(
        out, settings, source, *(str(Path(folder).resolve()) if folder else "" for folder in (images, masks)), seed
    )
    claim(out / "study.json", {"source": source, "seed": seed, "profile": to_dict(settings)})
    claim(out / "profile.json", to_dict(settings))

    study.faces()
    say(describe(plan(study)))
    study.fakes()
    results = frame([study.scores("patches", setup) for setup in "abc"])
    with atomic(out / "results.csv") as temporary:
        results.to_csv(temporary, index=False)
    done = run_lessons(study, str(out / "profile.json"))
    page = report.index(out)
    if not done:
        raise WsdlError(f"{page}: some lessons failed; the report names the cells.")
    return page


def run_lessons(study: Study, profile: str) -> bool:
    """Run every notebook of the series in `study`, a failed one never stopping the others; did all succeed?

    A lesson that is done is not run again.
    """
    fine = True
    parameters = {
        "out": str(study.out),
        "profile": profile,
        "source": study.source,
        "images": study.images,
        "masks": study.masks,
        "seed": study.seed,
    }
    for notebook in notebooks.lessons():
        try:
            notebooks.run(notebook, study.out / "lessons", parameters)
        except WsdlError as error:
            say(str(error))
            fine = False
    return fine
