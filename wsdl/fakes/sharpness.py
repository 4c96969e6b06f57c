"""Bring inpainted regions to the sharpness of the real regions they replaced: `data match`.

Generators inpaint too smoothly: they reproduce the content of a region, but little of the camera noise. A detector may
learn that and nothing else. So each fake gets the sharpness of its real face in the same region: noise is added where
it is too smooth, and it is blurred where it is too sharp. The amount is found by bisection.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl import __version__
from wsdl.core.io import WsdlError, copy_if_missing, is_written, path_inside, seed_for, sha256, write_json
from wsdl.core.locks import one_writer
from wsdl.core.parallel import parallel_map
from wsdl.core.records import read_object
from wsdl.core.run import holds_images, write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces, label_map_path, write_manifest
from wsdl.evaluation.forensics import noise_of
from wsdl.fakes.quality import erode_mask, relative_sharpness

_BLUR_SIGMA = 1.5  # pixels, of the blurred copy that too sharp regions are mixed with
_MAX_GRAIN = 32.0  # times the noise of the real image
_BISECTIONS = 12


def match_sharpness(fake: np.ndarray, real: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring the inpainted region of `fake` to the sharpness of the same region of `real`: uint8 [H, W, 3].

    fake, real: uint8 [H, W, 3]; mask [H, W], 1 = inpainted. Pixels outside the mask are unchanged. Sharpness is
    `wsdl.fakes.quality.relative_sharpness`. The added noise is the residual of denoising the real image, shifted: noise
    of the same camera without the content of this region.
    """
    inside = erode_mask(mask)
    smooth = relative_sharpness(fake, real, inside) < 1
    change, most = (_shifted_noise(real, rng), _MAX_GRAIN) if smooth else (_blur_difference(fake), 1.0)

    def changed(amount: float) -> np.ndarray:
        return np.where(mask[..., None] == 1, (fake + amount * change).round().clip(0, 255), fake).astype(np.uint8)

    low, high = 0.0, most
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        enough = (relative_sharpness(changed(middle), real, inside) >= 1) == smooth
        low, high = (low, middle) if enough else (middle, high)
    return changed(high)


def _shifted_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The noise residual of `image` uint8 [H, W, 3], shifted by at least a quarter of its sides: float [H, W, 3]."""
    noise = np.dstack([noise_of(colour) for colour in image.astype(np.float32).transpose(2, 0, 1)])
    return np.roll(noise, [rng.integers(side // 4, side - side // 4) for side in noise.shape[:2]], axis=(0, 1))


def _blur_difference(image: np.ndarray) -> np.ndarray:
    return gaussian_filter(image.astype(np.float64), (_BLUR_SIGMA, _BLUR_SIGMA, 0)) - image


@one_writer("out")
def match_sharpness_dataset(data: Path, out: Path, seed: int = 0) -> Dataset:
    """Write `data` to `out` with the sharpness of every partial fake matched; other files are copied.

    A second call makes only what is missing or was made from a fake that has changed, so fakes may be added. WsdlError
    without partial fakes, where their real faces are missing, or where `out` was begun with other faces.
    """
    dataset, out = Dataset(data), Path(out)
    fakes = dataset.select(kind="partial")
    if fakes.empty:
        raise WsdlError(f"{data}: has no partial fakes to match; make some with `python -m wsdl generate`.")
    face_of = dict(zip(fakes.index, dataset.source_index(fakes), strict=True))
    recipe = {"matched": hash_faces(dataset.select(kind="real")), "seed": seed}
    write_or_check_config(out / "recipe.json", recipe, begun=holds_images(out))
    _delete_outdated(out, dict(zip(dataset.table.path, dataset.table.sha256, strict=True)))
    images, masks = dataset.images, dataset.masks

    def write_row(row) -> str:
        """Write the files of one manifest row unless they exist; returns the sha256 of its image."""
        if row.kind != "partial":
            for path in (row.path, label_map_path(row)):
                copy_if_missing(dataset.folder / path, out / path)
        elif not is_written(out / row.path):
            copy_if_missing(dataset.folder / row.mask, out / row.mask)
            rng = np.random.default_rng(seed_for(seed, "match", row.path))
            fake, real, mask = images[row.Index], images[face_of[row.Index]], masks[row.Index]
            write_image(out / row.path, match_sharpness(fake, real, mask, rng))
        return sha256(out / row.path)

    table = dataset.table.assign(sha256=parallel_map(write_row, dataset.table.itertuples(), "matching sharpness"))
    made = {"command": f"python -m wsdl data match --seed {seed}", "seed": seed, "version": __version__}
    made_by = dataset.info.get("made_by", [])
    made_by = [*(made_by if isinstance(made_by, list) else [made_by]), made]
    write_manifest(out, table, {**dataset.info, "made_by": made_by})
    return Dataset(out)


def _delete_outdated(out: Path, made_of: dict[str, str]) -> None:
    """Delete files of `out` whose sources have changed, and record the sources in made_of.json: path -> sha256.

    WsdlError, and nothing is deleted, where made_of.json names a file outside `out`.
    """
    note = out / "made_of.json"
    old = read_object(note) if note.exists() else {}
    outdated = [path for path, sha in old.items() if made_of.get(path) != sha]
    paths = [path_inside(out, name) for path in outdated for name in (path, path.replace("/images/", "/masks/"))]
    for path in filter(Path.is_file, paths):
        path.unlink()
    write_json(note, made_of)
