"""Render many faces: worker processes on all cores, each face written as soon as it is done.

Mitsuba may crash and end its process. Faces are therefore rendered in child processes; a face whose child crashed is
tried again in a new one, and reported at the end if it fails every time.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from wsdl import __version__
from wsdl.core.io import WsdlError
from wsdl.core.locks import one_writer
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.ranges import check_ranges
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.faces.sample import RENDER_STYLES

PACKAGES = "anny", "mitsuba"  # parametric heads, path tracing
CHILD = ["-m", "wsdl.faces.render"]
MEMORY = 2 * 2**30  # bytes per child: anny's blend shapes are large
TRIES = 3  # crashes after which a face is given up

_starting = Lock()  # anny fills its cache at first use; two processes filling it at once would corrupt it


def missing_package(package: str) -> WsdlError:
    return WsdlError(f"Rendered faces need the package {package}, which is missing; run: pip install 'wsdl[render]'.")


def package_versions() -> dict[str, str]:
    """The version of each package; WsdlError where one is missing."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise missing_package(package)
    return {package: version(package) for package in PACKAGES}


@one_writer("out")
def render_faces(
    out: Path, style: str, count: int, seed: int = 0, size: int = 128, samples: int = 36, workers: int | None = None
) -> tuple[Path, Path]:
    """Render `count` faces into out/images and their label maps (CelebAMask-HQ classes) into out/masks.

    style: studio or snapshot; size: side in pixels; samples: light paths per pixel; workers: processes, default
    `default_workers`. A repeated call renders only missing faces; face i depends on style, seed, size, samples and i
    alone. WsdlError for an unknown style, where anny or mitsuba is missing, and for faces that crashed TRIES times.
    """
    if style not in RENDER_STYLES:
        raise WsdlError(f"--style {style}: is not a style of rendered faces; choose {' or '.join(RENDER_STYLES)}.")
    check_ranges(count=count, size=size)
    out = Path(out)
    recipe = _recipe(style, count, seed, size, samples, package_versions())
    write_or_check_config(out / "recipe.json", recipe, growing=("count",), begun=holds_images(out))
    images, masks = out / "images", out / "masks"
    missing = [i for i in range(count) if not all((folder / face_file(i)).exists() for folder in (images, masks))]
    queue = SimpleQueue()
    for i in missing:
        queue.put(i)
    work = [str(out.absolute()), style, str(seed), str(size), str(samples)]
    start, progress = time.monotonic(), progress_bar(len(missing), "rendering faces")
    workers = max(1, min(workers or default_workers(), len(missing)))
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_serve, queue, work, progress) for _ in range(workers)]
        try:
            failed_faces = sorted(i for future in futures for i in future.result())
        finally:
            _drain(queue)  # after an error or Ctrl-C no further face is started
    progress.close()
    if failed_faces:
        raise WsdlError(
            f"{out}: face {', '.join(map(str, failed_faces))} crashed the renderer {TRIES} times; "
            f"rerun the command, or choose another --seed."
        )
    if missing:
        print_stderr(f"{(time.monotonic() - start) / len(missing):.1f} s per face, {workers} at a time")
    return images, masks


def default_workers() -> int:
    """The number of child processes that fit the cores and the memory of this machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // MEMORY))


def face_file(i: int) -> str:
    return f"{i:04d}.png"


def _recipe(style: str, count: int, seed: int, size: int, samples: int, packages: dict) -> dict:
    """The content of recipe.json, which states that these are renders of no real person."""
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


def _serve(queue: SimpleQueue, work: list[str], progress) -> list[int]:
    """Render the faces numbered in `queue` with one child at a time; returns the numbers that were given up."""
    child, failed_faces = None, []
    try:
        while True:
            i = queue.get_nowait()
            for _ in range(TRIES):
                if child is None or child.poll() is not None:
                    with _starting:
                        child = _start_child(work)
                if _render_one(child, i):
                    progress.update()
                    break
                if child.wait() == 1:  # a Python error, not a crash: it would occur again
                    raise RuntimeError(f"face {i}: the renderer failed; see its message above.")
                print_stderr(f"face {i}: the renderer crashed (exit code {child.returncode})")
            else:
                failed_faces.append(i)
    except Empty:
        return failed_faces
    finally:
        if child:
            with suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()


def _drain(queue: SimpleQueue) -> None:
    while not queue.empty():
        queue.get()


def _start_child(work: list[str]) -> subprocess.Popen:
    """Start a child that is ready for `_render_one`, or has died; single-threaded, as every core has its own child."""
    child = subprocess.Popen(
        [sys.executable, *CHILD, *work],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C stops the parent only; children finish their face
    )
    _wait_for(child, "ready")
    return child


def _render_one(child: subprocess.Popen, i: int) -> bool:
    """Render face `i` in `child`; False where the child died. WsdlError where it reported an error."""
    try:
        child.stdin.write(f"{i}\n")
        child.stdin.flush()
    except BrokenPipeError:
        return False
    return _wait_for(child, f"done {i}")


def _wait_for(child: subprocess.Popen, word: str) -> bool:
    """Read lines of the child, skipping those of libraries, until `word`; False where the child dies before."""
    for line in child.stdout:
        if line.startswith("failed "):
            raise WsdlError(line.removeprefix("failed ").strip())
        if line.strip() == word:
            return True
    return False
