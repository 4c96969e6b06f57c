"""python -m wsdl localize: localise inpainted regions in images."""

import csv
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from wsdl.core.io import WsdlError, atomic


def localize(
    images: Annotated[
        list[str] | None, typer.Argument(metavar="IMAGE...", help="Files, folders, or - for one image on stdin.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for NAME-map.png and NAME-overlay.png.")] = None,
    detector: Annotated[
        str,
        typer.Option(
            help="A pretrained detector, a run of train, or a published method; default: one for such images."
        ),
    ] = "",
    weights: Annotated[
        str,
        typer.Option(
            help="Folder of the weights of a published method: mantranet, noiseprint, psccnet, trufor, hifi-net."
        ),
    ] = "",
    parser: Annotated[str, typer.Option(help="Face parser: a run folder of train-parser, or a SegFormer.")] = "",
    npy: Annotated[bool, typer.Option("--npy", help="Also write NAME-map.npy: float32 [H, W], 1 = fake.")] = False,
    show: Annotated[bool, typer.Option("--list", help="Print the pretrained detectors and their scores.")] = False,
):
    """Heat maps of images: one JSON line each on stdout, two PNGs in OUT.

    NAME-map.png is the map as 16-bit grey, 65535 = fake, as large as the upright image, 0 where it was not analysed.
    NAME-overlay.png shows image and map. The line of an image that cannot be read has "error", and the exit code is 1.
    """
    if show:
        return _print_detectors()
    if not images or not out:
        raise typer.BadParameter("give IMAGE... and --out DIR, or --list.")
    from wsdl.config import DEFAULT_DETECTOR
    from wsdl.core.progress import print_stderr, progress_bar
    from wsdl.inference.image_input import find_images
    from wsdl.inference.localize import load_localizer

    _make_folder(out)
    first = detector or ("" if weights else DEFAULT_DETECTOR)
    load_localizer(first, parser, weights)  # an error about it comes before all images
    total, failed = sum(1 for _ in find_images(images)), 0
    with progress_bar(total, "localizing") as progress:
        for image in find_images(images):
            line = _localize_one(image, (detector, parser, weights), out, npy)
            print(json.dumps(line), flush=True)
            failed += "error" in line
            progress.update()
    if failed:
        print_stderr(f'wsdl: {failed} of {total} images could not be read; see "error" in their lines.')
        raise typer.Exit(1)


def _print_detectors() -> None:
    from wsdl.core.progress import print_stderr
    from wsdl.detectors.pretrained import describe_choices, pretrained_table

    rows = pretrained_table()
    if not rows:
        return print_stderr(f"wsdl: {describe_choices([])}.")
    writer = csv.DictWriter(sys.stdout, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WsdlError(f"{out}: cannot be made ({error.strerror}); choose another --out.") from None


def _localize_one(image: str | WsdlError, how: tuple[str, str, str], out: Path, npy: bool) -> dict:
    """Localise one image by `how` = (detector, parser, weights) and write its files; returns its JSON line."""
    from wsdl.inference.image_input import open_image, read_stdin
    from wsdl.inference.localize import choose_detector, load_localizer

    if isinstance(image, WsdlError):
        return {"picture": str(image).split(": ")[0], "error": str(image)}
    try:
        given = open_image(read_stdin(sys.stdin.buffer) if image == "-" else image, image)
        detector, parser, weights = how
        result = load_localizer(detector or choose_detector(given, parser), parser, weights)(given)
        return {"picture": image, **result.to_dict(), "files": _write_files(result, image, out, npy)}
    except WsdlError as error:
        return {"picture": image, "error": str(error)}


def _write_files(result, image: str, out: Path, npy: bool) -> dict:
    """Write the map, the overlay and, if asked for, the array; returns their paths."""
    import numpy as np
    from PIL import Image

    from wsdl.inference.image_input import origin_tag

    origin = "-" if image == "-" else hashlib.sha256(os.fsencode(os.path.abspath(image))).hexdigest()
    stem = os.fsencode("stdin" if image == "-" else Path(image).stem)[:180].decode("utf-8", "ignore")  # of 255 bytes
    files = _output_files(out, stem, origin)
    if not npy:
        files["npy"].unlink(missing_ok=True)  # an older array would contradict the new map
        del files["npy"]
    grey = Image.fromarray(np.round(result.map * 65535).astype(np.uint16))
    for what, drawn in (("overlay", result.overlay()), ("map", grey)):
        with atomic(files[what]) as temporary:
            drawn.save(temporary, "PNG", pnginfo=origin_tag(origin), compress_level=3)
    if npy:
        with atomic(files["npy"]) as temporary, open(temporary, "wb") as file:
            np.save(file, result.map)
    return {what: str(path) for what, path in files.items()}


def _output_files(out: Path, stem: str, origin: str) -> dict[str, Path]:
    """The files of one image: STEM-map.png and so on, or STEM-2-map.png ... where these belong to another image.

    The PNGs contain the `origin` they were made from, so the same image always gets the same names, and files that
    localize did not write are never overwritten.
    """
    from wsdl.inference.image_input import read_origin

    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        files = {"map": out / f"{name}-map.png", "overlay": out / f"{name}-overlay.png", "npy": out / f"{name}-map.npy"}
        pngs = [files[what] for what in ("map", "overlay") if files[what].exists()]
        if all(read_origin(path) == origin for path in pngs) and (pngs or not files["npy"].exists()):
            return files
        number += 1
