"""python -m wsdl localize: where were these pictures painted?"""

import csv
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from wsdl.config import DEFAULT_DETECTOR
from wsdl.core.io import WsdlError, atomic


def localize(
    pictures: Annotated[
        list[str] | None, typer.Argument(metavar="PICTURE...", help="Files, folders, or - for one picture on stdin.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write NAME-map.png and NAME-overlay.png.")] = None,
    detector: Annotated[str, typer.Option(help="A shipped detector, or a run of train.")] = DEFAULT_DETECTOR,
    parser: Annotated[str, typer.Option(help="Finds the face: a run of train-parser, or a SegFormer.")] = "",
    npy: Annotated[bool, typer.Option("--npy", help="Also write NAME-map.npy: float32 [H, W], 1 = fake.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Print the shipped detectors and their scores.")] = False,
):
    """Heat maps of pictures: one JSON line each on stdout, two PNGs in OUT.

    NAME-map.png is the map as 16-bit grey, 65535 = fake, as large as the upright picture, 0 where nothing was judged.
    NAME-overlay.png is for the eye. A picture that cannot be judged has "error" in its line; exit code 1 at the end.
    """
    if show:
        return print_detectors()
    if not pictures or not out:
        raise typer.BadParameter("give PICTURE... and --out DIR, or --list.")
    from wsdl.core.progress import print_stderr, progress_bar
    from wsdl.inference.image_input import pictures_in
    from wsdl.inference.localize import load_localizer

    begin(out)
    localizer = load_localizer(detector, parser)
    total, failed = sum(1 for _ in pictures_in(pictures)), 0
    with progress_bar(total, "localizing") as progress:
        for found in pictures_in(pictures):
            line = one(found, localizer, out, npy)
            print(json.dumps(line), flush=True)
            failed += "error" in line
            progress.update()
    if failed:
        print_stderr(f'wsdl: {failed} of {total} pictures could not be judged; "error" in their lines says why.')
        raise typer.Exit(1)


def print_detectors() -> None:
    from wsdl.core.progress import print_stderr
    from wsdl.detectors.pretrained import describe_choices, pretrained_table

    rows = pretrained_table()
    if not rows:
        return print_stderr(f"wsdl: {describe_choices([])}.")
    writer = csv.DictWriter(sys.stdout, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def begin(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WsdlError(f"{out}: cannot be made ({error.strerror}); choose another --out.") from None


def one(found: str | WsdlError, localizer, out: Path, npy: bool) -> dict:
    """Judge one picture and write its files: its JSON line."""
    from wsdl.inference.image_input import open_any, read_stdin

    if isinstance(found, WsdlError):
        return {"picture": str(found).split(": ")[0], "error": str(found)}
    try:
        result = localizer(open_any(read_stdin(sys.stdin.buffer) if found == "-" else found, found))
        return {"picture": found, **result.facts(), "files": write(result, found, out, npy)}
    except WsdlError as error:
        return {"picture": found, "error": str(error)}


def write(result, picture: str, out: Path, npy: bool) -> dict:
    """Write the map, the overlay and, if asked, the array; where they are."""
    import numpy as np
    from PIL import Image

    from wsdl.inference.image_input import tagged

    origin = "-" if picture == "-" else hashlib.sha256(os.fsencode(os.path.abspath(picture))).hexdigest()
    stem = os.fsencode("stdin" if picture == "-" else Path(picture).stem)[:180].decode("utf-8", "ignore")  # of 255
    files = outputs(out, stem, origin)
    if not npy:
        files["npy"].unlink(missing_ok=True)  # an older array would contradict the new map
        del files["npy"]
    grey = Image.fromarray(np.round(result.map * 65535).astype(np.uint16))
    for what, image in (("overlay", result.overlay()), ("map", grey)):
        with atomic(files[what]) as temporary:
            image.save(temporary, "PNG", pnginfo=tagged(origin), compress_level=3)
    if npy:
        with atomic(files["npy"]) as temporary, open(temporary, "wb") as file:
            np.save(file, result.map)
    return {what: str(path) for what, path in files.items()}


def outputs(out: Path, stem: str, origin: str) -> dict[str, Path]:
    """The files of one picture: STEM-map.png and so on, or STEM-2-map.png ... where these belong to another picture.

    The PNGs carry the `origin` they were made of, so the same picture gets the same names again, whatever was judged
    before, and nothing that is not ours is overwritten.
    """
    from wsdl.inference.image_input import tag_of

    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        files = {"map": out / f"{name}-map.png", "overlay": out / f"{name}-overlay.png", "npy": out / f"{name}-map.npy"}
        pngs = [files[what] for what in ("map", "overlay") if files[what].exists()]
        if all(tag_of(path) == origin for path in pngs) and (pngs or not files["npy"].exists()):
            return files
        number += 1
