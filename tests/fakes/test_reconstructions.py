"""Reconstructed faces as full fakes: which faces, resuming, and refused recipes."""

import shutil

import numpy as np
import pytest
from factories import add_lama

from wsdl.core.io import WsdlError
from wsdl.data.check import check_dataset
from wsdl.data.dataset import Dataset
from wsdl.fakes.reconstructions import write_round_trips
from wsdl.training.examples import setup_examples


def darker(images, ids):
    assert len(images) == len(ids)
    return images // 2


@pytest.fixture(scope="module")
def trips(dataset, tmp_path_factory):
    return write_round_trips(Dataset(dataset), tmp_path_factory.mktemp("trips") / "data", "darker", darker, {"seed": 0})


def test_every_face_of_train_and_valid_travels_and_none_of_test(dataset, trips):
    real = Dataset(dataset).select(kind="real")
    full = trips.select(kind="full")
    assert sorted(full.source_id) == sorted(real.source_id[real.split != "test"])
    assert np.array_equal(trips.images[full.index], trips.images[trips.source_index(full)] // 2)
    assert check_dataset(trips.folder) == []


def test_setup_a_learns_from_real_faces_and_reconstructions(trips):
    seen = setup_examples(trips, "a", "train")
    assert set(trips.table.generator[seen.fake]) == {"darker"}
    assert len(seen.fake) == len(seen.real)
    assert not len(trips.select(kind="partial"))


def test_what_came_back_already_does_not_travel_again(dataset, trips):
    one = trips.folder / trips.select(kind="full").path.iloc[0]
    content = one.read_bytes()
    one.unlink()
    sent = []

    def counted(images, ids):
        sent.extend(ids)
        return darker(images, ids)

    write_round_trips(Dataset(dataset), trips.folder, "darker", counted, {"seed": 0})
    assert len(sent) == 1
    assert one.read_bytes() == content
    with pytest.raises(WsdlError, match=r"seed.* 0.* 1"):
        write_round_trips(Dataset(dataset), trips.folder, "darker", darker, {"seed": 1})


def test_more_fakes_are_no_other_faces(dataset, trips, tmp_path):
    more = shutil.copytree(dataset, tmp_path / "more")
    add_lama(more)
    manifest = (trips.folder / "manifest.csv").read_bytes()
    write_round_trips(Dataset(more), trips.folder, "darker", darker, {"seed": 0})
    assert (trips.folder / "manifest.csv").read_bytes() == manifest
