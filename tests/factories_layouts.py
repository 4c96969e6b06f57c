"""Miniatures of the official downloads, as they unpack, made of drawn faces."""

from pathlib import Path

import numpy as np
from PIL import Image

from wsdl.data.celebahq import ANNOTATIONS, IMAGES, MAPPING, PARTITION, PARTS, PEOPLE
from wsdl.data.dataset import Dataset
from wsdl.data.images import list_image_files

_ON_SKIN = (1, 2, 3, 4, 5, 6, 7, 10, 11, 12)  # classes that the skin part of the download lies beneath


def _images(made_up: tuple[Path, Path]) -> list[tuple[Image.Image, np.ndarray]]:
    """Drawn faces, twice as large as their label maps."""
    pairs = zip(*(list_image_files(folder).values() for folder in made_up), strict=True)
    opened = ((Image.open(image), np.asarray(Image.open(labels))) for image, labels in pairs)
    return [(image.resize((2 * image.width, 2 * image.height)), labels) for image, labels in opened]


def photo(i: int) -> int:
    """The number of the photograph of CelebA of image i: two thirds are of train, the rest of valid and test."""
    return (1 + i, 1001 + i, 2001 + i, 3001 + i, 170_001 + i, 190_001 + i)[i % 6]


def person(i: int) -> int:
    """The person in image i: i and i + 12 show the same one."""
    return 100 + i % 12


def miniature_celebahq(made_up: tuple[Path, Path], root: Path) -> Path:
    """The folder CelebAMask-HQ: 24 images of 128 px, part masks of 64 px in folders of ten, the mapping file."""
    lines = ["idx\torig_idx\torig_file"]
    (root / IMAGES).mkdir(parents=True)
    for i, (image, labels) in enumerate(_images(made_up)):
        folder = root / ANNOTATIONS / str(i // 10)
        folder.mkdir(parents=True, exist_ok=True)
        image.save(root / IMAGES / f"{i}.jpg", quality=95)
        for number in np.unique(labels[labels > 0]):
            part = np.isin(labels, _ON_SKIN) if number == 1 else labels == number
            Image.fromarray(part.astype(np.uint8) * 255).convert("RGB").save(
                folder / f"{i:05d}_{PARTS[number - 1]}.png"
            )
        lines.append(f"{i}          {photo(i) - 1}     {photo(i):06d}.jpg")
    (root / MAPPING).write_text("\n".join(lines) + "\n")
    return root


def celeba_lists(folder: Path) -> Path:
    """CelebA's lists of people and splits, as the folders Anno and Eval of its download."""
    for inside, name, value in (("Anno", PEOPLE, person), ("Eval", PARTITION, lambda i: (0, 0, 0, 0, 1, 2)[i % 6])):
        (folder / inside).mkdir(parents=True)
        (folder / inside / name).write_text("".join(f"{photo(i):06d}.jpg {value(i)}\n" for i in range(24)))
    return folder


def miniature_ffhq(made_up: tuple[Path, Path], root: Path, variant: str = "images1024x1024") -> Path:
    """The folder of FFHQ, 24 images of 128 px: a thousand a folder, of which most are not there."""
    for i, (image, _) in enumerate(_images(made_up)):
        path = root / variant / f"{i // 8:02d}000" / f"{i // 8:02d}{i % 8:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    return root


def miniature_coco_glide(dataset: Path, root: Path) -> Path:
    """The folders of COCO Glide, of the partial fakes in `dataset`: one of each face, numbers in the names."""
    data, number = Dataset(dataset), 1000
    fakes = data.select("partial").drop_duplicates("source_id")
    for name in ("real", "fake", "mask"):
        (root / name).mkdir(parents=True)
    for row, face in zip(fakes.itertuples(), data.source_index(fakes), strict=True):
        number += 7
        Image.fromarray(np.asarray(data.images[face])).save(root / "real" / f"dining table_{number}.png")
        Image.fromarray(np.asarray(data.images[row.Index])).save(
            root / "fake" / f"glide_inpainting_val2017_{number}_up.png"
        )
        Image.fromarray(data.masks[row.Index] * 255).save(root / "mask" / f"dining table_{number}_mask.png")
    return root
