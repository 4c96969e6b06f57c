"""Many rendered faces: child processes on all cores, each face written as soon as it is done.

Mitsuba may crash and take its process along. So faces are rendered in children; the face at which one died is tried
again in a new one, and named in the end if it never came out.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from wsdl import __version__
from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.run import write_or_check_config
from wsdl.faces.needs import versions
from wsdl.faces.sample import STYLES

CHILD = ["-m", "wsdl.faces.child"]
MEMORY = 2 * 2**30  # bytes of one child: anny's blend shapes are large
TRIES = 3  # a face that takes its process along as often as that is given up

_starting = Lock()  # anny fills its cache when first used, and two that fill it at once would spoil it


def render_faces(
    out: Path, style: str, count: int, seed: int = 0, size: int = 128, samples: int = 36, workers: int | None = None
) -> tuple[Path, Path]:
    """Render `count` faces into out/images and their label maps (CelebAMask-HQ classes) into out/masks.

    style: studio or snapshot; size: side in pixels; samples: light paths a pixel; workers: processes (`room`
    unless given). Run again, it renders only what is missing; face i depends on style, seed, size, samples and i alone.
    WsdlError for an unknown style, where anny or mitsuba is missing, and for faces that crashed TRIES times.
    """
    if style not in STYLES:
        raise WsdlError(f"--style {style}: is not a style of rendered faces; choose {' or '.join(STYLES)}.")
    out = Path(out)
    write_or_check_config(
        out / "recipe.json", recipe(style, count, seed, size, samples, versions()), growing=("count",)
    )
    images, masks = out / "images", out / "masks"
    missing = [i for i in range(count) if not all((folder / name(i)).exists() for folder in (images, masks))]
    queue = SimpleQueue()
    for i in missing:
        queue.put(i)
    work = [str(out.absolute()), style, str(seed), str(size), str(samples)]
    begun, progress = time.monotonic(), progress_bar(len(missing), "rendering faces")
    workers = max(1, min(workers or room(), len(missing)))
    with ThreadPoolExecutor(workers) as pool:
        served = [pool.submit(serve, queue, work, progress) for _ in range(workers)]
        try:
            lost = sorted(i for one in served for i in one.result())
        finally:
            drain(queue)  # after an error or Ctrl-C nothing new is begun
    progress.close()
    if lost:
        raise WsdlError(
            f"{out}: face {', '.join(map(str, lost))} crashed the renderer {TRIES} times; "
            f"run the command again, or choose another --seed."
        )
    if missing:
        print_stderr(f"{(time.monotonic() - begun) / len(missing):.1f} s a face, {workers} at a time")
    return images, masks


def room() -> int:
    """How many children this machine has cores and memory for."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY))


def name(i: int) -> str:
    return f"{i:04d}.png"


def recipe(style: str, count: int, seed: int, size: int, samples: int, packages: dict) -> dict:
    """What recipe.json says: openly, that these are renders and nobody's picture."""
    return {
        "what": "rendered portraits of nobody: parametric heads by anny, path-traced by mitsuba; not photographs",
        "made by": f"wsdl {__version__} (faces render)",
        "versions": packages,
        "licence": "CC0-1.0",
        "style": style,
        "seed": seed,
        "size": size,
        "samples": samples,
        "count": count,
    }


def serve(queue: SimpleQueue, work: list[str], progress) -> list[int]:
    """Feed face numbers from `queue` to one child after another until none is left; returns those given up."""
    child, lost = None, []
    try:
        while True:
            i = queue.get_nowait()
            for _ in range(TRIES):
                if child is None or child.poll() is not None:
                    with _starting:
                        child = start(work)
                if ask(child, i):
                    progress.update()
                    break
                if child.wait() == 1:  # an error of Python, not a crash: the next try would meet it again
                    raise RuntimeError(f"face {i}: the renderer failed; its own message stands above.")
                print_stderr(f"face {i}: the renderer crashed (exit code {child.returncode})")
            else:
                lost.append(i)
    except Empty:
        return lost
    finally:
        if child:
            with suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()


def drain(queue: SimpleQueue) -> None:
    while not queue.empty():
        queue.get()


def start(work: list[str]) -> subprocess.Popen:
    """A child that is ready for `ask`, or has died; one thread, since every core has a child of its own."""
    child = subprocess.Popen(
        [sys.executable, *CHILD, *work],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C stops the parent alone; children finish their face
    )
    heard(child, "ready")
    return child


def ask(child: subprocess.Popen, i: int) -> bool:
    """Have face `i` rendered; False where the child died over it. WsdlError where it failed for a named reason."""
    try:
        child.stdin.write(f"{i}\n")
        child.stdin.flush()
    except BrokenPipeError:
        return False
    return heard(child, f"done {i}")


def heard(child: subprocess.Popen, word: str) -> bool:
    """Wait until the child says `word`, whatever libraries say before; False where it dies without it."""
    for line in child.stdout:
        if line.startswith("failed "):
            raise WsdlError(line.removeprefix("failed ").strip())
        if line.strip() == word:
            return True
    return False
