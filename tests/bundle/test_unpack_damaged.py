"""Damaged and hostile archives: one sentence, and nothing is written outside the folder."""

import hashlib
import json
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from factories_bundle import first_name, rewrite_archive

from wsdl.bundle import archive as archive_format
from wsdl.bundle import unpack as unpacking
from wsdl.bundle.unpack import unpack_dataset, unpack_p2
from wsdl.core.io import WsdlError
from wsdl.core.run import MODEL_FILE

ROOT = Path(__file__).parents[2]


def refuses(archive: Path | None, cache: Path, sentence: str, call=unpack_dataset) -> None:
    with pytest.raises(WsdlError, match=sentence) as caught:
        call("studio", archive, cache)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*/*"))  # nothing half there


def test_a_missing_archive_is_reported_in_one_sentence(tmp_path):
    refuses(tmp_path / "nowhere.zip", tmp_path, r"nowhere\.zip: is missing")
    refuses(tmp_path / "nowhere.zip", tmp_path, r"nowhere\.zip: is missing", unpack_p2)


@pytest.mark.parametrize("there", [["snapshot", "watercolour"], []])
def test_a_style_without_an_archive_lists_the_available_ones(tmp_path, monkeypatch, there):
    monkeypatch.setattr(unpacking, "STYLE_ARCHIVES", tmp_path / "assets")
    for style in there:
        (tmp_path / "assets").mkdir(exist_ok=True)
        (tmp_path / "assets" / f"{style}.zip").touch()
    sentence = rf"studio\.zip: is missing.*: {', '.join(there) or 'none'}; .*photos"
    refuses(None, tmp_path / "c", sentence)
    refuses(None, tmp_path / "c", sentence, unpack_p2)


def test_a_changed_image_is_refused(archive, tmp_path):
    def swap(members: dict) -> None:
        one, other = [name for name in members if name.startswith("real/train/")][:2]
        members[one] = members[other]

    refuses(
        rewrite_archive(archive, tmp_path / "b.zip", swap),
        tmp_path / "c",
        r"real/train/\S+ is not the file",
    )


@pytest.mark.parametrize(("start", "call"), [("fake/p2", unpack_dataset), (f"p2/{MODEL_FILE}", unpack_p2)])
def test_one_flipped_bit_is_refused(archive, tmp_path, start, call):
    data = bytearray(archive.read_bytes())
    with ZipFile(archive) as bundle:
        member = bundle.getinfo(first_name(bundle.namelist(), start))
    data[member.header_offset + 30 + len(member.filename) + 10] ^= 1
    (tmp_path / "b.zip").write_bytes(data)
    refuses(tmp_path / "b.zip", tmp_path / "c", f"b.zip: is damaged .*{start}", call)


@pytest.mark.parametrize("keep", [0, 100, 0.5, -10])
def test_a_truncated_archive_is_refused(archive, tmp_path, keep):
    data = archive.read_bytes()
    (tmp_path / "b.zip").write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    refuses(tmp_path / "b.zip", tmp_path / "c", "b.zip: is damaged")


@pytest.mark.parametrize("start", ["real", "fake/repaint-p2", "manifest.csv", "manifest.json"])
def test_a_missing_member_is_refused(archive, tmp_path, start):
    changed = rewrite_archive(archive, tmp_path / "b.zip", lambda members: members.pop(first_name(members, start)))
    refuses(changed, tmp_path / "c", f"There is no item named '{start}")


def test_an_incomplete_manifest_is_refused(archive, tmp_path):
    def forget(kind: str):
        def change(about: dict) -> None:
            about["files"].pop(first_name(about["files"], kind))

        return change

    def no_box(about: dict) -> None:
        about["boxes"].popitem()

    def wrong_box(about: dict) -> None:
        boxes = about["boxes"]
        boxes |= {path: [31, 31] for path in boxes}

    cache = tmp_path / "c"
    refuses(rewrite_archive(archive, tmp_path / "b.zip", manifest=forget("real")), cache, "missing from")
    refuses(rewrite_archive(archive, tmp_path / "b.zip", manifest=forget("fake/re")), cache, "missing from")
    refuses(rewrite_archive(archive, tmp_path / "b.zip", manifest=forget("manifest")), cache, "missing from")
    refuses(rewrite_archive(archive, tmp_path / "b.zip", manifest=no_box), cache, "no box")
    refuses(rewrite_archive(archive, tmp_path / "b.zip", manifest=wrong_box), cache, "cannot be composed")


def test_another_format_or_style_is_refused(archive, tmp_path):
    newer = rewrite_archive(archive, tmp_path / "b.zip", manifest=lambda about: about.update(format=2))
    refuses(newer, tmp_path / "c", "b.zip: .*format 2.*format 1")
    refuses(newer, tmp_path / "c", "b.zip: .*format 2.*format 1", unpack_p2)
    none = rewrite_archive(archive, tmp_path / "d.zip", manifest=lambda about: about.pop("format"))
    refuses(none, tmp_path / "c", "no format")
    other = rewrite_archive(archive, tmp_path / "e.zip", manifest=lambda about: about.update(style="snapshot"))
    refuses(other, tmp_path / "c", "e.zip: .*'snapshot', not 'studio'")
    refuses(other, tmp_path / "c", "e.zip: .*'snapshot', not 'studio'", unpack_p2)
    none = rewrite_archive(archive, tmp_path / "f.zip", manifest=lambda about: about.pop("boxes"))
    refuses(none, tmp_path / "c", "describe a dataset")


def lead_out(members: dict, where: str, evil: str) -> None:
    """Give one file of the bundle the name `evil`, with a matching manifest."""
    about = json.loads(members["manifest.json"])
    rows = members["manifest.csv"].decode().splitlines()

    def add(name: str, data: bytes) -> None:
        members[name], about["files"][name] = data, hashlib.sha256(data).hexdigest()

    i = next(i for i, row in enumerate(rows) if row.startswith("fake/repaint" if where == "mask" else "real"))
    cells = rows[i].split(",")
    kept = str(Path(cells[0]).with_suffix(".webp"))
    if where == "recipe":
        add(f"{evil}/recipe.json", b"{}")
    elif where == "weights":
        add(f"p2/{evil}", b"")
    elif where == "image":
        add(str(Path(evil).with_suffix(".webp")), members[kept])
        cells[0] = evil
    elif where == "mask":
        cells[1] = evil
    else:  # split: it is a part of the path of the label map
        add(f"components/{evil}/{Path(kept).name}", members[kept.replace("real", "components", 1)])
        cells[7] = evil
    rows[i] = ",".join(cells)
    add("manifest.csv", "".join(row + "\n" for row in rows).encode())
    about["dataset"]["manifest_sha256"] = about["files"]["manifest.csv"]
    members["manifest.json"] = json.dumps(about).encode()


@pytest.mark.parametrize("where", ["image", "mask", "split", "recipe", "weights"])
def test_nothing_is_written_outside_the_folder(archive, tmp_path, where):
    names = ["../../evil.png", str(tmp_path / "out/evil.png"), "a/../../../evil.png", "..\\evil.png", "C:evil.png"]
    for evil in names:
        changed = rewrite_archive(
            archive, tmp_path / "b.zip", lambda members, evil=evil: lead_out(members, where, evil)
        )
        sentence = "splits are train" if where == "split" and evil == "C:evil.png" else "not a name within"
        refuses(changed, tmp_path / "c", sentence, unpack_p2 if where == "weights" else unpack_dataset)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("style", ["../studio", "/studio", "a/b", "a\\b", "C:studio", "..", ".", "", "studio\n"])
def test_a_style_is_a_plain_name(archive, tmp_path, style):
    for call in (unpack_dataset, unpack_p2):
        for given in (archive, None):
            with pytest.raises(WsdlError, match="name of a style"):
                call(style, given, tmp_path / "c")


def test_links_compressed_and_oversize_members_are_refused(archive, tmp_path, monkeypatch):
    def link(info: ZipInfo) -> None:
        if "real" in info.filename:
            info.external_attr = 0o120777 << 16

    def deflate(info: ZipInfo) -> None:
        info.compress_type = ZIP_DEFLATED

    refuses(rewrite_archive(archive, tmp_path / "b.zip", zipinfo=link), tmp_path / "c", r"real/\S+ is a link")
    refuses(rewrite_archive(archive, tmp_path / "b.zip", zipinfo=deflate), tmp_path / "c", "compressed")
    monkeypatch.setattr(archive_format, "MAX_MEMBER", 20_000)
    refuses(archive, tmp_path / "c", "p2/model.safetensors .* 20,000 bytes", unpack_p2)
