"""The dataset folder: its manifest, splits and decode cache, and the resizing of images."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
from helpers import held_by_another, left_by_the_dead
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsdl.core.io import WsdlError, sha256, write_json
from wsdl.core.leftovers import temporary_name
from wsdl.data.dataset import Dataset
from wsdl.data.dolos import write_dolos_manifest
from wsdl.data.images import list_image_files, open_image, read_image, resize_image, write_image
from wsdl.data.manifest import PENDING_MANIFEST, SPLITS, assign_splits, check_splits, write_manifest
from wsdl.data.masks import read_mask
from wsdl.data.prepare import prepare_dataset


@pytest.fixture
def copy(dataset, tmp_path) -> Path:
    """A copy of the dataset without its decode cache, to be modified."""
    return Path(shutil.copytree(dataset, tmp_path / "copy", ignore=shutil.ignore_patterns(".cache")))


def test_a_dataset_holds_every_face_once(faces, made_up):
    data = Dataset(faces)
    assert sorted(data.table.source_id) == sorted(list_image_files(made_up[0]))
    assert data.images.shape == (24, 32, 32, 3)
    assert data.info["name"] == "made-up"
    row = data.table.iloc[5]
    original = open_image(made_up[0] / f"{row.source_id}.png")
    assert np.array_equal(data.images[5], np.asarray(original.resize((32, 32), Image.Resampling.BOX)))
    labels = np.asarray(Image.open(made_up[1] / f"{row.source_id}.png"))
    assert set(np.unique(data.labels(row))) <= set(np.unique(labels))


def test_masks_in_memory_are_1_where_fake(dataset):
    data = Dataset(dataset)
    assert not data.masks[data.select("real").index].any()
    assert data.masks[data.select("full").index].all()
    partial = data.select("partial")
    assert data.masks[partial.index].mean(axis=(1, 2)) == pytest.approx(partial.area.to_numpy(), abs=1e-6)
    reals = {row.source_id: row.Index for row in data.select("real").itertuples()}
    for row in partial.itertuples():
        mask = data.masks[row.Index]
        assert np.array_equal(mask, read_mask(dataset / row.mask))
        changed = (data.images[row.Index] != data.images[reals[row.source_id]]).any(axis=-1)
        assert not changed[mask == 0].any()


def test_select_narrows_by_kind_split_and_generator(dataset):
    data = Dataset(dataset)
    assert len(data.select()) == 48
    some = data.select("partial", split="train", generator="repaint-p2")
    assert len(some) == 8
    assert set(some.kind) == {"partial"}
    assert set(some.split) == {"train"}
    assert data.select("partial", generator="lama").empty


@pytest.mark.parametrize("finished", [True, False])
def test_a_kill_between_manifest_and_dataset_json(copy, monkeypatch, finished):
    before = Dataset(copy)
    write_json = "wsdl.data.manifest._complete_pending" if finished else "wsdl.data.manifest.write_json"
    monkeypatch.setattr(write_json, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_manifest(copy, before.table[:40], before.info)
    monkeypatch.undo()
    assert len(Dataset(copy).table) == (40 if finished else 48)
    assert not (copy / PENDING_MANIFEST).exists()


def test_opening_leaves_the_manifest_that_another_process_is_writing(copy):
    dataset = Dataset(copy)
    shutil.copyfile(copy / "manifest.csv", copy / PENDING_MANIFEST)
    with (copy / PENDING_MANIFEST).open("a") as file:
        file.write("half a row")
    with held_by_another(copy / ".manifest.lock") as writer, ThreadPoolExecutor() as pool:
        opened = pool.submit(Dataset, copy)
        with pytest.raises(TimeoutError):
            opened.result(timeout=0.3)
        assert (copy / PENDING_MANIFEST).exists()
        writer.kill()
        writer.wait()
        assert len(opened.result(timeout=30).table) == len(dataset.table)
    assert not (copy / PENDING_MANIFEST).exists()


@given(st.integers(3, 400), st.integers(0, 5))
def test_splits_are_tenths_and_do_not_depend_on_order(n, seed):
    names = [f"face{i}" for i in range(n)]
    splits = assign_splits(names, seed)
    sizes = {split: list(splits.values()).count(split) for split in SPLITS}
    assert sizes["valid"] == sizes["test"] == max(1, round(n / 10))
    assert sizes["train"] == n - 2 * sizes["test"]
    assert assign_splits(names[::-1], seed) == splits


def test_another_seed_gives_other_splits():
    names = [f"face{i}" for i in range(50)]
    assert assign_splits(names, 0) != assign_splits(names, 1)


def test_a_face_in_two_splits_is_refused(dataset, copy):
    data = Dataset(copy)
    table = data.table.copy()
    table.loc[table[table.kind == "partial"].index[0], "split"] = "train"  # it was in test
    write_manifest(copy, table, data.info)
    with pytest.raises(WsdlError, match=r"source face '\d+'.*test and train.*\(1 "):
        Dataset(copy)
    check_splits(Dataset(dataset).table, dataset)


def test_a_changed_manifest_is_refused(copy):
    (copy / "manifest.csv").write_text((copy / "manifest.csv").read_text().replace("train", "test"))
    with pytest.raises(WsdlError, match=r"manifest\.csv: .*sha256 .*dataset\.json"):
        Dataset(copy)


def test_images_are_decoded_once_per_manifest(copy):
    data = Dataset(copy)
    before = np.array(data.images)
    row = data.table.iloc[0]
    write_image(copy / row.path, 255 - before[0])
    assert np.array_equal(Dataset(copy).images, before)  # read from the cache, not from the file
    write_manifest(copy, data.table.assign(sha256="changed"), data.info)
    after = Dataset(copy).images
    assert np.array_equal(after[0], 255 - before[0])
    assert np.array_equal(after[1:], before[1:])
    assert len(list((copy / ".cache").iterdir())) == 1  # the old version is gone


def test_a_full_disk_while_decoding_is_one_sentence(copy, monkeypatch):
    data = Dataset(copy)
    with open("/dev/full", "wb") as full:
        monkeypatch.setattr("wsdl.data.dataset.open", lambda *_: full, raising=False)
        with pytest.raises(
            WsdlError, match=r"images-\S+\.npy: cannot be written \(No space left on device\); free some"
        ):
            data.decode(data.table)
    assert not list((copy / ".cache").rglob("*.npy*"))


def test_the_cache_is_written_without_holes(copy, monkeypatch):
    """Filling a hole of a memory-mapped file on a full disk ends the process with a signal."""
    data, read, holes = Dataset(copy), Dataset._image, []

    def read_and_look(self, row):
        (part,) = copy.rglob("*.part")
        holes.append(part.stat().st_size - 512 * part.stat().st_blocks)
        return read(self, row)

    monkeypatch.setattr(Dataset, "_image", read_and_look)
    _ = data.images[:]
    assert max(holes) <= 0


def test_only_the_splits_and_generators_in_use_are_decoded(copy, monkeypatch, capsys):
    monkeypatch.setattr("wsdl.data.dataset.ANNOUNCED", 0)
    data, everything = Dataset(copy), np.array(Dataset(copy).images)
    shutil.rmtree(copy / ".cache")
    capsys.readouterr()
    rows = data.select("partial", "test").index
    assert np.array_equal(data.images[rows[::-1]], everything[rows[::-1]])
    assert not data.masks[data.select("real").index].any()
    (made,) = (path.name for path in (copy / ".cache").rglob("*.npy"))  # masks of real images are no file
    assert made == "images-partial-repaint-p2-test.npy"
    assert f"{copy}: decodes 4 files to {made}, 0.0 GB in" in capsys.readouterr().err
    data.decode(data.select("real", "valid"))
    data.decode(data.select("partial", "train"))
    assert sorted(path.name.removesuffix(".npy") for path in (copy / ".cache").rglob("*.npy")) == [
        *("images-partial-repaint-p2-test", "images-partial-repaint-p2-train", "images-real-valid"),
        "masks-partial-repaint-p2-train",
    ]


def test_decoded_arrays_are_indexed_as_numpy_does(copy):
    images, whole = Dataset(copy).images, np.array(Dataset(copy).images)
    assert (images.shape, len(images), images.dtype) == (whole.shape, 48, np.uint8)
    mixed = np.array([40, 3, 3, 17, 0])
    for rows in (5, -1, slice(2, 40, 7), mixed, mixed.tolist(), np.arange(48) % 5 == 0, pd.Index(mixed), []):
        assert np.array_equal(images[rows], whole[rows]), rows
    assert np.array_equal(list(images), whole)
    with pytest.raises(IndexError):
        images[48]


@pytest.mark.parametrize("content", [b"", b"no array", None, "truncated"])
def test_a_damaged_cache_is_decoded_again(copy, content):
    before = np.array(Dataset(copy).images)
    path = Dataset(copy).cache_folder / "images-real-train.npy"
    if content is None:
        np.save(path, np.load(path)[:, :4])
    else:
        path.write_bytes(path.read_bytes()[:-100] if content == "truncated" else content)
    assert np.array_equal(Dataset(copy).images, before)


def test_an_image_of_another_size_is_named(copy):
    data = Dataset(copy)
    write_image(copy / data.table.path[3], np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(WsdlError, match=f"{data.table.path[3]}: .*16x16.*32x32"):
        _ = data.images[3]
    assert not list((copy / ".cache").rglob("*.npy"))


def test_resize_halves_with_box_then_bicubic():
    noise = np.random.default_rng(0).integers(0, 256, (130, 130, 3), dtype=np.uint8)
    box, bicubic = Image.Resampling.BOX, Image.Resampling.BICUBIC

    def image(size: int) -> Image.Image:
        return Image.fromarray(noise[:size, :size])

    expected = {
        128: image(128).resize((64, 64), box).resize((32, 32), box),
        130: image(130).resize((65, 65), box).resize((32, 32), box),
        100: image(100).resize((50, 50), box).resize((32, 32), bicubic),
        63: image(63).resize((32, 32), bicubic),
        32: image(32),
    }
    for size, want in expected.items():
        assert np.array_equal(resize_image(image(size), 32), want), size


def test_resize_crops_the_centre_without_interpolation():
    wide = np.random.default_rng(0).integers(0, 256, (32, 37, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(resize_image(Image.fromarray(wide), 32)), wide[:, 2:34])


def test_images_are_rotated_by_exif(tmp_path):
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "p.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "p.png"), np.rot90(np.asarray(image), -1))


def test_manifest_keeps_its_columns(copy):
    info = Dataset(copy).info
    table = pd.read_csv(copy / "manifest.csv").rename(columns={"area": "size"})
    (copy / "manifest.csv").write_text(table.to_csv(index=False))

    write_json(copy / "dataset.json", {**info, "manifest_sha256": sha256(copy / "manifest.csv")})
    with pytest.raises(WsdlError, match=r"columns.*path, mask, kind, generator, component, size"):
        Dataset(copy)


def test_a_read_only_dataset_is_decoded_in_the_cache_folder(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("WSDL_CACHE", str(tmp_path / "cache"))
    images = np.array(Dataset(copy).images)
    shutil.rmtree(copy / ".cache")
    monkeypatch.setattr("wsdl.data.dataset.os.access", lambda path, mode: False)  # tests may run as root
    before = sorted(copy.rglob("*"))
    assert np.array_equal(Dataset(copy).images, images)
    assert sorted(copy.rglob("*")) == before
    (decoded,) = (tmp_path / "cache" / "decoded").glob("*/*/images-real-train.npy")
    other = Path(shutil.copytree(copy, tmp_path / "other"))
    write_image(other / Dataset(other).table.path[0], np.zeros((32, 32, 3), np.uint8))
    assert not Dataset(other).images[0].any()  # the same manifest, but a folder of its own
    monkeypatch.setattr(Dataset, "_image", lambda *_: pytest.fail("decoded twice"))
    assert np.array_equal(Dataset(copy).images, images)
    assert decoded.exists()


def test_decoding_deletes_what_dead_processes_left(copy):
    folder = Dataset(copy).cache_folder
    earlier, busy = folder.with_name("0123"), folder.with_name("4567")
    for path in (folder, earlier, busy):
        path.mkdir(parents=True)
    dead = [left_by_the_dead(path / "images.npy") for path in (folder, earlier)]
    living = [path / temporary_name("masks.npy") for path in (folder, busy)]
    for path in (*dead, *living):
        path.write_bytes(b"half")
    _ = Dataset(copy).images[0]
    assert not any(path.exists() for path in (*dead, earlier))
    assert all(path.exists() for path in living)


def test_manifest_and_folder_are_on_the_disk_before_the_rename(copy, monkeypatch):
    dataset, done = Dataset(copy), []
    for module in ("io", "manifest"):
        name = "wsdl.core.io.sync_to_disk" if module == "io" else "wsdl.data.manifest.sync_to_disk"
        monkeypatch.setattr(name, lambda path: done.append(path.name.partition(".json")[0].partition(".csv")[0]))
    write_manifest(copy, dataset.table[:40], dataset.info)
    assert done == ["..manifest.next", "copy", ".dataset", "copy", "copy"]
    assert len(Dataset(copy).table) == 40


def test_a_manifest_of_windows_opens_and_a_new_one_has_posix_paths(copy, made_up, tmp_path, monkeypatch):
    before = Dataset(copy)
    write_manifest(copy, before.table.assign(path=before.table.path.str.replace("/", "\\")), before.info)
    assert Dataset(copy).table.equals(before.table)
    shutil.copytree(copy / "real", tmp_path / "download" / "real")
    relative_to = Path.relative_to
    monkeypatch.setattr(Path, "relative_to", lambda self, *other: PureWindowsPath(relative_to(self, *other)))
    prepare_dataset(made_up[0], None, tmp_path / "out", size=16)
    for folder in (tmp_path / "download", tmp_path / "out"):
        write = write_dolos_manifest if folder.name == "download" else Dataset
        write(folder)
        assert "\\" not in (folder / "manifest.csv").read_text()
