"""Bad dataset folders, manifests and tables."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from bad_input import BadInput
from PIL import Image

from wsdl.core.io import sha256

# --- arranging --------------------------------------------------------------------------------------------------------


def info(place: Path, **values) -> None:
    """Change entries of dataset.json; None deletes one."""
    path = place / "data" / "dataset.json"
    entries = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in entries.items() if value is not None}))


def raw_info(content: bytes) -> Callable:
    return lambda place: (place / "data" / "dataset.json").write_bytes(content)


def raw_manifest(content: bytes) -> Callable:
    """Replace manifest.csv, with the sha256 that dataset.json lists."""

    def arrange(place: Path) -> None:
        path = place / "data" / "manifest.csv"
        path.write_bytes(content)
        info(place, manifest_sha256=sha256(path))

    return arrange


def rows(which: str, **values) -> Callable:
    """Change the first row of one kind in the manifest, with the sha256 that dataset.json lists."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        first = table.index[table.kind == which][0]
        table.loc[first, list(values)] = list(values.values())
        return table

    return table(change)


def table(change: Callable) -> Callable:
    def arrange(place: Path) -> None:
        manifest = pd.read_csv(place / "data" / "manifest.csv", dtype=str, keep_default_na=False)
        text = change(manifest).to_csv(index=False, lineterminator="\n")
        raw_manifest(text.encode())(place)

    return arrange


def download(place: Path) -> None:
    """A folder like the Dolos download: images and masks only."""
    for path in (place / "data").iterdir():
        if path.name not in ("real", "fake"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def fake(place: Path, what: str = "images") -> Path:
    return sorted(place.glob(f"data/fake/repaint-p2/{what}/train/*.png"))[0]


def downloaded(change: Callable) -> Callable:
    def arrange(place: Path) -> None:
        download(place)
        change(place)

    return arrange


def prepared(change: Callable) -> Callable:
    """{out} is prepared from {images}; then `change`."""

    def arrange(place: Path) -> None:
        from wsdl.data.prepare import prepare_dataset

        prepare_dataset(place / "images", None, place / "out", size=16)
        change(place)

    return arrange


def matched(note: str) -> Callable:
    """{out} was begun by `data match` and holds a made_of.json."""

    def arrange(place: Path) -> None:
        from wsdl.data.dataset import Dataset
        from wsdl.data.manifest import hash_faces

        (place / "out").mkdir()
        (place / "victim.txt").write_text("keep")
        faces = hash_faces(Dataset(place / "data").select(kind="real"))
        (place / "out" / "recipe.json").write_text(json.dumps({"matched": faces, "seed": 0}))
        (place / "out" / "made_of.json").write_text(note)

    return arrange


def image(name: str) -> Callable:
    """Rename the first of {images}."""
    return lambda place: os.rename(place / "images" / "0000.png", os.fsencode(place / "images") + b"/" + name.encode())


def not_utf8(place: Path) -> None:
    os.rename(place / "images" / "0000.png", os.fsencode(place / "images") + b"/\xff.png")


def keep(place: Path, folder: str, n: int) -> None:
    for path in sorted((place / folder).iterdir())[n:]:
        path.unlink()


# --- cases ------------------------------------------------------------------------------------------------------------

TRAIN = "train --setup b --data {data} --out {out}"
CHECK = "data check {data}"
MATCH = "data match {data} --out {out}"
GENERATE = "generate repaint-p2 --data {data} --weights {p2} --count 4 --out {out} --T 4"
PREPARE = "data prepare --images {images} --size 16 --out {out}"
EVIL = "../../../evil/x.png"
NOT_INSIDE = "'{}': is not a name within .*data"

INFO = [
    BadInput("info-is-missing", TRAIN, r"dataset\.json: no such file", lambda p: (p / "data/dataset.json").unlink()),
    BadInput("info-is-a-list", TRAIN, r"dataset\.json: is \[\], but must be a JSON object", raw_info(b"[]")),
    BadInput("info-is-null", "data audit {data}", r"dataset\.json: is None, but must be a JSON obj", raw_info(b"null")),
    BadInput("info-is-empty", "data judge {data}", r"dataset\.json: is not valid JSON", raw_info(b"")),
    BadInput("info-is-binary", CHECK, r"dataset\.json: is not a text in UTF-8", raw_info(b"\x89PNG\xff")),
    BadInput("info-is-deep", CHECK, r"dataset\.json: is not valid JSON", raw_info(b"[" * 100_000)),
    BadInput("info-has-no-size", TRAIN, r"dataset\.json: has size 'None', .*from 1 to", lambda p: info(p, size=None)),
    BadInput("size-is-html", TRAIN, r"dataset\.json: has size '<img", lambda p: info(p, size="<img src=x onerror=1>")),
    BadInput("size-is-huge", TRAIN, r"dataset\.json: has size '1000000000', .*16,384", lambda p: info(p, size=10**9)),
    BadInput("size-is-0", "data audit {data}", r"dataset\.json: has size '0'", lambda p: info(p, size=0)),
    BadInput("size-is-true", CHECK, r"dataset\.json: has size 'True'", lambda p: info(p, size=True)),
    BadInput("size-is-another", TRAIN, r"\.png: its image is 32x32, but .* 16x16", lambda p: info(p, size=16)),
    BadInput("name-is-a-list", TRAIN, r"dataset\.json: has name .*must have text", lambda p: info(p, name=[1])),
    BadInput("licence-is-an-object", CHECK, r"dataset\.json: has licence .*text", lambda p: info(p, licence={"a": 1})),
    BadInput("made-by-is-text", MATCH, r"dataset\.json: has made_by 'me', but must", lambda p: info(p, made_by="me")),
    BadInput("made-by-holds-text", GENERATE, r"dataset\.json: has made_by", lambda p: info(p, made_by=["me"])),
    BadInput("info-lists-no-sha256", TRAIN, r"has manifest_sha256 'None'", lambda p: info(p, manifest_sha256=None)),
    BadInput("info-is-a-folder", TRAIN, r"dataset\.json: is not a file", lambda p: [
        (p / "data/dataset.json").unlink(), (p / "data/dataset.json").mkdir()]),
]  # fmt: skip

MANIFEST = [
    BadInput("data-is-missing", "train --setup b --data {place}/nothing --out {out}", "nothing: no such folder"),
    BadInput("data-is-a-file", "data check {place}/file", "file: no such folder", lambda p: (p / "file").touch()),
    BadInput("data-is-empty", "data check {place}/new", "new: holds no dataset", lambda p: (p / "new").mkdir()),
    BadInput("manifest-was-edited", TRAIN, r"manifest\.csv: has sha256",
             lambda p: (p / "data/manifest.csv").write_bytes(b"")),
    BadInput("manifest-is-empty", TRAIN, r"manifest\.csv: is not a table \(No columns", raw_manifest(b"")),
    BadInput("manifest-is-binary", TRAIN, r"manifest\.csv: is not a table", raw_manifest(b"\x89PNG\r\n\0\xff" * 9)),
    BadInput("manifest-is-a-zip", CHECK, r"manifest\.csv: (is not a table|has the columns)",
             raw_manifest(b"PK\3\4\0" * 9)),
    BadInput("manifest-has-other-columns", "data audit {data}", r"manifest\.csv: has the columns 'a, b'; expected path",
             raw_manifest(b"a,b\n1,2\n")),
    BadInput("manifest-has-short-rows", TRAIN, r"manifest\.csv: line 2 has split '', but splits",
             raw_manifest(b"path,mask,kind,generator,component,area,source_id,split,sha256\nreal/train/x.png,,real\n")),
    BadInput("manifest-has-long-rows", TRAIN, r"manifest\.csv: line 2 has path .*more values than there are columns",
             raw_manifest(b"path,mask,kind,generator,component,area,source_id,split,sha256\n" + b"x," * 11 + b"x\n")),
    BadInput("manifest-is-ragged", TRAIN, r"manifest\.csv: is not a table .*line 3",
             raw_manifest(b"path,mask,kind\na,b,c\na,b,c,d,e,f\n")),
    BadInput("manifest-is-a-folder", TRAIN, r"manifest\.csv: is not a file", lambda p: [
        (p / "data/manifest.csv").unlink(), (p / "data/manifest.csv").mkdir()]),
    BadInput("kind-is-unknown", CHECK, r"manifest\.csv: line \d+ has kind 'fake', but kinds are real, full, partial",
             rows("partial", kind="fake")),
    BadInput("split-is-unknown", "data judge {data}", r"has split 'dev', but splits are train, valid, test",
             rows("partial", split="dev")),
    BadInput("component-is-unknown", TRAIN, r"has component 'chin', but components are",
             rows("partial", component="chin")),
    BadInput("row-is-there-twice", CHECK, r"has path 'real/.*', which another line has too",
             table(lambda t: pd.concat([t, t.tail(1)]))),
    BadInput("area-is-text", TRAIN, r"has area 'large', but an area is", rows("partial", area="large")),
    BadInput("area-is-nan", TRAIN, r"has area 'nan', but an area is", rows("partial", area="nan")),
    BadInput("area-is-negative", CHECK, r"has area '-0\.5', but an area is", rows("partial", area="-0.5")),
    BadInput("face-is-in-two-splits", TRAIN, r"source face '0001' is in", rows("partial", source_id="0001")),
    BadInput("partial-fake-names-no-mask", "train --setup c --data {data} --out {out}",
             "8 of 8 partial fakes in train have none that is known",
             table(lambda t: t.assign(mask=t["mask"].where((t.kind != "partial") | (t.split != "train"), "")))),
    BadInput("two-real-images-of-a-face", MATCH, "several real images of the face 'f'",
             table(lambda t: t.assign(source_id=np.where(t.kind == "real", "f", t.source_id), split="train"))),
]  # fmt: skip

OUTSIDE = [
    BadInput("split-leads-out-of-generate", GENERATE, "has split '../../evil', but splits are",
             rows("real", split="../../evil")),
    BadInput("split-leads-out-of-match", MATCH, "has split '/evil', but splits are", rows("real", split="/evil")),
    BadInput("path-leads-out-of-match", MATCH, NOT_INSIDE.format(EVIL), rows("real", path=EVIL)),
    BadInput("path-of-a-fake-leads-out", MATCH, NOT_INSIDE.format(EVIL), rows("partial", path=EVIL)),
    BadInput("mask-leads-out-of-match", MATCH, NOT_INSIDE.format(EVIL), rows("partial", mask=EVIL)),
    BadInput("path-is-absolute", CHECK, NOT_INSIDE.format("/etc/passwd"), rows("real", path="/etc/passwd")),
    BadInput("path-leads-out-on-windows", MATCH, NOT_INSIDE.format(EVIL), rows("real", path=EVIL.replace("/", "\\"))),
    BadInput("path-has-a-drive", MATCH, NOT_INSIDE.format("C:x.png"), rows("real", path="C:x.png")),
    BadInput("path-is-the-folder", TRAIN, NOT_INSIDE.format("."), rows("real", path=".")),
    BadInput("path-has-a-null", TRAIN, "is not a name within", rows("real", path="real/a\0.png")),
    BadInput("path-has-a-line-feed", CHECK, "is not a name within", rows("real", path="real/a\nb.png")),
    BadInput("generator-leads-out", TRAIN, r"has generator '\.\./x', but a generator is a name without /",
             rows("partial", generator="../x")),
    BadInput("generator-is-the-parent", TRAIN, NOT_INSIDE.format(r"\.\."), rows("partial", generator="..")),
    BadInput("made-of-leads-out", MATCH, r"'\.\./victim\.txt': is not a name within",
             matched('{"../victim.txt": "0"}')),
    BadInput("made-of-leads-out-for-masks", MATCH, "is not a name within", matched('{"a/../images/../x": "0"}')),
    BadInput("made-of-is-a-list", MATCH, r"made_of\.json: is \[\], but must be", matched("[]")),
    BadInput("recipe-is-a-list", "data match {data} --out {place}/begun", r"recipe\.json: is \[\], but must be",
             lambda p: [(p / "begun").mkdir(), (p / "begun/recipe.json").write_text("[]"),
                        (p / "begun/x.png").touch()]),
]  # fmt: skip

DOLOS = [
    BadInput("download-has-no-mask", CHECK, r"partial fake without a mask; .*masks/train has none",
             downloaded(lambda p: fake(p, "masks").unlink())),
    BadInput("download-has-a-mask-too-many", CHECK, "mask without a partial fake",
             downloaded(lambda p: fake(p).unlink())),
    BadInput("download-has-small-masks", TRAIN, r"\.png: is 8x8, but its image is 32x32",
             downloaded(lambda p: Image.new("RGB", (8, 8), "white").save(fake(p, "masks")))),
    BadInput("download-has-masks-of-another-kind", TRAIN, r"\.png: .*is not a mask",
             downloaded(lambda p: Image.linear_gradient("L").resize((32, 32)).save(fake(p, "masks")))),
    BadInput("download-has-a-damaged-image", TRAIN, r"real/test/\d+\.png: is not an image",
             downloaded(lambda p: sorted(p.glob("data/real/test/*"))[0].write_bytes(b"\x89PNG")),
             may_write=("data/dataset.json", "data/manifest.csv")),
    BadInput("download-has-a-bad-generator-name", CHECK, r"b\\ra': its name has control characters",
             downloaded(lambda p: os.rename(p / "data/fake/repaint-p2", p / "data/fake/b\ra"))),
    BadInput("download-has-a-bad-name", CHECK, r"x\\ny\.png': its name has control characters",
             downloaded(lambda p: sorted(p.glob("data/real/test/*"))[0].rename(p / "data/real/test/x\ny.png"))),
    BadInput("download-is-one-level-up", "data check {place}", r"holds no dataset; open one of .*\(data\)",
             lambda p: (p / "data/real").mkdir(parents=True)),
]  # fmt: skip

PREPARED = [
    BadInput("name-has-a-carriage-return", PREPARE, r"a\\rb\.png': its name has control characters", image("a\rb.png")),
    BadInput("name-has-a-line-feed", PREPARE, r"a\\nb\.png': its name has control characters", image("a\nb.png")),
    BadInput("name-has-a-backslash", PREPARE, r"a\\\\b\.png': its name has .*backslashes", image("a\\b.png")),
    BadInput("name-is-not-utf8", PREPARE, r"udcff\.png': its name has .*not UTF-8; rename it", not_utf8),
    BadInput("name-is-that-of-a-pipe", PREPARE, r"pipe\.png: is not a file but",
             lambda p: os.mkfifo(p / "images/pipe.png"), may_write=("out",)),
    BadInput("two-images-of-one-stem", PREPARE, r"0000\.png: has the same name as 0000\.bmp",
             lambda p: Image.new("RGB", (64, 64)).save(p / "images/0000.bmp")),
    BadInput("image-was-replaced", PREPARE, r"images/0003\.png: has changed since .*out was prepared",
             prepared(lambda p: Image.new("RGB", (64, 64)).save(p / "images/0003.png"))),
    BadInput("image-was-added", PREPARE, "out: was begun with names = ",
             prepared(lambda p: Image.new("RGB", (64, 64)).save(p / "images/more.png"))),
    BadInput("image-was-removed", PREPARE, "out: was begun with names = ",
             prepared(lambda p: (p / "images/0003.png").unlink())),
    BadInput("another-source", PREPARE + " --source mine", "was begun with source = 'photos', not 'mine'",
             prepared(lambda p: None)),
    BadInput("another-seed", PREPARE + " --seed 7", "was begun with seed = 0, not 7", prepared(lambda p: None)),
    BadInput("made-of-is-damaged", PREPARE, r"made_of\.json: is not valid JSON",
             prepared(lambda p: (p / "out/made_of.json").write_text("{"))),
    BadInput("recipe-is-damaged", PREPARE, r"recipe\.json: is 7, but must be a JSON object",
             prepared(lambda p: (p / "out/recipe.json").write_text("7"))),
    BadInput("two-images-only", PREPARE, "2 images cannot be split", lambda p: keep(p, "images", 2)),
    BadInput("out-is-a-file", PREPARE, r"cannot be written|exists", lambda p: (p / "out").touch()),
    BadInput("no-images", PREPARE, "images: holds no images", lambda p: keep(p, "images", 0)),
    BadInput("images-are-leftovers-of-a-mac", PREPARE, "images: holds no images",
             lambda p: [keep(p, "images", 0), (p / "images/._a.png").touch(), (p / "images/.DS_Store").touch()]),
]  # fmt: skip

GENERATED = [
    BadInput("fakes-recipe-is-a-list", "generate p2 --weights {p2} --count 2 --out {data}",
             r"fake/p2/recipe\.json: is \[\], but must",
             lambda p: (p / "data/fake/p2/recipe.json").write_text("[]")),
    BadInput("bundle-of-another-licence", "data bundle --style mine --data {data} --p2 {p2} --out {out}",
             r"dataset\.json: has the licence 'unknown', but the bundle is CC0"),
    BadInput("style-leads-out", "data unpack ../../evil --out {out}", r"'\.\./\.\./evil': is not the name of a style"),
    BadInput("style-is-unknown", "data unpack watercolour --out {out}", "watercolour.zip: is missing; available"),
    BadInput("judge-without-faces", "data judge {data}", "has no real face '.*' to compare",
             table(lambda t: t[t.kind != "real"])),
    BadInput("audit-without-fakes", "data audit {data}", "has 0 partial fakes by 'repaint-p2' and",
             table(lambda t: t[t.kind == "real"])),
    BadInput("match-without-fakes", MATCH, "has no partial fakes to match", table(lambda t: t[t.kind == "real"])),
    BadInput("halve-what-is-no-run", "data halve {data} --out {out}", r"no such file; give a finished run"),
]  # fmt: skip

CASES = [*INFO, *MANIFEST, *OUTSIDE, *DOLOS, *PREPARED, *GENERATED]
