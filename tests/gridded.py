"""A grid in miniature: three jobs and a tiny profile."""

import time

from wsdl.experiments.jobs import Job

TINY = {
    "name": "tiny", "size": 32, "faces": 24,
    "generator": {"images": 32, "channels": [16, 32], "batch": 8, "check_every": 32},
    "fakes": {"full": 16, "partial": 48, "ddim_steps": 2, "T": 3, "jump_length": 1, "resamplings": 1, "batch": 8},
    "patches": {"input_size": 48, "images": 64, "batch": 16, "images_c": 320, "batch_c": 8, "check_every": 32},
}  # fmt: skip
JOBS = {"jobs": [{"method": "patches", "setup": "b", "seed": 0}, {"method": "patches", "setup": "b", "seed": 1},
                   {"method": "patches", "setup": "c", "seed": 0}]}  # fmt: skip
B0, B1, C0 = Job("patches", "b", "made-up", 0), Job("patches", "b", "made-up", 1), Job("patches", "c", "made-up", 0)


def until(true, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.02)
