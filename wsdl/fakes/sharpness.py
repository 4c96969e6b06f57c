"""Paint made as sharp as what it replaced: what a detector still finds then is not mere smoothness.

Generators paint too smoothly: they learn what a region looks like, and little of the noise of the camera. A detector
may learn to see that and nothing else. So each fake is brought to the sharpness that its real face has in the same
region: too smooth, it gets grain; too sharp, it is blurred. How much is searched for, not chosen.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from wsdl import __version__
from wsdl.core.io import WsdlError, copy_if_missing, read_json, seed_for, sha256, write_json
from wsdl.core.parallel import parallel_map
from wsdl.core.run import write_or_check_config
from wsdl.data.dataset import Dataset
from wsdl.data.images import write_image
from wsdl.data.manifest import hash_faces, label_map_path, write_manifest
from wsdl.evaluation.forensics import noise_of
from wsdl.fakes.quality import erode_mask, relative_sharpness

_BLUR_SIGMA = 1.5  # pixels: what is too sharp is mixed with itself blurred like this
_MAX_GRAIN = 32.0  # times the noise of the picture
_BISECTIONS = 12  # of the interval in which the right amount lies


def match_sharpness(fake: np.ndarray, real: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bring the inpainted region of `fake` to the sharpness of the same region of `real`: uint8 [H, W, 3].

    fake, real: uint8 [H, W, 3]; mask [H, W], 1 = paint. Outside the mask nothing changes. Grain is what denoising takes
    away from the real picture, moved elsewhere: the noise of the same camera, with nothing of what was in that place.
    """
    inside, smooth = erode_mask(mask), relative_sharpness(fake, real, erode_mask(mask)) < 1
    change, most = (_grain(real, rng), _MAX_GRAIN) if smooth else (_blur_difference(fake), 1.0)

    def changed(amount: float) -> np.ndarray:
        return np.where(mask[..., None] == 1, (fake + amount * change).round().clip(0, 255), fake).astype(np.uint8)

    low, high = 0.0, most
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        enough = (relative_sharpness(changed(middle), real, inside) >= 1) == smooth
        low, high = (low, middle) if enough else (middle, high)
    return changed(high)


def _grain(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The noise of `picture` uint8 [H, W, 3], moved by at least a quarter of its sides: float [H, W, 3]."""
    noise = np.dstack([noise_of(colour) for colour in picture.astype(np.float32).transpose(2, 0, 1)])
    return np.roll(noise, [rng.integers(side // 4, side - side // 4) for side in noise.shape[:2]], axis=(0, 1))


def _blur_difference(picture: np.ndarray) -> np.ndarray:
    return gaussian_filter(picture.astype(np.float64), (_BLUR_SIGMA, _BLUR_SIGMA, 0)) - picture


def match_sharpness_dataset(data: Path, out: Path, seed: int = 0) -> Dataset:
    """Write `data` to `out` with every partial fake matched; all else is copied as it is.

    Run again, it makes only what is missing, or was made of a fake that is another now: more fakes may be added.
    WsdlError without partial fakes, where their real faces are missing, or where `out` was begun with other faces.
    """
    dataset, out = Dataset(data), Path(out)
    fakes = dataset.select(kind="partial")
    if fakes.empty:
        raise WsdlError(f"{data}: has no partial fakes to match; make some with `python -m wsdl generate`.")
    faces = dict(zip(fakes.index, dataset.source_index(fakes), strict=True))
    write_or_check_config(out / "recipe.json", {"matched": hash_faces(dataset.select(kind="real")), "seed": seed})
    _delete_outdated(out, dict(zip(dataset.table.path, dataset.table.sha256, strict=True)))
    images, masks = dataset.images, dataset.masks

    def one(row) -> str:
        """Write one row's files, unless they are there; the sha256 of its picture."""
        if row.kind != "partial":
            for path in (row.path, label_map_path(row)):
                copy_if_missing(dataset.folder / path, out / path)
        elif not (out / row.path).exists():
            copy_if_missing(dataset.folder / row.mask, out / row.mask)
            rng = np.random.default_rng(seed_for(seed, "match", row.path))
            write_image(
                out / row.path, match_sharpness(images[row.Index], images[faces[row.Index]], masks[row.Index], rng)
            )
        return sha256(out / row.path)

    table = dataset.table.assign(sha256=parallel_map(one, dataset.table.itertuples(), "matching sharpness"))
    made = {"command": f"python -m wsdl data match --seed {seed}", "seed": seed, "version": __version__}
    made_by = dataset.info.get("made_by", [])
    made_by = [*(made_by if isinstance(made_by, list) else [made_by]), made]
    write_manifest(out, table, {**dataset.info, "made_by": made_by})
    return Dataset(out)


def _delete_outdated(out: Path, made_of: dict[str, str]) -> None:
    """Delete what `out` has of files that are others now, and note of which it is made: path -> sha256."""
    note = out / "made_of.json"
    old = read_json(note) if note.exists() else {}
    for path in (path for path, sha in old.items() if made_of.get(path) != sha):
        for each_of in (path, path.replace("/images/", "/masks/")):
            (out / each_of).unlink(missing_ok=True)
    write_json(note, made_of)
