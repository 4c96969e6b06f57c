"""FFHQ as it unpacks: images1024x1024/00000/00000.png, in folders of a thousand, also with 256 or 128 px."""

from collections import Counter
from pathlib import Path

from wsdl.core.io import WsdlError
from wsdl.core.progress import print_stderr
from wsdl.data.layout import Counts, Layout, read_pairs, split_at_random

VARIANTS = ("images1024x1024", "images512x512", "images256x256", "thumbnails128x128")
_PER_FOLDER = 1000
_LICENCE = "CC BY-NC-SA 4.0 (FFHQ; each photograph has its own)"


def read_ffhq(images: Path, masks: Path | None, seed: int, counts: Counts | None = None, skip_bad=False) -> Layout:
    """The faces of FFHQ, split at random (FFHQ does not say who is who).

    images: the unpacked folder, or one of VARIANTS in it. masks: label maps with the same names, in such folders or in
    one, for example by `data parse`. skip_bad: leave out images without one. WsdlError where `images` holds several
    variants.
    """
    images = Path(images)
    found = [images / name for name in VARIANTS if (images / name).is_dir()]
    if len(found) > 1:
        raise WsdlError(f"{images}: holds {' and '.join(path.name for path in found)}; give one of them as --images.")
    folder = found[0] if found else images
    layout = read_pairs(folder, masks, skip_bad)
    layout.may_scale, layout.licence = True, _LICENCE
    layout.splits = split_at_random(list(layout.files), seed, counts)
    _report_incomplete(layout.files)
    if not masks:
        print_stderr(f"{folder}: without --masks nothing can be inpainted; `python -m wsdl data parse --images "
                     f"{folder} --out MASKS` predicts them.")  # fmt: skip
    return layout


def _report_incomplete(files: dict[str, Path]) -> None:
    """Name the first folder of a thousand that has fewer images, unless it is the last: an archive may be broken."""
    sizes = Counter(path.parent for path in files.values() if path.parent.name.isdecimal())
    short = [folder for folder in sorted(sizes)[:-1] if sizes[folder] < _PER_FOLDER]
    if short:
        print_stderr(f"{short[0]}: holds {sizes[short[0]]} images, but a complete folder has {_PER_FOLDER:,} "
                     f"({len(short)} such folders).")  # fmt: skip
