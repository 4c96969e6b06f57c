"""Trains the detectors of a study on the CPU: several at a time, in child processes with one thread each.

The networks are small: two trainings of one thread end sooner than one after the other with two threads, and the
results do not depend on the number of cores.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from wsdl.config import DEFAULT_GENERATORS, OURS, SETUPS
from wsdl.core.device import pick_device
from wsdl.core.io import WsdlError
from wsdl.core.processes import failure_reason, kill_children, start_child
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.records import read_stats
from wsdl.core.run import is_done
from wsdl.experiments.study import Study
from wsdl.training.examples import decode_examples

PAUSE = 0.3  # seconds between checks of the children
Key = tuple[str, str]  # method, setup


def training_slots() -> int:
    """How many detectors of a study are trained at a time: as many as this process has CPU cores, one with a GPU."""
    if pick_device().type != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """Train the detectors of `keys`, as many at a time as there are slots."""
    waiting = [key for key in keys if not is_done(study.run_folder(*key))]
    if not waiting:
        return
    chosen, slots = list(waiting), training_slots()
    for setup in sorted({setup for _, setup in chosen}):
        decode_examples(study.fakes().folder, setup, study.trained_on(setup, DEFAULT_GENERATORS))
    print_stderr(f"training {len(chosen)} detectors, {min(slots, len(chosen))} at a time; logs: {study.out / 'logs'}")
    progress = progress_bar(_images(study, chosen), "training", initial=_images_seen(study, chosen))
    busy: dict[Key, subprocess.Popen] = {}
    failed = []
    try:
        while waiting or busy:
            while waiting and len(busy) < slots:
                key = waiting.pop(0)
                busy[key] = _start_training(study, key)
            for key in [key for key, child in busy.items() if child.poll() is not None]:
                code = busy.pop(key).returncode
                if not is_done(study.run_folder(*key)):
                    failed.append(f"{' '.join(key)}: {failure_reason(_log(study, key), code)}")
            progress.update(_images_seen(study, chosen) - progress.n)
            time.sleep(PAUSE)
    finally:
        kill_children(busy.values())
        progress.close()
    if failed:
        raise WsdlError(f"{study.out}: {len(failed)} of {len(chosen)} trainings failed. {'; '.join(failed)}")


def _start_training(study: Study, key: Key) -> subprocess.Popen:
    """Start `python -m wsdl train` for one detector, with the settings that `Study.detector` would train it with."""
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
        "parent": os.getpid(),
    }
    command = [sys.executable, "-m", "wsdl", "train"]
    command += [f"--{name}={value}" for name, value in options.items()]
    mark = f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(command)}"
    return start_child(command, _log(study, key), {"OMP_NUM_THREADS": "1"}, mark)


def _log(study: Study, key: Key) -> Path:
    return study.out / "logs" / f"{study.run_folder(*key).name}.log"


def _images(study: Study, keys: list[Key]) -> int:
    """The training images of all detectors of `keys`."""
    return sum(study.profile.training(method).amounts(setup)[0] for method, setup in keys)


def _images_seen(study: Study, keys: list[Key]) -> int:
    """How many of them their checkpoints have seen."""
    return sum(max((line["images"] for line in read_stats(study.run_folder(*key))), default=0) for key in keys)
