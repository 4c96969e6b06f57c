"""The generators of a study besides P2: which exist, how they are trained, and the error where there is none.

The long lessons in test_demo.py run with all three, trained in miniature.
"""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from wsdl.bundle import generator_archives
from wsdl.config import EXTRA_GENERATORS, Profile
from wsdl.core.io import WsdlError, write_json
from wsdl.data.dataset import Dataset
from wsdl.data.manifest import write_manifest
from wsdl.experiments import study_generators
from wsdl.experiments.study import Study
from wsdl.profiles import load_profile


def study(out, source="made-up", **changes) -> Study:
    return Study(out, replace(Profile(), **changes), source)


def test_without_a_setting_nothing_is_trained(tmp_path):
    assert study_generators.generator_runs(study(tmp_path)) == {}
    with pytest.raises(WsdlError, match=r'lama .*made-up.*"further": \["lama"\]'):
        study_generators.study_generator(study(tmp_path), "lama")
    assert not any(tmp_path.iterdir())


def test_a_profile_names_those_that_there_are(tmp_path):
    write_json(tmp_path / "mine.json", {"further": ["lama", "gan"]})
    with pytest.raises(WsdlError, match=r"further.*'gan'.*repaint-ldm, lama, pluralistic"):
        load_profile(str(tmp_path / "mine.json"))
    write_json(tmp_path / "mine.json", {"further": list(EXTRA_GENERATORS)})
    assert load_profile(str(tmp_path / "mine.json")).further == EXTRA_GENERATORS


def test_what_comes_with_the_faces_is_used_and_not_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(generator_archives, "bundled_generators", lambda style: ["lama", "repaint-ldm-clean"])
    monkeypatch.setattr(generator_archives, "unpack_generator", lambda style, name: tmp_path / f"{style}-{name}")
    found = study_generators.generator_runs(study(tmp_path, "studio", further=EXTRA_GENERATORS))
    assert found == {"lama": tmp_path / "studio-lama", "repaint-ldm": tmp_path / "studio-repaint-ldm-clean"}


def test_other_fakes_need_their_own_generators(tmp_path, monkeypatch):
    monkeypatch.setattr(
        generator_archives, "bundled_generators", lambda style: pytest.fail("asked for what comes with other fakes")
    )
    assert study_generators.generator_runs(study(tmp_path, "studio", p2_weights="mine")) == {}


def test_fakes_made_in_a_bundled_study_are_listed_too(dataset, tmp_path, monkeypatch):
    """`fakes_by` lists those it is asked for; a lesson shows whatever is there."""
    monkeypatch.setattr(generator_archives, "bundled_generators", lambda style: [])
    mine = study(tmp_path, "studio")
    asked = []
    copy = shutil.copytree(dataset, tmp_path / "copy")
    table = Dataset(copy).table
    more = table[table.kind == "partial"].assign(generator="lama")
    more["path"], more["mask"] = (more[column].str.replace("repaint-p2", "lama") for column in ("path", "mask"))
    write_manifest(copy, pd.concat([table, more]), Dataset(copy).info)
    monkeypatch.setattr(mine, "fakes_by", lambda names: asked.append(names) or Dataset(copy, names))
    assert study_generators.all_fakes(mine).generators == ("lama", "repaint-p2")
    assert asked == [("repaint-p2",), ("lama", "repaint-p2")]


@pytest.mark.slow
def test_a_trained_generator_is_loaded_and_changes_only_the_mask(faces, tmp_path):
    from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter

    train_inpainter(
        "lama", faces, tmp_path / "lama", InpainterTraining(images=4, width=64, blocks=1, batch=2, check_every=4)
    )
    mine = study(tmp_path, further=("lama",), further_images=4)
    assert study_generators.generator_runs(mine) == {
        "lama": tmp_path / "lama"
    }  # is there: nothing is trained, no faces are drawn
    images = Dataset(faces).images[:2]
    masks = np.zeros(images.shape[:3], np.uint8)
    masks[:, 8:16, 8:16] = 1
    inpainted = study_generators.study_generator(mine, "lama").inpaint(images, masks, [0, 1])
    assert (inpainted != images).any(axis=-1)[masks == 0].sum() == 0
    assert (inpainted != images)[masks == 1].any()
