"""`data parse`: component masks for a folder of face pictures that has none, and alignment by the eyes if asked."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr, progress_bar
from wsdl.core.run import write_or_check_config
from wsdl.data.images import list_image_files, open_image, write_image
from wsdl.data.masks import component_mask, visible_components
from wsdl.parsing.align import NoFaceError, align, eye_centres
from wsdl.parsing.models import Parser, load_parser

BATCH = 16
SKIN_AREA = 0.03, 0.8  # what part of a picture the skin of its face covers
RECIPE = "recipe.json"


def parse(
    images: Path,
    out: Path,
    model: str = "",  # as in load_parser
    aligned: bool = False,
    size: int = 256,  # side of aligned pictures in pixels
    skip_bad: bool = False,
) -> None:
    """Write a label map (CelebAMask-HQ numbering) for every picture in `images`. Run again, it does what is missing.

    Into `out` go STEM.png, each as large as its picture; with `aligned`, images/STEM.png and masks/STEM.png instead.
    Only the central square is parsed, as `data prepare` keeps no more: around it, labels are background.
    Broken pictures and pictures without a face stop the work with one sentence; skip_bad leaves them out, naming each.
    """
    pictures, parser, out = list_image_files(images), load_parser(model), Path(out)
    faces, masks = (out / "images", out / "masks") if aligned else (None, out)
    begin(Path(images), faces, masks, pictures, out, {
        "parser": parser.fingerprint, "aligned": aligned, "size": size if aligned else None
    })  # fmt: skip
    todo = [name for name in pictures if not (masks / f"{name}.png").exists()]
    progress, done = (
        progress_bar(len(pictures), "parsing faces", initial=len(pictures) - len(todo)),
        len(pictures) - len(todo),
    )
    with ThreadPoolExecutor() as pool:  # decoding and encoding release the interpreter lock

        def good(work: Callable, names: Iterable[str]) -> dict:
            """{name: work(name)}, without those that fail where skip_bad allows it."""

            def one(name: str):
                try:
                    return work(name)
                except NoFaceError as error:
                    bad = WsdlError(f"{pictures[name]}: no face was found ({error}); leave it out with --skip-bad.")
                except WsdlError as error:
                    bad = error
                if not skip_bad:
                    raise bad
                print_stderr(f"skipped: {bad}")

            names = list(names)
            return {name: value for name, value in zip(names, pool.map(one, names), strict=True) if value is not None}

        for first in range(0, len(todo), BATCH):
            part = todo[first : first + BATCH]
            opened = good(lambda name: open_image(pictures[name]), part)
            labels = label_maps(parser, opened)
            if aligned:
                opened = good(lambda name: straighten(opened[name], labels[name], size), opened)  # noqa: B023
                labels = label_maps(parser, opened)
            done += len(good(lambda name: save(faces, masks, name, opened[name], labels[name]), opened))  # noqa: B023
            progress.update(len(part))
    progress.close()
    print_stderr(f"{out}: masks of {done} of {len(pictures)} pictures.")


def begin(images: Path, faces: Path | None, masks: Path, pictures: dict, out: Path, recipe: dict) -> None:
    """Claim `out` for `recipe`. WsdlError where it holds masks of another origin, or the pictures themselves."""
    if images.resolve() in (masks.resolve(), faces and faces.resolve()):
        raise WsdlError(f"{images}: is where the pictures are; choose another --out.")
    strangers = [name for name in pictures if (masks / f"{name}.png").exists()]
    if strangers and not (out / RECIPE).exists():
        raise WsdlError(f"{masks / strangers[0]}.png: was not made by data parse; choose another --out.")
    write_or_check_config(out / RECIPE, recipe)


def label_maps(parser: Parser, opened: dict[str, Image.Image]) -> dict[str, np.ndarray]:
    """The label map of each picture, uint8 [H, W]: of its central square, background around it."""
    if not opened:
        return {}
    places = [central_square(image.size) for image in opened.values()]
    squares = [np.asarray(image.crop(place)) for image, place in zip(opened.values(), places, strict=True)]
    maps = {}
    for (name, image), place, labels in zip(opened.items(), places, parser.parse_squares(squares), strict=True):
        left, top, right, bottom = place
        maps[name] = np.zeros((image.height, image.width), np.uint8)
        maps[name][top:bottom, left:right] = labels
    return maps


def central_square(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square that `wsdl.data.images.resize_image` cuts out."""
    side = min(size)
    left, top = ((length - side) // 2 for length in size)
    return left, top, left + side, top + side


def straighten(image: Image.Image, labels: np.ndarray, size: int) -> Image.Image:
    check_face(labels)
    return align(image, eye_centres(labels), size)


def save(faces: Path | None, masks: Path, name: str, image: Image.Image, labels: np.ndarray) -> bool:
    """Write one result; the mask comes last, as it tells that the picture is done."""
    check_face(labels)
    if faces:
        write_image(faces / f"{name}.png", np.asarray(image))
    write_image(masks / f"{name}.png", labels)
    return True


def check_face(labels: np.ndarray) -> None:
    """NoFaceError unless `labels` [H, W] shows as much skin as a face has, and two of eyes or glasses, nose, mouth."""
    share = component_mask(labels, "skin").mean()
    if not SKIN_AREA[0] <= share <= SKIN_AREA[1]:
        raise NoFaceError(f"skin covers {share:.0%} of it")
    here = {"eyes" if name == "glasses" else name for name in visible_components(labels)} & {"eyes", "nose", "mouth"}
    if len(here) < 2:
        raise NoFaceError(f"it shows {' and '.join(here) or 'neither eyes nor nose nor mouth'} only")
