"""COCO Glide as it unpacks, as a dataset whose real images and partial fakes are all test data.

real/dining table_114871.png, fake/glide_inpainting_val2017_114871_up.png and mask/dining table_114871_mask.png belong
together by their number. In its masks white is fake; the dataset gets masks in the Dolos convention.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from wsdl import __version__
from wsdl.core.io import WsdlError, sha256
from wsdl.core.locks import one_writer
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.ranges import check_ranges
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.decode import decode
from wsdl.data.images import existing_folder, list_image_files, resize_image, resize_labels, write_image
from wsdl.data.manifest import MANIFEST_COLUMNS, finish_manifest, write_manifest
from wsdl.data.masks import read_mask, write_mask

GENERATOR = "glide"
FOLDERS = ("real", "fake", "mask")
SIZE = 256  # of its images


@one_writer("out")
def prepare_coco_glide(images: Path, out: Path, size: int = SIZE, licence: str = "unknown") -> None:
    """Write COCO Glide as a dataset folder with the test split only, in seconds; an interrupted call begins anew.

    images: the unpacked folder, with real/, fake/ and mask/. WsdlError names a missing piece, a file that does not fit,
    and masks that are white where nothing was inpainted.
    """
    check_ranges(size=size)
    images, out = Path(images), Path(out)
    pieces = {name: _by_number(existing_folder(images / name)) for name in FOLDERS}
    for others in pieces.values():
        for other, found in pieces.items():
            for number in sorted(others.keys() - found.keys()):
                raise WsdlError(f"{others[number]}: has no partner in {images / other}; none there has {number}.")
    recipe = {"source": "coco-glide", "size": size, "pictures": len(pieces["real"])}
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    finish_manifest(out)
    if (out / "manifest.csv").exists():
        return print_stderr(f"{out}: prepared already.")

    def prepare_pair(number: str) -> tuple[list[dict], float]:
        return _prepare_pair(*(pieces[name][number] for name in FOLDERS), out, number, size)

    pairs = parallel_map(prepare_pair, pieces["real"], "preparing images")
    if sum(contrast for _, contrast in pairs) < 0:
        raise WsdlError(f"{images / 'mask'}: are white where real and fake agree, so they are inverted; white is fake.")
    table = pd.DataFrame([row for rows, _ in pairs for row in rows], columns=MANIFEST_COLUMNS)
    made_by = {"command": f"python -m wsdl data prepare --source coco-glide --size {size}", "version": __version__}
    write_manifest(out, table, {"name": "coco-glide", "size": size, "licence": licence, "made_by": made_by})


def _by_number(folder: Path) -> dict[str, Path]:
    """The images in `folder` by the last number in their names. WsdlError where there is none, or one occurs twice."""
    found: dict[str, Path] = {}
    for path in list_image_files(folder).values():
        numbers = re.findall(r"\d+", path.stem)
        if not numbers:
            raise WsdlError(f"{path}: has no number in its name, as the images of COCO Glide have.")
        if numbers[-1] in found:
            raise WsdlError(f"{path}: has the same number as {found[numbers[-1]].name}; keep one of them.")
        found[numbers[-1]] = path
    return found


def _prepare_pair(real: Path, fake: Path, mask: Path, out: Path, number: str, size: int) -> tuple[list[dict], float]:
    """Two rows of the manifest, and how much more the images differ inside the mask than outside."""
    opened = [decode(path).image for path in (real, fake)]
    region = 1 - read_mask(mask)  # its polarity is the other one
    for path, width, height in ((fake, *opened[1].size), (mask, *region.shape[::-1])):
        if (width, height) != opened[0].size:
            raise WsdlError(f"{path}: is {width}x{height}, but {real.name} is {'x'.join(map(str, opened[0].size))}.")
    before, after = (np.asarray(image, np.float32) for image in opened)
    difference = np.abs(after - before).mean(-1)
    contrast = (difference[region == 1].mean() if region.any() else 0.0) - (
        difference[region == 0].mean() if not region.all() else 0.0
    )
    try:
        pixels = [np.asarray(resize_image(image, size)) for image in opened]
    except ValueError as error:
        raise WsdlError(f"{real}: {error}; choose a smaller --size.") from None
    region = resize_labels(region, size)
    names = [f"real/test/{number}.png", *(f"fake/{GENERATOR}/{what}/test/{number}.png" for what in ("images", "masks"))]
    for name, values in zip(names, (*pixels, region), strict=True):
        (write_mask if values.ndim == 2 else write_image)(out / name, values)
    shared = {"component": "", "source_id": number, "split": "test"}
    return [
        shared | {"path": names[0], "mask": "", "kind": "real", "generator": "", "area": 0.0,
                  "sha256": sha256(out / names[0])},
        shared | {"path": names[1], "mask": names[2], "kind": "partial", "generator": GENERATOR,
                  "area": float(region.mean()), "sha256": sha256(out / names[1])},
    ], float(contrast)  # fmt: skip
