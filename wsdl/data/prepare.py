"""`data prepare`: a folder of face pictures and component masks becomes a dataset folder."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from wsdl import __version__
from wsdl.core.io import WsdlError, read_json, sha256
from wsdl.core.parallel import parallel_map
from wsdl.core.progress import print_stderr
from wsdl.core.run import write_or_check_config
from wsdl.data.images import list_image_files, open_image, resize_image, write_image
from wsdl.data.manifest import MANIFEST_COLUMNS, assign_splits, finish_manifest, write_manifest
from wsdl.data.masks import read_label_map


def prepare_dataset(
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
    pictures = list_image_files(images)
    labels = list_image_files(masks) if masks else {}
    _check_pairs(pictures, labels, images, masks)
    splits = assign_splits(list(pictures), seed)
    names = hashlib.sha256("\n".join(pictures).encode()).hexdigest()[:16]
    recipe = {"source": source, "size": size, "seed": seed, "pictures": len(pictures), "names": names,
              "masks": bool(masks)}  # fmt: skip
    out = Path(out)
    write_or_check_config(out / "recipe.json", recipe)
    finish_manifest(out)
    if (out / "manifest.csv").exists():
        return print_stderr(f"{out}: prepared already.")
    for left in out.rglob(".*.part"):  # by a run that was killed
        left.unlink()

    def one(name: str) -> dict | None:
        path, components = (out / folder / splits[name] / f"{name}.png" for folder in ("real", "components"))
        if not path.exists() or (masks and not components.exists()):
            try:
                face = _read_face(pictures[name], labels.get(name), size)
            except WsdlError as error:
                if not skip_bad:
                    raise
                return print_stderr(f"skipped: {error}")
            _write_face(path, components, *face)
        return {"path": str(path.relative_to(out)), "mask": "", "kind": "real", "generator": "", "component": "",
                "area": 0.0, "source_id": name, "split": splits[name], "sha256": sha256(path)}  # fmt: skip

    rows = [row for row in parallel_map(one, pictures, "preparing faces") if row]
    if not rows:
        raise WsdlError(f"{images}: holds no usable picture; all {len(pictures)} were skipped.")
    made_by = {"command": f"python -m wsdl data prepare --source {source} --size {size} --seed {seed}", "seed": seed,
               "version": __version__, **_render_recipe(images)}  # fmt: skip
    info = {"name": source, "size": size, "licence": licence, "made_by": made_by}
    write_manifest(out, pd.DataFrame(rows, columns=MANIFEST_COLUMNS), info)


def _render_recipe(images: Path) -> dict:
    """What `faces render` says of the pictures it made, in recipe.json beside their folder: style, seed, versions."""
    recipe = Path(images).parent / "recipe.json"
    about = read_json(recipe) if recipe.exists() else {}
    return {"faces": about} if "style" in about else {}


def _check_pairs(pictures: dict, labels: dict, images: Path, masks: Path | None) -> None:
    """Every picture has its mask and every mask its picture, or WsdlError."""
    if masks is None:
        return
    for name in labels:
        if name not in pictures:
            raise WsdlError(f"{labels[name]}: mask without a picture; {images} has none named {name}.")
    for name in pictures:
        if name not in labels:
            raise WsdlError(f"{pictures[name]}: picture without a mask; {masks} has none named {name}.")


def _read_face(picture: Path, labels: Path | None, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """One real face [size, size, 3] and its label map [size, size], if it has one. WsdlError where either is bad."""
    image = open_image(picture)
    components = _resize_label_map(labels, image.size, size) if labels else None
    try:
        return np.asarray(resize_image(image, size)), components
    except ValueError as error:
        raise WsdlError(f"{picture}: {error}; leave it out, or choose a smaller --size.") from None


def _write_face(path: Path, components_path: Path, pixels: np.ndarray, components: np.ndarray | None) -> None:
    if components is not None:
        write_image(components_path, components)
    write_image(path, pixels)


def _resize_label_map(path: Path, picture_size: tuple[int, int], size: int) -> np.ndarray:
    """The label map at `path` as uint8 [size, size] (nearest neighbour). WsdlError if it does not fit its picture."""
    labels = read_label_map(path)
    height, width = labels.shape
    if (width, height) != picture_size:
        raise WsdlError(f"{path}: is {width}x{height}, but its picture is {picture_size[0]}x{picture_size[1]}.")
    top, left = (height - min(labels.shape)) // 2, (width - min(labels.shape)) // 2
    square = labels[top : top + min(labels.shape), left : left + min(labels.shape)]
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.NEAREST))
