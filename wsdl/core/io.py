"""Atomic writing of files (a temporary name, then a rename), names within a folder, JSON, checksums and seeds."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_dir

from wsdl.core.leftovers import temporary_name

# "", "." or ".." between the / of a name; a backslash or control character; a drive, as in C:x
_LEADS_OUT = re.compile(r"(^|/)\.{0,2}(/|$)|[\\\x00-\x1f\x7f]|^.:")


class WsdlError(Exception):
    """An error that the user can fix. The message is one sentence: the file, the value, what would be right."""


@contextmanager
def atomic(path: Path, sync: bool = False):
    """Yield a temporary path next to `path`; rename it to `path` if the block succeeds.

    A kill at any moment leaves the old file or the new one, never a partial file. sync: after a power loss, too; this
    waits for the disk, so it is for single files that others depend on and not for each of many images.
    WsdlError where the disk is full, the folder cannot be written, or the content is not valid Unicode.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if sync:
            sync_to_disk(temporary)
        os.replace(temporary, path)
        if sync:
            sync_to_disk(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    except UnicodeEncodeError as error:
        raise WsdlError(
            f"{path}: cannot hold {error.object!r}, which is not valid Unicode; rename what has this name, or set "
            f"PYTHONUTF8=1."
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> WsdlError:
    """The error that says why `path` cannot be written, and what would help."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "free some space" if full else "choose a folder that can be written to (for the cache: WSDL_CACHE)"
    return WsdlError(f"{path}: cannot be written ({error.strerror or error}); {advice}.")


def sync_to_disk(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():  # Windows cannot open folders
        return
    with suppress(PermissionError):  # a folder that may be written but not read
        file = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(file)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot sync folders
                raise
        finally:
            os.close(file)


def cache_home() -> Path:
    """The folder for what can be made again: $WSDL_CACHE, else the user cache folder of the system."""
    try:
        return Path(os.environ.get("WSDL_CACHE") or user_cache_dir("wsdl", appauthor=False)).expanduser()
    except RuntimeError:  # "~" where there is neither HOME nor an entry for the user
        raise WsdlError("WSDL_CACHE: is not set, and this user has no home folder; set it to a folder.") from None


def path_inside(folder: Path, name: str) -> Path:
    """folder/name, for a `name` that was read from a file.

    WsdlError where it leads out of `folder` on any system, or is no file name on this one.
    """
    if _LEADS_OUT.search(name):
        raise WsdlError(f"{name!r}: is not a name within {folder}; give a path in that folder, with / between names.")
    try:
        os.fsencode(name)
    except UnicodeEncodeError as error:
        raise WsdlError(f"{name!r}: is no file name in the encoding {error.encoding}; set PYTHONUTF8=1.") from None
    return folder / name


def write_text(path: Path, text: str) -> None:
    with atomic(path, sync=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def is_written(path: Path) -> bool:
    """Whether `path` exists and is not empty, as a file that was not synced may be after a power loss."""
    path = Path(path)
    return path.exists() and path.stat().st_size > 0


def copy_if_missing(file: Path, to: Path) -> None:
    """Copy `file` to `to`, unless `to` is written or `file` does not exist."""
    if Path(file).exists() and not is_written(to):
        with atomic(to) as temporary:
            shutil.copyfile(file, temporary)


def write_json(path: Path, value) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path):
    """The JSON value in `path`. WsdlError where the file is missing or is not valid JSON."""
    return _parse(path, json.loads, "JSON")


def read_toml(path: Path) -> dict:
    """The TOML table in `path`. WsdlError where the file is missing or is not valid TOML."""
    return _parse(path, tomllib.loads, "TOML")


def _parse(path: Path, parse: Callable, language: str):
    text = read_text(path)
    try:
        return parse(text)
    except (ValueError, RecursionError) as error:
        raise WsdlError(f"{path}: is not valid {language} ({error}).") from None


def read_text(path: Path) -> str:
    """The text in `path`. WsdlError where it is no file or not in UTF-8."""
    with open_regular_file(path) as file:
        try:
            return file.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise WsdlError(f"{path}: is not a text in UTF-8 ({error}).") from None


def open_regular_file(path: Path) -> BinaryIO:
    """`path`, opened for reading. WsdlError where it cannot be read or is a pipe or a folder (a pipe would block)."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise WsdlError(f"{path}: is not a file but a folder, a pipe or a device.")
        return Path(path).open("rb")
    except FileNotFoundError:
        raise WsdlError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise WsdlError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}).") from None


def sha256(path: Path) -> str:
    """The sha256 of a file, as 64 hexadecimal digits. WsdlError where it is missing or cannot be read."""
    with open_regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_files(files: Iterable[Path]) -> str:
    """One sha256 of several files; their order matters."""
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def hub_id(name: str | Path) -> str:
    """`name`, which is not a local folder, as a hub id. WsdlError where it is not of the form owner/name."""
    if Path(name).is_absolute() or str(name).count("/") != 1:
        raise WsdlError(f"{name}: no such folder, and not a hub id of the form owner/name.")
    return str(name)


def seed_for(*words) -> int:
    """A 63-bit seed that depends on all the words and is the same on every machine.

    Every random draw in wsdl uses `seed_for(seed, what, which)`, so that item 17 is the same whether or not items 0-16
    were made in the same call: interrupted work resumes without changing a byte.
    """
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
