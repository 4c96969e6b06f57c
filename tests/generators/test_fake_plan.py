"""Which fakes are made: each face in turn, each component in turn, the same list whatever the count."""

from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsdl.core.io import WsdlError
from wsdl.data.masks import COMPONENTS
from wsdl.generators.fake_plan import full_plan, partial_plan


def some_faces(shown: list[list[str]]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Rows of a manifest and label maps of faces that show the components `shown`."""
    names = [f"f{i}" for i in range(len(shown))]
    labels = {
        name: np.repeat(np.array([0, *(COMPONENTS[c][0] for c in components)], np.uint8), 8).reshape(-1, 8)
        for name, components in zip(names, shown, strict=True)
    }
    rows = {"path": [f"real/train/{name}.png" for name in names], "source_id": names, "split": "train"}
    return pd.DataFrame(rows), labels


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(list(COMPONENTS)), unique=True), min_size=1, max_size=6), st.integers(0, 99))
def test_plan_takes_each_component_once_before_it_takes_one_twice(shown, seed):
    faces, labels = some_faces(shown)
    opened: list[str] = []

    def label_map(face):
        opened.append(face.source_id)
        return labels[face.source_id]

    if not any(shown):
        with pytest.raises(WsdlError, match="no real face"):
            next(partial_plan(faces, label_map, seed))
        return
    plan = list(islice(partial_plan(faces, label_map, seed), 40))
    assert len({fake.path for fake in plan}) == 40
    assert len(opened) <= len(shown)
    assert list(islice(partial_plan(faces, lambda face: labels[face.source_id], seed), 17)) == plan[:17]
    for name, components in zip(faces.source_id, shown, strict=True):
        mine = [fake for fake in plan if fake.source_id == name]
        assert [fake.use for fake in mine] == [i // len(components) for i in range(len(mine))]
        for start in range(0, len(mine) - len(components) + 1, max(1, len(components))):
            assert {f.component for f in mine[start : start + len(components)]} == set(components)


def test_plan_opens_no_more_label_maps_than_it_needs():
    faces, labels = some_faces([["skin"]] * 6)
    opened = []
    list(islice(partial_plan(faces, lambda face: opened.append(face) or labels[face.source_id], 0), 3))
    assert len(opened) == 3


def test_plan_goes_through_all_faces_first():
    faces, labels = some_faces([["skin", "hair"], ["nose"], []])
    paths = [fake.path for fake in islice(partial_plan(faces, lambda face: labels[face.source_id], 0), 5)]
    assert {Path(path).name.split("-")[0] for path in paths[:2]} == {"f0", "f1"}
    assert sorted(Path(path).name for path in paths if "f1" in path)[:2] == ["f1-nose-2.png", "f1-nose.png"]


def test_other_seeds_plan_otherwise():
    faces, labels = some_faces([["skin", "hair", "nose"]] * 9)
    plans = [list(islice(partial_plan(faces, lambda face: labels[face.source_id], seed), 9)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1]
    assert [fake.source_id for fake in plans[0]] != [fake.source_id for fake in plans[2]]
    assert {fake.path for fake in plans[0]} != {fake.path for fake in plans[2]}


def test_full_plan_is_nine_to_one():
    splits = [fake.split for fake in islice(full_plan(), 10_000)]
    assert (splits.count("train"), splits.count("valid")) == (9000, 1000)
