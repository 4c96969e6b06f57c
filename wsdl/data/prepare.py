"""`data prepare`: a folder of face pictures and component masks becomes a dataset folder."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wsdl import __version__
from wsdl.data.layout import COLUMNS, split_names, write_manifest
from wsdl.data.masks import read_labels
from wsdl.data.pictures import list_pictures, open_picture, resize, write_picture
from wsdl.files import WsdlError, sha256
from wsdl.progress import bar, say
from wsdl.runs import claim


def prepare(
    images: Path,
    masks: Path | None,
    out: Path,
    size: int = 128,
    seed: int = 0,
    source: str = "photos",
    licence: str = "unknown",
    skip_bad: bool = False,
) -> None:
    """Write the real faces of a dataset into `out` (paper, section 3). Run again, it does only what is missing.

    images, masks: folders with the same stems; masks are label maps in CelebAMask-HQ numbering, None if there are
    none (then nothing can be repainted). skip_bad leaves broken pictures out, naming each, instead of stopping.
    """
    pictures = list_pictures(images)
    labels = list_pictures(masks) if masks else {}
    check_pairs(pictures, labels, images, masks)
    splits = split_names(list(pictures), seed)
    recipe = {"source": source, "size": size, "seed": seed, "pictures": len(pictures), "masks": bool(masks)}
    out = Path(out)
    claim(out / "recipe.json", recipe)
    if (out / "manifest.csv").exists():
        return say(f"{out}: prepared already.")

    def one(name: str) -> dict | WsdlError:
        try:
            return write_face(out, name, splits[name], pictures[name], labels.get(name), size)
        except WsdlError as error:
            return error

    rows, progress = [], bar(len(pictures), "preparing faces")
    with ThreadPoolExecutor() as pool:  # Pillow releases the interpreter lock while it decodes and encodes
        for result in pool.map(one, pictures):
            progress.update()
            if isinstance(result, WsdlError):
                if not skip_bad:
                    pool.shutdown(cancel_futures=True)
                    raise result
                say(f"skipped: {result}")
                continue
            rows.append(result)
    progress.close()
    info = {"name": source, "size": size, "licence": licence,
            "made_by": {"command": f"python -m wsdl data prepare --source {source} --size {size} --seed {seed}",
                        "seed": seed, "version": __version__}}
    write_manifest(out, pd.DataFrame(rows, columns=COLUMNS), info)


def check_pairs(pictures: dict, labels: dict, images: Path, masks: Path | None) -> None:
    """Every picture has its mask and every mask its picture, or WsdlError."""
    if masks is None:
        return
    for name in labels:
        if name not in pictures:
            raise WsdlError(f"{labels[name]}: mask without a picture; {images} has none named {name}.")
    for name in pictures:
        if name not in labels:
            raise WsdlError(f"{pictures[name]}: picture without a mask; {masks} has none named {name}.")


def write_face(out: Path, name: str, split: str, picture: Path, labels: Path | None, size: int) -> dict:
    """Decode, resize and write one real face and its label map; returns its row of the manifest."""
    path = Path("real", split, f"{name}.png")
    components = out / "components" / split / f"{name}.png"
    if not (out / path).exists() or (labels and not components.exists()):
        image = open_picture(picture)
        if labels:
            write_picture(components, resized_labels(labels, image.size, size))
        try:
            write_picture(out / path, np.asarray(resize(image, size)))
        except ValueError as error:
            raise WsdlError(f"{picture}: {error}; leave it out, or choose a smaller --size.") from None
    return {"path": str(path), "mask": "", "kind": "real", "generator": "", "component": "", "area": 0.0,
            "source_id": name, "split": split, "sha256": sha256(out / path)}


def resized_labels(path: Path, picture_size: tuple[int, int], size: int) -> np.ndarray:
    """The label map at `path` as uint8 [size, size] (nearest neighbour). WsdlError if it does not fit its picture."""
    labels = read_labels(path)
    height, width = labels.shape
    if (width, height) != picture_size:
        raise WsdlError(f"{path}: is {width}x{height}, but its picture is {picture_size[0]}x{picture_size[1]}.")
    top, left = (height - min(labels.shape)) // 2, (width - min(labels.shape)) // 2
    square = labels[top : top + min(labels.shape), left : left + min(labels.shape)]
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.NEAREST))
