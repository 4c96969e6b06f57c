"""Fakes by Repaint-LDM in a dataset folder: the regions of repaint-p2, raw and clean, by command."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from factories import p2_run
from typer.testing import CliRunner

from wsdl.__main__ import app
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.masks import read_mask
from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining, train_autoencoder
from wsdl.generators.diffusion.train_ldm import LDMTraining, train_ldm
from wsdl.generators.write_fakes import generate_partial

COUNT = 10
STEPS = {"T": 4, "jump_length": 1, "resamplings": 1}


@pytest.fixture(scope="module")
def weights(faces, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ldm")
    train_autoencoder(faces, folder / "autoencoder", AutoencoderTraining(images=8, widths=(8, 8, 8), batch=8))
    train_ldm(
        faces, folder / "autoencoder", folder / "run", LDMTraining(images=4, widths=(16, 32), batch=4, check_every=4)
    )
    return folder / "run"


@pytest.fixture(scope="module")
def made(faces, weights, tmp_path_factory) -> Path:
    """A dataset with 10 fakes each by repaint-p2, Repaint-LDM, and Repaint-LDM with the known pixels pasted back."""
    out = shutil.copytree(faces, tmp_path_factory.mktemp("made") / "data")
    generate_partial("repaint-p2", out, out, p2_run(out.parent / "p2", size=32), COUNT, 0, batch=5, **STEPS)
    words = ["generate", "repaint-ldm", "--data", out, "--weights", weights, "--count", COUNT, "--batch", 5]
    words += ["--T", 4, "--jump-length", 1, "--resamplings", 1]
    for more in ([], ["--clean"]):
        result = CliRunner().invoke(app, [str(word) for word in (*words, *more)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    return out


def test_raw_alters_the_whole_image_and_clean_the_hole_alone(made):
    dataset = Dataset(made)
    kinds = ("repaint-p2", "repaint-ldm", "repaint-ldm-clean")
    assert dataset.select("partial").generator.value_counts().to_dict() == dict.fromkeys(kinds, COUNT)
    real = dataset.select(kind="real").set_index("source_id")
    for row in dataset.select(generator="repaint-ldm").itertuples():
        clean, p2 = (row.mask.replace("fake/repaint-ldm/", f"fake/{kind}/") for kind in (kinds[2], kinds[0]))
        assert (made / row.mask).read_bytes() == (made / clean).read_bytes() == (made / p2).read_bytes()
        outside = read_mask(made / row.mask) == 0
        face = read_image(made / real.loc[row.source_id].path)
        raw, pasted = (read_image(made / path) for path in (row.path, clean.replace("/masks/", "/images/")))
        assert (raw[outside] != face[outside]).mean() > 0.5
        assert np.array_equal(pasted[outside], face[outside])
        assert np.array_equal(pasted[~outside], raw[~outside])
