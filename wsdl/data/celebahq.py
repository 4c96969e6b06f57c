"""CelebAMask-HQ as it unpacks: CelebA-HQ-img/7.jpg, and one file for each part of a face, merged to its label map.

CelebAMask-HQ-mask-anno/0/00007_hair.png is white where image 7 shows hair. The mapping file gives the photograph of
CelebA that an image was made of, and with it the person: all images of a person go to one split.
"""

import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from wsdl.core.io import WsdlError, read_text
from wsdl.core.progress import print_stderr
from wsdl.data.decode import opened
from wsdl.data.images import is_image_file, list_images
from wsdl.data.layout import Counts, Layout, read_pairs, split_at_random, with_masks
from wsdl.data.manifest import SPLITS
from wsdl.data.masks import CLASSES, LOSSY_FORMATS

IMAGES, ANNOTATIONS = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno"
MAPPING, PEOPLE, PARTITION = "CelebA-HQ-to-CelebA-mapping.txt", "identity_CelebA.txt", "list_eval_partition.txt"
# In the official drawing order: part i has class i + 1, and covers those before it.
PARTS = ("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip",
         "hair", "hat", "ear_r", "neck_l", "neck", "cloth")  # fmt: skip
assert len(PARTS) == len(CLASSES) - 1
# CelebA numbers its photographs by split, and a person is in one split: the first number of valid, and of test.
_FIRST_VALID, _FIRST_TEST = 162_771, 182_638
_LICENCE = "non-commercial research and education only (CelebAMask-HQ)"


def read_celebahq(
    images: Path,
    masks: Path | None,
    seed: int,
    lists: Path | None = None,
    counts: Counts | None = None,
    skip_bad: bool = False,
) -> Layout:
    """The faces of CelebAMask-HQ, named 00000 to 29999 (by their stems where masks are no parts), split by person.

    images: the unpacked folder, or CelebA-HQ-img in it. masks: CelebAMask-HQ-mask-anno, or label maps; default: found
    beside the images. lists: the folder of CelebA's identity_CelebA.txt or list_eval_partition.txt; default: searched
    beside the images. skip_bad: leave out images without part masks. Without the mapping file, a warning is printed.
    WsdlError names a file that does not fit.
    """
    root = Path(images)
    folder = root / IMAGES if (root / IMAGES).is_dir() else root
    masks = _find_masks(root if folder != root else root.parent, folder, masks)
    if masks and _holds_parts(masks):
        layout = _read_parts(folder, masks, skip_bad)
    else:
        layout = read_pairs(folder, masks, skip_bad)
    layout.may_scale, layout.licence = True, _LICENCE
    layout.splits, layout.fixed_splits = _split(layout, folder, lists, seed, counts)
    return layout


def _read_parts(folder: Path, masks: Path, skip_bad: bool) -> Layout:
    files = _numbered(list_images(folder), folder)
    parts = _find_parts(masks, files, folder)
    if skip_bad:
        files = with_masks(files, parts)
    for name, path in files.items():
        if name not in parts:
            raise WsdlError(f"{path}: image without part masks; {masks} has none that begins with {name}_.")
    return Layout(files, parts, read_labels=merge_parts)


def merge_parts(files: tuple[Path, ...]) -> np.ndarray:
    """The label map uint8 [H, W] of the part masks of one face. WsdlError where one is damaged or of another size."""
    labels, first = None, files[0]
    for path in sorted(files, key=lambda path: PARTS.index(_parse_name(path)[1])):
        part = _read_part(path)
        if labels is None:
            labels, first = np.zeros(part.shape, np.uint8), path
        if part.shape != labels.shape:
            sizes = ["x".join(map(str, some.shape[::-1])) for some in (part, labels)]
            raise WsdlError(f"{path}: is {sizes[0]}, but {first.name} is {sizes[1]}.")
        labels[part] = PARTS.index(_parse_name(path)[1]) + 1
    return labels


def _read_part(path: Path) -> np.ndarray:
    """Where the part is: bool [H, W]."""
    with opened(path) as image:
        if image.format in LOSSY_FORMATS:
            raise WsdlError(f"{path}: is a {image.format}, which blurs a part mask; take the PNG of the download.")
        return np.asarray(image.convert("L")) != 0


def _find_masks(root: Path, folder: Path, masks: Path | None) -> Path | None:
    """The folder of the masks: the one given, or the one in it or beside the images with the official name."""
    candidates = (Path(masks) / ANNOTATIONS, Path(masks)) if masks else (root / ANNOTATIONS, folder / ANNOTATIONS)
    found = next((path for path in candidates if path.is_dir()), None)
    if masks and not found:
        raise WsdlError(f"{masks}: no such folder.")
    return found


def _holds_parts(masks: Path) -> bool:
    """Whether `masks` holds part masks rather than label maps: its first file has a part, or a word, in its name."""
    first = next((path for path in sorted(masks.iterdir()) if path.is_dir() or is_image_file(path)), None)
    return first is not None and (first.is_dir() or "_" in first.stem)


def _numbered(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """`files` by number as 00007. WsdlError for a name that is no number, or a number that occurs twice."""
    found: dict[str, Path] = {}
    for path in files.values():
        if not path.stem.isdecimal():
            raise WsdlError(f"{path}: its name is not a number, as those of CelebA-HQ are; take it out of {folder}.")
        name = f"{int(path.stem):05d}"
        if name in found:
            raise WsdlError(f"{path}: has the same number as {found[name].name}; keep one of them.")
        found[name] = path
    return dict(sorted(found.items()))


def _find_parts(masks: Path, files: dict[str, Path], folder: Path) -> dict[str, tuple[Path, ...]]:
    """The part masks of each image. WsdlError for an unknown part, or one without an image."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted(filter(is_image_file, masks.rglob("*"))):
        name, part = _parse_name(path)
        if name not in files:
            raise WsdlError(f"{path}: part mask without an image; {folder} has no {int(name)}.jpg.")
        if part in found[name]:
            raise WsdlError(f"{path}: is there twice, also as {found[name][part]}; keep one of them.")
        found[name][part] = path
    return {name: tuple(parts.values()) for name, parts in sorted(found.items())}


def _parse_name(path: Path) -> tuple[str, str]:
    """Number and part of a part mask: ("00007", "hair"). WsdlError for another name or an unknown part."""
    match = re.fullmatch(r"(\d+)_(\w+)", Path(path).stem)
    if not match:
        raise WsdlError(f"{path}: is not named as a part mask is, such as 00007_hair.png.")
    if match[2] not in PARTS:
        raise WsdlError(f"{path}: unknown part '{match[2]}'; the parts of CelebAMask-HQ are {', '.join(PARTS)}.")
    return f"{int(match[1]):05d}", match[2]


# --- splits by person ---------------------------------------------------------------------------------------------


def _split(
    layout: Layout, folder: Path, lists: Path | None, seed: int, counts: Counts | None
) -> tuple[dict[str, str], bool]:
    """The split of each face, and whether lists of CelebA decided it. Says on stderr how faces were split."""
    names, places = list(layout.files), _places(folder, lists)
    mapping = _find(places, MAPPING)
    people_list, partition_list = _find(places, PEOPLE), _find(places, PARTITION)
    if lists and not (people_list or partition_list):
        raise WsdlError(f"{lists}: holds neither {PEOPLE} nor {PARTITION}.")
    if not mapping:
        print_stderr(
            f"{folder}: {MAPPING} is not beside it, so who is who is not known; photographs of one person may be in "
            f"several splits, and results on test faces may be too good."
        )
        return split_at_random(names, seed, counts), False
    photos = _read_mapping(mapping, layout.files)
    people = _read_list(people_list, photos) if people_list else {}
    if partition_list:
        numbers = _read_list(partition_list, photos)
        splits = {name: SPLITS[int(number)] for name, number in numbers.items() if number in ("0", "1", "2")}
        if wrong := next((name for name in names if name not in splits), None):
            raise WsdlError(f"{partition_list}: has {numbers[wrong]!r} for {photos[wrong]}, but must have 0, 1 or 2.")
    else:
        splits = {name: _celeba_split(photo) for name, photo in photos.items()}
    how = "as CelebA is, where a person is in one split only"
    if len(set(splits.values())) < len(SPLITS):  # a part of the download that lacks one of them
        groups = people or {name: name for name in names}
        of_group = split_at_random(sorted(set(groups.values())), seed, counts)
        splits = {name: of_group[groups[name]] for name in names}
        how = (
            "by person" if people else "by image, as too few are there for CelebA's splits: a person may be in several"
        )
    elif people:
        splits, how = _unite_people(splits, people), "by person, as CelebA is"
    sizes = Counter(splits.values())
    of_people = f" of {len(set(people.values())):,} people" if people else ""
    shown = ", ".join(f"{sizes[split]:,} {split}" for split in SPLITS)
    print_stderr(f"{folder}: {len(names):,} images{of_people}, split {how}: {shown}.")
    return splits, True


def _unite_people(splits: dict[str, str], people: dict[str, str]) -> dict[str, str]:
    """`splits`, with all images of a person in the split of most of them."""
    of_person = defaultdict(Counter)
    for name, person in people.items():
        of_person[person][splits[name]] += 1
    return {name: of_person[person].most_common(1)[0][0] for name, person in people.items()}


def _celeba_split(photo: str) -> str:
    """The split of a photograph of CelebA, 162771.jpg, by its number."""
    number = int(Path(photo).stem)
    return "train" if number < _FIRST_VALID else "valid" if number < _FIRST_TEST else "test"


def _places(folder: Path, lists: Path | None) -> list[Path]:
    """The folders in which lists are searched; Anno and Eval are those of the CelebA download."""
    homes = [Path(lists)] if lists else []
    homes += [folder, folder.parent, *([folder.parent.parent] if folder.name == IMAGES else [])]
    return [home / inside for home in homes for inside in ("", "Anno", "Eval")]


def _find(places: list[Path], name: str) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _read_mapping(path: Path, files: dict[str, Path]) -> dict[str, str]:
    """The photograph of CelebA of each face, 119614.jpg. WsdlError for a face that is not listed."""
    lines = (line.split() for line in read_text(path).splitlines())
    photos = {f"{int(line[0]):05d}": line[2] for line in lines
              if len(line) == 3 and line[0].isdecimal() and re.fullmatch(r"\d+\.\w+", line[2])}  # fmt: skip
    for name, image in files.items():
        if name.zfill(5) not in photos:
            raise WsdlError(f"{path}: does not list {image.name}; take the file of the complete download.")
    return {name: photos[name.zfill(5)] for name in files}


def _read_list(path: Path, photos: dict[str, str]) -> dict[str, str]:
    """The second column of a list of CelebA for each face. WsdlError for a photograph that is not listed."""
    lines = (line.split() for line in read_text(path).splitlines())
    values = {line[0]: line[1] for line in lines if len(line) == 2}
    for photo in photos.values():
        if photo not in values:
            raise WsdlError(f"{path}: does not list {photo}; take the file of the complete download.")
    return {name: values[photo] for name, photo in photos.items()}
