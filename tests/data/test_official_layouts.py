"""`data prepare` of CelebAMask-HQ and FFHQ, as they unpack."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from factories_layouts import celeba_lists, miniature_celebahq, miniature_ffhq, person
from helpers import run_command
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.data.celebahq import ANNOTATIONS, IMAGES, MAPPING, PARTITION, PARTS, PEOPLE, merge_parts
from wsdl.data.dataset import Dataset
from wsdl.data.images import list_image_files
from wsdl.data.layout import parse_counts
from wsdl.data.manifest import label_map_path
from wsdl.data.prepare import prepare_dataset
from wsdl.experiments.open_study import load_study


@pytest.fixture(scope="module")
def unpacked(made_up, tmp_path_factory) -> Path:
    return miniature_celebahq(made_up, tmp_path_factory.mktemp("celebahq") / "CelebAMask-HQ")


@pytest.fixture
def broken(unpacked, tmp_path) -> Path:
    """A copy of the miniature, to be spoilt."""
    return Path(shutil.copytree(unpacked, tmp_path / "CelebAMask-HQ"))


@pytest.fixture(scope="module")
def ffhq(made_up, tmp_path_factory) -> Path:
    return miniature_ffhq(made_up, tmp_path_factory.mktemp("ffhq") / "ffhq")


def prepared(root: Path, out: Path, source: str = "celebahq", masks: Path | None = None, **options) -> Dataset:
    prepare_dataset(root, masks, out, size=32, source=source, **options)
    return Dataset(out)


def test_parts_are_merged_in_the_official_order(unpacked, made_up):
    for i, path in enumerate(list_image_files(made_up[1]).values()):
        parts = tuple((unpacked / ANNOTATIONS / str(i // 10)).glob(f"{i:05d}_*.png"))
        assert (merge_parts(parts[::-1]) == np.asarray(Image.open(path))).all()


def test_a_later_part_covers_an_earlier_one(tmp_path):
    for part in PARTS:
        Image.new("L", (8, 8), 255).save(tmp_path / f"00000_{part}.png")
    for number, part in reversed(list(enumerate(PARTS, 1))):
        files = tuple(tmp_path.glob("*.png"))
        assert (merge_parts(files) == number).all()
        (tmp_path / f"00000_{part}.png").unlink()


def test_images_twice_as_large_as_their_part_masks(unpacked, tmp_path):
    data = prepared(unpacked, tmp_path / "out")
    assert len(data.table) == 24
    assert data.labels(data.table.iloc[0]).shape == (32, 32)
    assert set(data.table.source_id) == {f"{i:05d}" for i in range(24)}
    assert data.info["licence"].startswith("non-commercial")


def test_the_folders_may_be_named_one_by_one(unpacked, tmp_path):
    together = prepared(unpacked, tmp_path / "together")
    apart = prepared(unpacked / IMAGES, tmp_path / "apart", masks=unpacked / ANNOTATIONS)
    assert apart.table.equals(together.table)


def test_images_without_masks_and_with_label_maps(unpacked, made_up, tmp_path):
    images = Path(shutil.copytree(unpacked / IMAGES, tmp_path / "images"))
    shutil.copy(unpacked / MAPPING, images)
    assert set(prepared(images, tmp_path / "none").table.source_id) == {str(i) for i in range(24)}
    for i, path in enumerate(list_image_files(made_up[1]).values()):
        (tmp_path / "masks").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "masks" / f"{i}.png")
    data = prepared(images, tmp_path / "labels", masks=tmp_path / "masks")
    assert data.table.groupby("split").size().to_dict() == {"train": 16, "valid": 4, "test": 4}
    assert data.labels(data.table.iloc[0]).max() > 0


def test_celeba_numbers_alone_give_its_splits(unpacked, tmp_path, capsys):
    table = prepared(unpacked, tmp_path / "out").table
    expected = {f"{i:05d}": ("train", "train", "train", "train", "valid", "test")[i % 6] for i in range(24)}
    assert dict(zip(table.source_id, table.split, strict=True)) == expected
    assert (
        "split as CelebA is, where a person is in one split only: 16 train, 4 valid, 4 test" in capsys.readouterr().err
    )


def test_a_person_is_in_one_split(unpacked, tmp_path, capsys):
    lists = celeba_lists(tmp_path / "celeba")
    table = prepared(unpacked, tmp_path / "out", lists=lists).table
    assert table.groupby([person(int(name)) for name in table.source_id]).split.nunique().max() == 1
    assert "24 images of 12 people, split by person" in capsys.readouterr().err
    assert prepared(unpacked, tmp_path / "again", lists=lists).table.equals(table)


def test_people_who_straddle_the_list_of_splits_are_united(unpacked, tmp_path):
    lists = celeba_lists(tmp_path / "celeba")
    people = (lists / "Anno" / PEOPLE).read_text().replace(f" {person(4)}\n", f" {person(0)}\n")
    (lists / "Anno" / PEOPLE).write_text(people)  # a person of the training split is in valid too
    table = prepared(unpacked, tmp_path / "out", lists=lists).table.set_index("source_id")
    assert table.split["00000"] == table.split["00004"] == table.split["00012"] == table.split["00016"]


def test_too_few_for_celebas_splits_are_split_by_person(broken, tmp_path, capsys):
    partition = celeba_lists(broken.parent) / "Eval" / PARTITION  # beside the unpacked folder
    partition.write_text(partition.read_text().replace(".jpg 2\n", ".jpg 1\n"))
    table = prepared(broken, tmp_path / "out").table
    assert set(table.split) == {"train", "valid", "test"}
    assert table.groupby([person(int(name)) for name in table.source_id]).split.nunique().max() == 1
    assert "24 images of 12 people, split by person:" in capsys.readouterr().err


def test_without_the_mapping_one_warning(broken, tmp_path, capsys):
    (broken / MAPPING).unlink()
    prepared(broken, tmp_path / "out")
    assert capsys.readouterr().err.count("photographs of one person may be in several splits") == 1


def test_lists_that_come_later_are_refused(unpacked, tmp_path):
    prepared(unpacked, tmp_path / "out")
    lists = celeba_lists(tmp_path / "celeba")
    partition = lists / "Eval" / PARTITION
    partition.write_text(partition.read_text().replace("000001.jpg 0", "000001.jpg 2"))
    with pytest.raises(WsdlError, match="splits"):
        prepared(unpacked, tmp_path / "out", lists=lists)


def first(root: Path, name: str) -> Path:
    return next(root.rglob(name))


def resize(path: Path, *size: int) -> None:
    Image.open(path).resize(size).save(path)


def without_first_line(path: Path, start: str) -> None:
    path.write_text("".join(line for line in path.open() if not line.startswith(start)))


BROKEN = [
    (lambda r: first(r, "7.jpg").unlink(), r"00007_\w+\.png: part mask without an image; .*-img has no 7\.jpg"),
    (lambda r: [p.unlink() for p in list(r.rglob("00007_*"))], r"/7\.jpg: image without part masks; .*00007_"),
    (lambda r: shutil.rmtree(r / ANNOTATIONS / "1"), r"/10\.jpg: image without part masks"),
    (lambda r: first(r, "00007_hair.png").rename(r / ANNOTATIONS / "00007_beard.png"),
     r"00007_beard\.png: unknown part 'beard'; the parts .* skin, nose"),
    (lambda r: first(r, "00007_hair.png").rename(r / ANNOTATIONS / "hair.png"), r"hair\.png: is not named as a part"),
    (lambda r: resize(first(r, "00007_hair.png"), 128, 128), r"_hair\.png: is 128x128, but 00007_skin\.png is 64x64"),
    (lambda r: resize(first(r, "7.jpg"), 128, 96), r"00007_\w+\.png: is 64x64, but its image, upright, is 128x96"),
    (lambda r: first(r, "00007_hair.png").write_bytes(first(r, "00007_hair.png").read_bytes()[:60]),
     r"00007_hair\.png: cannot be decoded"),
    (lambda r: first(r, "7.jpg").write_bytes(first(r, "7.jpg").read_bytes()[:900]), r"/7\.jpg: cannot be decoded"),
    (lambda r: shutil.copy(first(r, "00007_hair.png"), r / ANNOTATIONS / "1"), r"00007_hair\.png: is there twice"),
    (lambda r: first(r, "7.jpg").rename(r / IMAGES / "seven.jpg"), r"seven\.jpg: its name is not a number"),
    (lambda r: shutil.copy(first(r, "7.jpg"), r / IMAGES / "007.jpg"), r"7\.jpg: has the same number as 007?\.jpg"),
    (lambda r: without_first_line(r / MAPPING, "7 "), r"mapping\.txt: does not list 7\.jpg"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BROKEN, ids=[message[:30] for _, message in BROKEN])
def test_what_does_not_fit_is_named_in_one_sentence(broken, tmp_path, spoil, message):
    spoil(broken)
    with pytest.raises(WsdlError, match=message) as caught:
        prepared(broken, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_half_an_archive_of_masks_may_be_skipped(broken, tmp_path, capsys):
    shutil.rmtree(broken / ANNOTATIONS / "1")
    assert len(prepared(broken, tmp_path / "out", skip_bad=True).table) == 14
    assert "/10.jpg: skipped, as it has no mask (10 such images)" in capsys.readouterr().err


def test_an_archive_is_to_be_unpacked(tmp_path):
    (tmp_path / "CelebAMask-HQ.zip").write_bytes(b"PK")
    with pytest.raises(WsdlError, match=r"CelebAMask-HQ\.zip: is a file; unpack it"):
        prepared(tmp_path / "CelebAMask-HQ.zip", tmp_path / "out")


def test_a_changed_part_mask_is_noticed(broken, tmp_path):
    prepared(broken, tmp_path / "out")
    resize(first(broken, "00007_skin.png"), 64, 64)
    Image.new("L", (64, 64), 255).save(first(broken, "00007_skin.png"))
    with pytest.raises(WsdlError, match=r"00007_\w+\.png: has changed since"):
        prepared(broken, tmp_path / "out")


def test_after_a_damaged_part_mask_it_resumes_to_the_same_bytes(broken, unpacked, tmp_path):
    path = first(broken, "00007_hair.png")
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    with pytest.raises(WsdlError, match="00007_hair"):
        prepared(broken, tmp_path / "out")
    path.write_bytes(whole)
    resumed = prepared(broken, tmp_path / "out").table
    at_once = prepared(unpacked, tmp_path / "at once")
    assert resumed.equals(at_once.table)
    for row in at_once.table.itertuples():
        name = label_map_path(row)
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "at once" / name).read_bytes()


def test_counts_choose_faces_of_each_split(unpacked, ffhq, tmp_path):
    for source, root in (("celebahq", unpacked), ("ffhq", ffhq)):
        table = prepared(root, tmp_path / source, source, counts=(8, 2, 1)).table
        assert table.groupby("split").size().to_dict() == {"train": 8, "valid": 2, "test": 1}
        assert "--counts 8/2/1" in Dataset(tmp_path / source).info["made_by"]["command"]
    with pytest.raises(WsdlError, match="has 4 images for valid, but --counts asks for 900"):
        prepared(unpacked, tmp_path / "paper", counts=(8, 900, 900))


def test_counts_are_those_of_the_paper_or_three_numbers():
    assert parse_counts("paper") == (9000, 900, 900)
    assert parse_counts("30,000/3,000/8,500") == (30000, 3000, 8500)
    assert parse_counts("") is None
    for wrong in ("9000", "1/2", "a/b/c", "0/1/1", "-1/2/3"):
        with pytest.raises(WsdlError, match="--counts"):
            parse_counts(wrong)


def test_ffhq_in_folders_of_a_thousand(ffhq, tmp_path, capsys):
    data = prepared(ffhq, tmp_path / "out", "ffhq")
    assert sorted(data.table.source_id)[7:9] == ["00007", "01000"]
    said = capsys.readouterr().err
    assert "00000: holds 8 images, but a complete folder has 1,000 (2 such folders)" in said
    assert "data parse --images" in said


def test_ffhq_of_several_sizes_is_refused(ffhq, tmp_path):
    root = Path(shutil.copytree(ffhq, tmp_path / "ffhq"))
    shutil.copytree(root / "images1024x1024", root / "thumbnails128x128")
    with pytest.raises(WsdlError, match="holds images1024x1024 and thumbnails128x128; give one"):
        prepared(root, tmp_path / "out", "ffhq")
    assert len(prepared(root / "thumbnails128x128", tmp_path / "out", "ffhq").table) == 24


def test_names_that_occur_in_several_sub_folders(made_up, tmp_path):
    for i, path in enumerate(list_image_files(made_up[0]).values()):
        (tmp_path / "photos" / f"p{i // 2}").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "photos" / f"p{i // 2}" / f"{i % 2}.png")
    table = prepared(tmp_path / "photos", tmp_path / "out", "photos").table
    assert sorted(table.source_id)[:2] == ["p0-0", "p0-1"]
    assert len(table) == 24


def test_ffhq_masks_by_the_parser(ffhq, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wsdl.parsing.parse.check_face", lambda labels: None)  # drawings are no faces to every parser
    run_command("data", "parse", "--images", ffhq / "images1024x1024", "--out", tmp_path / "masks")
    (tmp_path / "masks" / "01003.png").unlink()  # no face was found
    with pytest.raises(WsdlError, match=r"01003\.png: image without a mask"):
        prepared(ffhq, tmp_path / "out", "ffhq", tmp_path / "masks")
    data = prepared(ffhq, tmp_path / "out", "ffhq", tmp_path / "masks", skip_bad=True)
    assert len(data.table) == 23
    assert data.labels(data.table.iloc[0]).shape == (32, 32)
    assert "01003.png: skipped, as it has no mask (1 such image)" in capsys.readouterr().err


def train_setup_c(data: Path, p2: Path, folder: Path) -> None:
    """The commands of the README from real faces to setup C, with a tiny profile."""
    profile = folder / "tiny.json"
    profile.write_text(json.dumps({"patches": {"input_size": 48, "images_c": 64, "batch_c": 8, "check_every": 32}}))
    cheap = ("--T", 4, "--jump-length", 2, "--resamplings", 1, "--batch", 8)
    run_command("generate", "repaint-p2", "--data", data, "--weights", p2, "--counts", "16/4/4", *cheap, "--out", data)
    sizes = Dataset(data).select("partial").groupby("split").size()
    assert sizes.to_dict() == {"train": 16, "valid": 4, "test": 4}
    run_command("train", "--setup", "c", "--data", data, "--out", folder / "c", "--profile", profile)
    assert json.loads((folder / "c" / "run.json").read_text())["status"] == "done"


def test_from_celebahq_to_setup_c(unpacked, p2, tmp_path):
    lists, data = celeba_lists(tmp_path / "celeba"), tmp_path / "data"
    run_command("data", "prepare", "--source", "celebahq", "--images", unpacked, "--lists", lists, "--counts", "14/3/3",
                "--size", 32, "--out", data)  # fmt: skip
    train_setup_c(data, p2, tmp_path)


def test_from_ffhq_to_setup_c(ffhq, made_up, p2, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    names = sorted(path.stem for path in ffhq.rglob("*.png"))
    for name, path in zip(names, list_image_files(made_up[1]).values(), strict=True):
        shutil.copy(path, masks / f"{name}.png")
    run_command("data", "prepare", "--source", "ffhq", "--images", ffhq, "--masks", masks, "--size", 32, "--out",
                tmp_path / "data")  # fmt: skip
    train_setup_c(tmp_path / "data", p2, tmp_path)


def test_a_study_begins_with_a_download(unpacked, ffhq, tmp_path):
    """`demo`, `grid run` and the lessons take one as it unpacks, not only `data prepare`."""
    profile = tmp_path / "small.json"
    profile.write_text(json.dumps({"size": 32}))
    for source, images in (("celebahq", unpacked), ("ffhq", ffhq)):
        out = str(tmp_path / source)
        with pytest.raises(WsdlError, match=f"--images: missing; the source {source} needs a folder of images"):
            load_study(out, str(profile), source)
        assert load_study(out, str(profile), source, str(images)).faces().info["name"] == source
        assert len(load_study(out).faces().table) == 24  # later without the download
