"""`data parse`: component masks for a folder of face images that has none, and alignment by the eyes."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.core.locks import one_writer
from wsdl.core.parallel import split_by_pixels
from wsdl.core.progress import in_batches, print_stderr
from wsdl.core.ranges import check_ranges
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.decode import pixels_in_file
from wsdl.data.images import list_images, open_image, write_image
from wsdl.data.masks import component_mask, visible_components
from wsdl.parsing.align import NoFaceError, align_face, eye_centres
from wsdl.parsing.models import Parser, load_parser

_BATCH = 16
_SKIN_AREA = 0.03, 0.8  # smallest and largest fraction of the image that the skin of a face covers
_RECIPE = "recipe.json"


@one_writer("out")
def parse_folder(
    images: Path,
    out: Path,
    model: str = "",  # as in load_parser
    aligned: bool = False,
    size: int = 256,  # side of aligned images in pixels
    skip_bad: bool = False,
) -> None:
    """Write a label map (CelebAMask-HQ numbering) for every image in `images`. A repeated call resumes.

    `out` receives STEM.png, each as large as its image; with `aligned`, images/STEM.png and masks/STEM.png instead.
    Only the central square is parsed, as `data prepare` crops to it; around it, labels are background. WsdlError for
    damaged images and images without a face; skip_bad reports and skips them.
    """
    check_ranges(size=size)
    files, parser, out = list_images(images), load_parser(model), Path(out)
    faces, masks = (out / "images", out / "masks") if aligned else (None, out)
    recipe = {"parser": parser.fingerprint, "aligned": aligned, "size": size if aligned else None}
    _check_output(Path(images), faces, masks, files, out)
    write_or_check_config(out / _RECIPE, recipe, begun=holds_images(out))
    missing = [name for name in files if not (masks / f"{name}.png").exists()]
    done = len(files) - len(missing)
    with ThreadPoolExecutor() as pool:  # decoding and encoding release the interpreter lock
        run = partial(_map_usable, pool, files, skip_bad)
        for batch in in_batches(missing, _BATCH, "parsing faces"):
            for names in split_by_pixels(batch, lambda name: pixels_in_file(files[name])):
                opened = run(lambda name: open_image(files[name]), names)
                labels = label_maps(parser, opened)
                if aligned:
                    opened = run(lambda name: _align(opened[name], labels[name], size), opened)  # noqa: B023
                    labels = label_maps(parser, opened)
                saved = run(lambda name: _save(faces, masks, name, opened[name], labels[name]), opened)  # noqa: B023
                done += len(saved)
    print_stderr(f"{out}: masks of {done} of {len(files)} images.")


def check_face(labels: np.ndarray) -> None:
    """NoFaceError unless `labels` [H, W] shows a plausible area of skin, and two of eyes or glasses, nose, mouth."""
    share = component_mask(labels, "skin").mean()
    if not _SKIN_AREA[0] <= share <= _SKIN_AREA[1]:
        raise NoFaceError(f"skin covers {share:.0%} of it")
    shown = {"eyes" if name == "glasses" else name for name in visible_components(labels)} & {"eyes", "nose", "mouth"}
    if len(shown) < 2:
        raise NoFaceError(f"it shows {' and '.join(shown) or 'neither eyes nor nose nor mouth'} only")


def label_maps(parser: Parser, opened: dict[str, Image.Image]) -> dict[str, np.ndarray]:
    """The label map of each image, uint8 [H, W]: parsed in its central square, background around it."""
    if not opened:
        return {}
    boxes = [_central_square(image.size) for image in opened.values()]
    squares = [np.asarray(image.crop(box)) for image, box in zip(opened.values(), boxes, strict=True)]
    maps = {}
    for (name, image), box, labels in zip(opened.items(), boxes, parser.parse_squares(squares), strict=True):
        left, top, right, bottom = box
        maps[name] = np.zeros((image.height, image.width), np.uint8)
        maps[name][top:bottom, left:right] = labels
    return maps


def _check_output(images: Path, faces: Path | None, masks: Path, files: dict, out: Path) -> None:
    """WsdlError where `out` holds the images themselves, or masks that `data parse` did not write."""
    if images.resolve() in (masks.resolve(), faces and faces.resolve()):
        raise WsdlError(f"{images}: is the folder of the images; choose another --out.")
    existing = [name for name in files if (masks / f"{name}.png").exists()]
    if existing and not (out / _RECIPE).exists():
        raise WsdlError(f"{masks / existing[0]}.png: was not made by data parse; choose another --out.")


def _map_usable(pool: ThreadPoolExecutor, files: dict, skip_bad: bool, work: Callable, names: Iterable[str]) -> dict:
    """{name: work(name)}; images that fail raise WsdlError, or are left out with skip_bad."""

    def work_or_skip(name: str):
        try:
            return work(name)
        except NoFaceError as reason:
            error = WsdlError(f"{files[name]}: no face was found ({reason}); leave it out with --skip-bad.")
        except WsdlError as problem:
            error = problem
        if not skip_bad:
            raise error
        print_stderr(f"skipped: {error}")

    names = list(names)
    results = zip(names, pool.map(work_or_skip, names), strict=True)
    return {name: value for name, value in results if value is not None}


def _central_square(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the square that `resize_image` crops to."""
    side = min(size)
    left, top = ((length - side) // 2 for length in size)
    return left, top, left + side, top + side


def _align(image: Image.Image, labels: np.ndarray, size: int) -> Image.Image:
    check_face(labels)
    return align_face(image, eye_centres(labels), size)


def _save(faces: Path | None, masks: Path, name: str, image: Image.Image, labels: np.ndarray) -> bool:
    """Write one result; the mask is written last, as it marks the image as done."""
    check_face(labels)
    if faces:
        write_image(faces / f"{name}.png", np.asarray(image))
    write_image(masks / f"{name}.png", labels)
    return True
