"""The files of fakes and their rows in the manifest of a dataset."""

from pathlib import Path

import numpy as np
import pandas as pd

from wsdl import __version__
from wsdl.config import FULL_GENERATORS
from wsdl.core.io import is_written, sha256
from wsdl.core.locks import FOLDER_LOCK, hold_lock
from wsdl.core.progress import print_stderr
from wsdl.data.images import write_image
from wsdl.data.manifest import MANIFEST_COLUMNS, update_manifest, write_manifest
from wsdl.data.masks import read_mask, write_mask
from wsdl.generators.fake_plan import Fake


def begin_dataset(out: Path, info: dict) -> None:
    """Make `out` a dataset without images if it is not one yet."""
    if (out / "manifest.csv").exists():
        return
    with hold_lock(out / FOLDER_LOCK, wait=True):  # several workers may begin at once
        if not any((out / name).exists() for name in ("manifest.csv", "real", "fake")):
            write_manifest(out, pd.DataFrame(columns=MANIFEST_COLUMNS), info)


def fake_exists(out: Path, fake) -> bool:
    """Whether the files of `fake`, a `Fake` or a row of the manifest, are in `out`."""
    return all(is_written(out / name) for name in (fake.path, fake.mask) if name)  # a full fake has no mask


def write_fake(out: Path, fake: Fake, image: np.ndarray, mask: np.ndarray | None) -> None:
    if fake_exists(out, fake):
        return
    if mask is not None:
        write_mask(out / fake.mask, mask)
    write_image(out / fake.path, image)


def fake_row(out: Path, generator: str, fake: Fake) -> dict:
    """The manifest row of a fake that was written."""
    area = float(read_mask(out / fake.mask).mean()) if fake.mask else 1.0
    values = {"path": fake.path, "mask": fake.mask, "kind": "partial" if fake.mask else "full",
              "generator": generator, "component": fake.component, "area": area, "source_id": fake.source_id,
              "split": fake.split, "sha256": sha256(out / fake.path)}  # fmt: skip
    return {column: values[column] for column in MANIFEST_COLUMNS}


def list_fakes(out: Path, generator: str, seed: int, rows: list[dict]) -> None:
    """Add `rows` to the manifest; they replace rows of the same images and of images that no longer exist.

    Rows that other processes added meanwhile are kept.
    """
    made = pd.DataFrame(rows)

    def add_rows(old: pd.DataFrame, info: dict) -> tuple[pd.DataFrame, dict]:
        gone = [row.generator == generator and not fake_exists(out, row) for row in old.itertuples()]
        table = pd.concat([old[~old.path.isin(made.path) & ~np.array(gone, bool)], made])
        total = int((table.generator == generator).sum())
        words = "p2 --sampler ddpm" if generator == FULL_GENERATORS["ddpm"] else generator
        entry = {"command": f"python -m wsdl generate {words} --count {total} --seed {seed}",
                 "generator": generator, "seed": seed, "version": __version__}  # fmt: skip
        made_by = info.get("made_by", [])
        entries = {e.get("generator", "real"): e for e in (made_by if isinstance(made_by, list) else [made_by])}
        print_stderr(f"{out}: has {total} fakes by {generator}.")
        return table, {**info, "made_by": list({**entries, generator: entry}.values())}

    update_manifest(out, add_rows)
