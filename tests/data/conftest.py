"""Data that several tests of wsdl.data change."""

import shutil
from pathlib import Path

import pytest

from wsdl.data.images import list_image_files


@pytest.fixture
def pair(made_up, tmp_path) -> tuple[Path, Path]:
    """Copies of six faces and their masks, to be modified."""
    folders = tmp_path / "images", tmp_path / "masks"
    for source, folder in zip(made_up, folders, strict=True):
        folder.mkdir()
        for path in list(list_image_files(source).values())[:6]:
            shutil.copy(path, folder)
    return folders
