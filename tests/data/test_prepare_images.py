"""`data prepare` of unusual and damaged images: bit depth, EXIF, --skip-bad, memory."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsdl.core import parallel
from wsdl.core.io import WsdlError, write_json
from wsdl.data import prepare
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.data.decode import DEEP, TRANSPARENT, decode
from wsdl.data.masks import read_label_map


def prepared(pair, tmp_path, **options) -> dict[str, Path]:
    """The images of the dataset by stem."""
    prepare.prepare_dataset(*pair, tmp_path / "out", size=32, **options)
    return {row.source_id: tmp_path / "out" / row.path for row in Dataset(tmp_path / "out").table.itertuples()}


def test_grey_of_16_bits_is_scaled(pair, tmp_path, capsys):
    grey = np.asarray(Image.open(pair[0] / "0002.png").convert("L"))
    for name, values in (
        ("0002", grey.astype(np.uint16) * 257),
        ("0003", grey.astype(np.uint16) * 257),
        ("0004", grey),
    ):
        Image.fromarray(values).save(pair[0] / f"{name}.png")
    found = prepared(pair, tmp_path)
    assert found["0002"].read_bytes() == found["0003"].read_bytes() == found["0004"].read_bytes()
    assert f"{pair[0] / '0002.png'} (and 1 more): {DEEP}" in capsys.readouterr().err


def test_transparent_parts_are_reported_once(pair, tmp_path, capsys):
    image = Image.open(pair[0] / "0002.png").convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    image.save(pair[0] / "0002.png")
    assert (np.asarray(Image.open(prepared(pair, tmp_path)["0002"])) == 255).all()
    assert capsys.readouterr().err.count(f"0002.png: {TRANSPARENT}") == 1


def rotate(path: Path, orientation: int, crop: int = 0) -> Image.Image:
    """Store the image at `path` so that EXIF rotates it back; with `crop` it is not square. Returns it upright."""
    upright = Image.open(path)
    upright = upright.crop((crop, 0, upright.width - crop, upright.height))
    method = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright.transpose(method).save(path, exif=exif)
    return upright


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_rotated_image_with_a_mask_that_may_not_be(pair, tmp_path, orientation):
    rotate(pair[0] / "0002.png", orientation)
    with pytest.raises(WsdlError, match=rf"images/0002\.png: is rotated by its EXIF orientation {orientation}, so"):
        prepared(pair, tmp_path)
    assert len(prepared(pair, tmp_path, skip_bad=True)) == 5


def test_a_rotated_image_whose_size_fits_its_mask(pair, tmp_path):
    upright = rotate(pair[0] / "0002.png", 6, crop=8)
    labels = read_label_map(pair[1] / "0002.png")[:, 8:-8]
    Image.fromarray(np.rot90(labels)).save(pair[1] / "0002.png")
    with pytest.raises(WsdlError, match=r"masks/0002\.png: is 64x48, but its image, upright, is 48x64"):
        prepared(pair, tmp_path)
    Image.fromarray(labels).save(pair[1] / "0002.png")
    rotated = prepared(pair, tmp_path)["0002"].read_bytes()
    shutil.rmtree(tmp_path / "out")
    upright.save(pair[0] / "0002.png")
    assert prepared(pair, tmp_path)["0002"].read_bytes() == rotated


def test_masks_by_data_parse_fit_rotated_images(pair, tmp_path):
    rotate(pair[0] / "0002.png", 3)
    write_json(pair[1] / "recipe.json", {"parser": "0" * 64, "aligned": False, "size": None})
    assert len(prepared(pair, tmp_path)) == 6


def test_a_rotated_partial_fake_is_refused(dataset, tmp_path):
    folder = Path(shutil.copytree(dataset, tmp_path / "copy"))
    row = Dataset(folder).select("partial").iloc[0]
    rotate(folder / row.path, 3)
    assert any("rotated by its EXIF orientation 3" in problem for problem in check_dataset(folder))
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    with pytest.raises(WsdlError, match=f"{row.path}: is rotated by its EXIF orientation 3"):
        _ = Dataset(folder).images[:]


def bomb(path: Path) -> None:
    """A PNG that claims to be large."""
    Image.new("L", (16, 16)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    path.write_bytes(data)


def broken_exif(path: Path) -> None:
    Image.open(path).save(path, exif=b"Exif\0\0MM\0*\0\0")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def as_jpeg(path: Path) -> None:
    Image.fromarray(np.asarray(Image.open(path))).save(path, "JPEG")


@pytest.mark.parametrize("folder", [0, 1])
@pytest.mark.parametrize("spoil", [bomb, broken_exif, cut, as_jpeg, lambda path: path.write_bytes(b""), Path.unlink])
def test_skip_bad_skips_damaged_images_and_masks(pair, tmp_path, capsys, folder, spoil):
    if (folder, spoil) == (0, as_jpeg):
        return  # a good image
    path = pair[folder] / "0002.png"
    spoil(path)
    if spoil is Path.unlink:
        path.mkdir()
    assert set(prepared(pair, tmp_path, skip_bad=True)) == {"0000", "0001", "0003", "0004", "0005"}
    assert f"skipped: {path}: " in capsys.readouterr().err


def test_few_pixels_are_in_flight(pair, tmp_path, monkeypatch):
    lock, now, most = threading.Lock(), [], []

    def slow_decode(path):
        with lock:
            now.append(path)
            most.append(len(now))
        time.sleep(0.01)
        with lock:
            now.remove(path)
        return decode(path)

    monkeypatch.setattr(prepare, "decode", slow_decode)
    monkeypatch.setattr(parallel, "PIXELS_IN_FLIGHT", 3 * 64 * 64)  # an image and its mask, half of the next
    prepared(pair, tmp_path)
    assert max(most) == 1


def test_leftovers_of_macos_and_windows_are_ignored(pair, dataset, tmp_path):
    dolos = tmp_path / "dolos"
    for part in ("real", "fake"):
        shutil.copytree(dataset / part, dolos / part)
    folders = [*pair, *(path for path in dolos.rglob("*") if path.is_dir()), dolos]
    (dolos / "fake/empty/images/train").mkdir(parents=True)
    for folder in [*folders, dolos / "fake/empty/images/train"]:
        for name in ("._0002.png", "Thumbs.db", ".DS_Store", "desktop.ini"):
            (folder / name).write_bytes(b"\0\5\x16\7")
    assert len(prepared(pair, tmp_path)) == 6
    assert len(Dataset(dolos).table) == len(Dataset(dataset).table)
    assert check_dataset(dolos) == []
