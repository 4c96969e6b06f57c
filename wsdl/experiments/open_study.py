"""Opens a study by its folder, or begins one: `wsdl.open_study`, the first call of every lesson."""

from pathlib import Path

from wsdl.core.run import describe_environment, repository_root, run_environment, short_path
from wsdl.experiments import study_checks as checks
from wsdl.experiments.study import Study
from wsdl.profiles import load_profile


def default_study_folder() -> Path:
    """The folder of the demo: out/demo of the repository that wsdl runs from, else of the current folder."""
    return (repository_root() or Path.cwd()) / "out" / "demo"


def load_study(
    out: str = "",  # empty: the folder of the demo
    profile: str = "",  # a preset or a JSON file; empty: that of the study, quick for a new one
    source: str = "",  # one of config.SOURCES; empty: that of the study, studio for a new one
    images: str = "",  # for config.USER_SOURCES: folder of images
    masks: str = "",  # folder of their component masks, where `images` has none
    seed: int = 0,
) -> Study:
    """Open or begin a study. WsdlError where the folder was begun with another profile, source or seed."""
    checks.check_parameters({"out": out, "profile": profile, "source": source, "images": images, "masks": masks}, seed)
    folder = Path(out).resolve() if out else default_study_folder()
    profile, source = profile or checks.recorded_profile(folder), source or checks.recorded_source(folder)
    study = Study(folder, load_profile(profile), source, images, masks, seed)
    checks.record_study(study.out, study.source, study.seed, study.profile)
    return study


def open_study(
    out: str = "", profile: str = "", source: str = "", images: str = "", masks: str = "", seed: int = 0
) -> Study:
    """`load_study`, and print what the numbers depend on: versions, device, profile, source, seed."""
    study = load_study(out, profile, source, images, masks, seed)
    print(describe_environment(run_environment()))
    print(f"profile {study.profile.name} ({study.profile.purpose}), source {study.source}, seed {study.seed}")
    print(f"study {short_path(study.out)}")
    return study
