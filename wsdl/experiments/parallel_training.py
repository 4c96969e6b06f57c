"""Trains the detectors of a study on the CPU: several at a time, in child processes with one thread each.

The networks are small: two trainings at a time with one thread each take less time than the same two in turn with two
threads, and the weights do not depend on the number of cores.
"""

from wsdl.config import DEFAULT_GENERATORS, OURS, SETUPS
from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError
from wsdl.core.processes import child_slots, run_children
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.records import read_stats
from wsdl.core.run import is_done
from wsdl.experiments.study import Study
from wsdl.training.examples import decode_examples

Key = tuple[str, str]  # method, setup


def train_detectors(study: Study) -> None:
    """Train every detector of `study` that is not trained; an interrupted training goes on at its last checkpoint.

    Each child runs the command `train`, whose output is OUT/logs/RUN.log. With a GPU nothing is done here:
    `Study.table` trains one detector after the other in this process. WsdlError names the trainings that failed, after
    all others have ended.
    """
    if pick_device().type != "cpu":
        return
    wanted = [(method, setup) for method in study.profile.methods for setup in SETUPS]
    late = [key for key in wanted if _starts_from_ours(study, key)]
    # Those start from Patches-MIL in their setup, which is trained before them, whether the profile lists it or not.
    early = dict.fromkeys([*((OURS, setup) for _, setup in late), *(key for key in wanted if key not in late)])
    _train_all(study, list(early))
    _train_all(study, late)


def _starts_from_ours(study: Study, key: Key) -> bool:
    method, _ = key
    return study.profile.training(method).start == OURS and method != OURS


def _train_all(study: Study, keys: list[Key]) -> None:
    """Train the detectors of `keys` that are not trained."""
    keys = [key for key in keys if not is_done(study.run_folder(*key))]
    if not keys:
        return
    for setup in sorted({setup for _, setup in keys}):
        decode_examples(study.fakes().folder, setup, study.trained_on(setup, DEFAULT_GENERATORS))
    logs = study.out / "logs"
    print_stderr(f"detectors to train: {len(keys)}, {min(child_slots(), len(keys))} at a time; logs: {logs}")
    progress = progress_bar(_images(study, keys), "training", initial=_images_seen(study, keys))
    commands = {study.run_folder(*key).name: _train_command(study, key) for key in keys}
    try:
        failed = run_children(commands, logs, lambda _: progress.update(_images_seen(study, keys) - progress.n))
    finally:
        progress.close()
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise WsdlError(f"{study.out}: {len(failed)} of {len(keys)} trainings failed. {reasons}")


def _train_command(study: Study, key: Key) -> list[str]:
    """The command that trains one detector with the settings that `Study.detector` would train it with."""
    method, setup = key
    options = {
        "method": method,
        "setup": setup,
        "data": study.data,
        "out": study.run_folder(*key),
        "profile": study.out / "profile.json",
        "seed": study.seed,
        "generators": ",".join(study.trained_on(setup, DEFAULT_GENERATORS)),
        "start": study.run_folder(OURS, setup) if _starts_from_ours(study, key) else "",
    }
    return ["train", *(f"--{name}={value}" for name, value in options.items() if value != "")]


def _images(study: Study, keys: list[Key]) -> int:
    """The training images of all detectors of `keys`."""
    return sum(study.profile.training(method).amounts(setup)[0] for method, setup in keys)


def _images_seen(study: Study, keys: list[Key]) -> int:
    """How many of them their checkpoints have seen."""
    return sum(max((line["images"] for line in read_stats(study.run_folder(*key))), default=0) for key in keys)
