"""Bad images and masks: in a folder to prepare, in a dataset folder, and given to localize."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from bad_input import BadInput
from PIL import Image

PREPARE = "data prepare --images {images} --masks {masks} --out {out} --size 32"
TRAIN = "train --setup c --data {data} --out {out}"
NOT_AN_IMAGE = "is not an image in a supported format"


# --- one file made bad, in place ------------------------------------------------------------------------------------


def write(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def cut_jpeg(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:900])


def claim_size(side: int, path: Path) -> None:
    """A PNG whose header says side x side."""
    data = bytearray(path.read_bytes())
    data[16:24] = side.to_bytes(4, "big") * 2
    path.write_bytes(data)
    fix_crc(path)


def fix_crc(path: Path) -> None:
    from zlib import crc32

    data = bytearray(path.read_bytes())
    data[29:33] = crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(data)


def save(pixels: np.ndarray, path: Path, form: str = "PNG") -> None:
    Image.fromarray(pixels).save(path, form)


def save_as(form: str, mode: str, path: Path) -> None:
    Image.open(path).convert(mode).save(path, form)


def rotate(orientation: int, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif)


def break_exif(path: Path) -> None:
    Image.open(path).save(path, exif=b"Exif\0\0MM\0*\0\0")


def shrink(path: Path) -> None:
    Image.open(path).resize((24, 24), Image.Resampling.NEAREST).save(path)


def replace_by(make, path: Path) -> None:
    path.unlink()
    make(path)


def loop(path: Path) -> None:
    path.symlink_to(path)


def dangle(path: Path) -> None:
    path.symlink_to(path.with_name("gone.png"))


RAMP = np.arange(1024).reshape(32, 32) // 4
GREY = np.linspace(0, 1, 64 * 64).reshape(64, 64).astype(np.float32)
PIPE, FOLDER = partial(replace_by, os.mkfifo), partial(replace_by, Path.mkdir)
NO_FILE = "is not a file but a folder, a pipe or a device"

IMAGES = {  # what is done to images/0003.png, and the answer
    "text": (partial(write, b"dear diary, today"), NOT_AN_IMAGE),
    "empty": (partial(write, b""), NOT_AN_IMAGE),
    "postscript": (partial(write, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n"), NOT_AN_IMAGE),
    "svg": (partial(write, b'<svg xmlns="http://www.w3.org/2000/svg"/>'), NOT_AN_IMAGE),
    "signature-only": (partial(write, b"\x89PNG\r\n\x1a\n"), NOT_AN_IMAGE),
    "cut": (cut, r"cannot be decoded \(.*truncated"),
    "cut-jpeg": (cut_jpeg, r"cannot be decoded \(.*truncated"),
    "bomb": (partial(claim_size, 60_000), "has too many pixels; the limit is 178 million"),
    "large": (partial(claim_size, 13_350), "has 13350x13350 pixels; the limit is 178 million"),
    "broken-exif": (break_exif, "cannot be decoded"),
    "rotated": (partial(rotate, 3), "is rotated by its EXIF orientation 3, so image and mask may not fit"),
    "rotated-square": (partial(rotate, 6), "is rotated by its EXIF orientation 6"),
    "mirrored": (partial(rotate, 2), "is rotated by its EXIF orientation 2"),
    "floats": (partial(save, GREY * 255, form="TIFF"), ".*go from 0 to 255, so its white level is unknown"),
    "nan": (partial(save, GREY + np.nan, form="TIFF"), ".*white level is unknown; save it with 8 bits"),
    "negative": (
        partial(save, np.int32(GREY * 9 - 5), form="TIFF"),
        ".*go from -5 to 4, so its white level",
    ),
    "17-bits": (partial(save, np.int32(GREY * 131071), form="TIFF"), ".*go from 0 to 131071, so its white level"),
    "folder": (FOLDER, NO_FILE),
    "pipe": (PIPE, NO_FILE),
    "dangling-link": (partial(replace_by, dangle), "no such file"),
    "endless-link": (partial(replace_by, loop), "cannot be read"),
    "missing": (Path.unlink, "mask without an image"),
}

COMPONENTS = {  # what is done to masks/0003.png
    "text": (partial(write, b"dear diary, today"), NOT_AN_IMAGE),
    "cut": (cut, "cannot be decoded"),
    "bomb": (partial(claim_size, 60_000), "has too many pixels"),
    "broken-exif": (break_exif, "cannot be decoded"),
    "rotated": (partial(rotate, 3), "is rotated by its EXIF orientation 3"),
    "jpeg": (partial(save_as, "JPEG", "L"), "is a JPEG, which changes class numbers; save component masks as PNG"),
    "colour": (partial(save_as, "PNG", "RGB"), "has mode RGB, but a component mask is a palette or grey image"),
    "alpha": (partial(save_as, "PNG", "LA"), "has mode LA"),
    "16-bit": (partial(save, np.zeros((64, 64), np.uint16)), "has mode I;16"),
    "class-40": (partial(save, np.full((64, 64), 40, np.uint8)), "has the unknown class 40"),
    "small": (shrink, "is 24x24, but its image, upright, is 64x64"),
    "pipe": (PIPE, NO_FILE),
    "missing": (Path.unlink, "image without a mask"),
}

FAKE_IMAGES = {  # what is done to the image of the first partial fake
    "text": (partial(write, b"dear diary, today"), NOT_AN_IMAGE),
    "cut": (cut, "cannot be decoded"),
    "bomb": (partial(claim_size, 60_000), "has too many pixels"),
    "rotated": (partial(rotate, 8), "is rotated by its EXIF orientation 8"),
    "small": (shrink, "its image is 24x24, but this dataset has 32x32"),
    "pipe": (PIPE, NO_FILE),
    "missing": (Path.unlink, "no such file"),
}

FAKE_MASKS = {  # what is done to its mask
    "cut": (cut, "cannot be decoded"),
    "bomb": (partial(claim_size, 60_000), "has too many pixels"),
    "rotated": (partial(rotate, 3), "is rotated by its EXIF orientation 3"),
    "ramp": (
        partial(save, np.uint8(RAMP)),
        "is not a mask; its red values go from 0 to 255, but must",
    ),
    "zero-and-one": (
        partial(save, np.eye(32, dtype=np.uint8)),
        "is not a mask; its red values go from 0 to 1, but",
    ),
    "nearly-white": (
        partial(save, np.full((32, 32), 254, np.uint8)),
        "is not a mask; its red values go from 254",
    ),
    "small": (shrink, "its mask is 24x24, but this dataset has 32x32"),
    "pipe": (PIPE, NO_FILE),
    "missing": (Path.unlink, "no such file"),
}


def first_training_fake(place: Path) -> pd.Series:
    table = pd.read_csv(place / "data" / "manifest.csv", keep_default_na=False)
    return table[(table.kind == "partial") & (table.split == "train")].iloc[0]  # others are not read


def spoil(folder: str, change, place: Path) -> None:
    change(place / folder / "0003.png")


def spoil_fake(column: str, change, place: Path) -> None:
    change(place / "data" / first_training_fake(place)[column])


def spoil_all(change, place: Path) -> None:
    for path in (place / "images").iterdir():
        change(path)


def only_leftovers(place: Path) -> None:
    for path in (place / "images").iterdir():
        path.rename(path.with_name("._" + path.name))
    (place / "images" / "Thumbs.db").write_bytes(b"x")


def same_stem(place: Path) -> None:
    Image.open(place / "images" / "0003.png").save(place / "images" / "0003.jpg")


def dolos(change, place: Path) -> None:
    """Make a Dolos download of the dataset, with the masks of its partial fakes changed."""
    for row in pd.read_csv(place / "data" / "manifest.csv", keep_default_na=False)["mask"]:
        if row:
            change(place / "data" / row)
    for name in ("manifest.csv", "dataset.json"):
        (place / "data" / name).unlink()


def invert(path: Path) -> None:
    save(255 - np.asarray(Image.open(path)), path)


def components_of_all(change, place: Path) -> None:
    for path in (place / "data" / "components").rglob("*.png"):
        change(path)


CASES = [
    *(BadInput(f"prepare-image-{name}", PREPARE, f"0003.png: {answer}", partial(spoil, "images", change))
      for name, (change, answer) in IMAGES.items()),
    *(BadInput(f"prepare-mask-{name}", PREPARE, f"0003.png: {answer}", partial(spoil, "masks", change))
      for name, (change, answer) in COMPONENTS.items()),
    *(BadInput(f"train-image-{name}", TRAIN, f"png: {answer}", partial(spoil_fake, "path", change))
      for name, (change, answer) in FAKE_IMAGES.items()),
    *(BadInput(f"train-mask-{name}", TRAIN, f"png: {answer}", partial(spoil_fake, "mask", change))
      for name, (change, answer) in FAKE_MASKS.items()),
    BadInput("prepare-image-small", PREPARE, "0003.png: is 24x24, smaller than the target of 32 px",
             lambda place: [shrink(place / folder / "0003.png") for folder in ("images", "masks")]),
    BadInput("prepare-same-stem", PREPARE, "0003.png: has the same name as 0003.jpg", same_stem),
    BadInput("prepare-only-leftovers", PREPARE, "images: holds no images", only_leftovers),
    BadInput("prepare-all-damaged", f"{PREPARE} --skip-bad", "images: holds no usable image; all 24 were skipped",
             partial(spoil_all, cut)),
    BadInput("prepare-no-images", "data prepare --images {place}/none --out {out}", "none: no such folder"),
    BadInput("prepare-images-is-a-file", "data prepare --images {images}/0003.png --out {out}", "is a file; unpack it"),
    BadInput("prepare-no-masks", "data prepare --images {images} --masks {place}/none --out {out}",
             "none: no such folder"),
    BadInput("parse-only-leftovers", "data parse --images {images} --out {out}", "holds no images", only_leftovers),
    BadInput("parse-image-pipe", "data parse --images {images} --out {out}", f"0003.png: {NO_FILE}",
             partial(spoil, "images", PIPE)),
    BadInput("parse-image-cut", "data parse --images {images} --out {out}", "0003.png: cannot be decoded",
             partial(spoil, "images", cut)),
    BadInput("audit-image-cut", "data audit {data}", "png: cannot be decoded", partial(spoil_fake, "path", cut)),
    BadInput("audit-image-pipe", "data audit {data}", f"png: {NO_FILE}", partial(spoil_fake, "path", PIPE)),
    BadInput("audit-mask-ramp", "data audit {data}", "is not a mask",
             partial(spoil_fake, "mask", FAKE_MASKS["ramp"][0])),
    BadInput("judge-mask-cut", "data judge {data}", "png: cannot be decoded", partial(spoil_fake, "mask", cut)),
    BadInput("match-mask-ramp", "data match {data} --out {out}", "is not a mask",
             partial(spoil_fake, "mask", FAKE_MASKS["ramp"][0])),
    BadInput("dolos-mask-ramp", TRAIN, "is not a mask", partial(dolos, FAKE_MASKS["ramp"][0])),
    BadInput("dolos-mask-zero-and-one", TRAIN, "is not a mask", partial(dolos, FAKE_MASKS["zero-and-one"][0])),
    BadInput("dolos-mask-inverted", TRAIN, "are probably inverted; 255 must be real", partial(dolos, invert)),
    BadInput("dolos-mask-pipe", TRAIN, NO_FILE, partial(dolos, PIPE)),
    BadInput("generate-components-jpeg", "generate repaint-p2 --data {data} --weights {p2} --count 2 --out {out}",
             "png: is a JPEG", partial(components_of_all, partial(save_as, "JPEG", "L"))),
    BadInput("generate-components-cut", "generate repaint-p2 --data {data} --weights {p2} --count 2 --out {out}",
             "png: cannot be decoded", partial(components_of_all, cut)),
    BadInput("train-parser-components-cut", "train-parser --data {data} --out {out}", "png: cannot be decoded",
             partial(components_of_all, cut)),
]  # fmt: skip
