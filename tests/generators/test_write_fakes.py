"""Fakes in a dataset folder: what is written, that the count only adds, and that what does not fit is refused."""

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
from factories import p2_run
from helpers import kill_when, left_by_the_dead, tree

from wsdl.core.io import WsdlError, read_json, sha256, write_json
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.data.manifest import PENDING_MANIFEST, update_manifest, write_manifest
from wsdl.data.masks import component_mask, read_mask, visible_components
from wsdl.generators import fake_files
from wsdl.generators import write_fakes as module
from wsdl.generators.diffusion import p2
from wsdl.generators.write_fakes import generate_full, generate_partial

FULL = {"steps": 2, "batch": 4}
PARTIAL = {"T": 4, "jump_length": 2, "resamplings": 2, "batch": 8}


@pytest.fixture(scope="module")
def few(faces, tmp_path_factory) -> Path:
    """`faces` with 6 of its faces: the fewer faces, the sooner a component is inpainted a second time."""
    out = shutil.copytree(faces, tmp_path_factory.mktemp("few") / "data")
    dataset = Dataset(out)
    write_manifest(out, dataset.table.groupby("split").head(2), dataset.info)
    assert len(Dataset(out).table) == 6
    return out


@pytest.fixture(scope="module")
def made(few, weights, tmp_path_factory) -> Path:
    """A dataset with 12 full fakes, and more partial ones than its 6 faces have components."""
    out = shutil.copytree(few, tmp_path_factory.mktemp("made") / "data")
    generate_full(out, weights, 12, 0, **FULL)
    generate_partial("repaint-p2", out, out, weights, 38, 0, **PARTIAL)
    return out


@pytest.fixture
def data(few, tmp_path) -> Path:
    return shutil.copytree(few, tmp_path / "data")


def test_full_fakes_of_both_samplers_stand_side_by_side(made, weights, tmp_path):
    both = shutil.copytree(made, tmp_path / "both")
    generate_full(both, weights, 10, 0, **FULL, sampler="ddpm")
    full = Dataset(both).select(kind="full")
    assert full.groupby("generator").size().to_dict() == {"p2": 12, "p2-ddpm": 10}
    assert (full[full.generator == "p2-ddpm"].source_id.str.startswith("p2-ddpm/")).all()
    first = [read_image(both / f"fake/{name}/train/000000.png") for name in ("p2", "p2-ddpm")]
    assert not np.array_equal(*first)
    with pytest.raises(WsdlError, match="sampler is 'euler', but must be ddim or ddpm"):
        generate_full(both, weights, 10, 0, **FULL, sampler="euler")


# --- what is written --------------------------------------------------------------------------------------------


def test_full_fakes_are_listed_and_one_in_ten_is_for_validation(made):
    table = Dataset(made).select(kind="full")
    assert table.path.tolist() == [f"fake/p2/train/{i:06d}.png" for i in (*range(9), 10, 11)] + [
        "fake/p2/valid/000009.png"
    ]
    assert table.source_id.tolist()[-1] == "p2/000009"
    assert (table.area == 1).all()
    assert (table["mask"] == "").all()
    assert table.sha256.tolist() == [sha256(made / path) for path in table.path]
    images = [read_image(made / path) for path in table.path]
    assert {image.shape for image in images} == {(32, 32, 3)}
    assert len({image.tobytes() for image in images}) == 12


def test_a_partial_fake_is_its_face_but_for_its_mask(made):
    dataset = Dataset(made)
    real = dataset.select(kind="real").set_index("source_id")
    for row in dataset.select(kind="partial").itertuples():
        face, mask = real.loc[row.source_id], read_mask(made / row.mask)
        original, fake = read_image(made / face.path), read_image(made / row.path)
        assert np.array_equal(fake[mask == 0], original[mask == 0])
        assert (fake != original).any(axis=-1)[mask == 1].mean() > 0.5
        assert mask[component_mask(dataset.labels(face), row.component)].all()
        assert row.area == pytest.approx(mask.mean(), abs=1e-6)
        assert row.split == face.split
        assert row.sha256 == sha256(made / row.path)


def test_a_repeated_component_is_inpainted_anew(made):
    table = Dataset(made).select(kind="partial").set_index("path")
    again = [path for path in table.index if path.endswith("-2.png")]
    assert again
    for path in again:
        assert (made / path).read_bytes() != (made / path.replace("-2.png", ".png")).read_bytes()


def test_the_whole_dataset_opens_and_says_how_it_was_made(made):
    dataset = Dataset(made)
    assert len(dataset.table) == 6 + 12 + 38
    assert not dataset.table.path.duplicated().any()
    assert dataset.images.shape == (56, 32, 32, 3)
    assert [entry["command"].split(" --")[0] for entry in dataset.info["made_by"]] == [
        "python -m wsdl data prepare",
        "python -m wsdl generate p2",
        "python -m wsdl generate repaint-p2",
    ]


def test_fakes_can_go_to_a_folder_of_their_own(faces, weights, tmp_path):
    generate_partial("repaint-p2", faces, tmp_path / "partial", weights, 3, 0, **PARTIAL)
    generate_full(tmp_path / "full", weights, 3, 0, **FULL)
    for name, kind in (("partial", "partial"), ("full", "full")):
        dataset = Dataset(tmp_path / name)
        assert dataset.table.kind.tolist() == [kind] * 3
        assert dataset.size == 32
        assert not (tmp_path / name / "real").exists()


def test_the_cost_is_said_before(data, weights, capfd):
    generate_partial("repaint-p2", data, data, weights, 10, 0, **PARTIAL)
    said = capfd.readouterr().err
    assert "repaint-p2: 10 images to make, 6 network calls each; in batches of 8 that is 12 calls, about" in said


# --- again, and more --------------------------------------------------------------------------------------------


def test_a_larger_count_adds_and_ends_in_the_same_bytes(few, made, weights, tmp_path):
    grown = shutil.copytree(few, tmp_path / "grown")
    for full, partial in ((5, 3), (12, 38)):
        generate_full(grown, weights, full, 0, **FULL)
        generate_partial("repaint-p2", grown, grown, weights, partial, 0, **PARTIAL)
        assert (len(Dataset(grown).select("full")), len(Dataset(grown).select("partial"))) == (full, partial)
    assert tree(grown) == tree(made)


def test_fakes_of_an_earlier_sampler_are_kept_but_not_added_to(made, weights, tmp_path):
    old = shutil.copytree(made, tmp_path / "old")
    path = old / "fake/repaint-p2/recipe.json"
    recipe = read_json(path)
    assert recipe.pop("sampler_version") == 2
    write_json(path, recipe)
    before = tree(old)
    generate_partial("repaint-p2", old, old, weights, 38, 0, **PARTIAL)
    assert tree(old) == before
    with pytest.raises(WsdlError, match=r"repaint-p2: was begun with sampler_version = 1, not 2; choose another --out"):
        generate_partial("repaint-p2", old, old, weights, 39, 0, **PARTIAL)
    next((old / "fake/repaint-p2/images").rglob("*.png")).unlink()
    with pytest.raises(WsdlError, match="sampler_version = 1, not 2"):
        generate_partial("repaint-p2", old, old, weights, 38, 0, **PARTIAL)


def test_nothing_is_done_twice(made, weights, tmp_path, monkeypatch):
    again = shutil.copytree(made, tmp_path / "again")
    monkeypatch.setattr(p2, "load_p2", lambda weights: pytest.fail("the network was loaded for nothing"))
    for count in (12, 5):
        generate_full(again, weights, count, 0, **FULL)
        generate_partial("repaint-p2", again, again, weights, count, 0, **PARTIAL)
    assert tree(again) == tree(made)


def test_batches_are_always_whole(data, weights, monkeypatch):
    """Processors may differ in the last bit between batch sizes, so a batch never shrinks with the count."""
    sizes, inpaint = [], p2.P2.inpaint

    def watched(self, images, *args, **more):
        sizes.append(len(images))
        return inpaint(self, images, *args, **more)

    monkeypatch.setattr(p2.P2, "inpaint", watched)
    generate_partial("repaint-p2", data, data, weights, 9, 0, **PARTIAL)
    assert sizes == [8, 8]
    assert len(list((data / "fake").rglob("images/*/*.png"))) == 9


def test_only_batches_with_a_gap_are_sampled_again(made, weights, tmp_path, monkeypatch):
    again = shutil.copytree(made, tmp_path / "again")
    (again / "fake/p2/train/000005.png").write_bytes(b"")  # not synced before a power loss
    left_by_the_dead(again / "fake/p2/train/000005.png").write_bytes(b"half an image")
    sampled, sample = [], p2.P2.sample

    def watched(self, n, seed, steps, first, on_step, sampler):
        sampled.append((first, n))
        return sample(self, n, seed, steps, first, on_step, sampler)

    monkeypatch.setattr(p2.P2, "sample", watched)
    generate_full(again, weights, 12, 0, **FULL)
    assert sampled == [(4, 4)]
    assert tree(again) == tree(made)


def test_a_kill_while_the_manifest_is_written_is_mended(made, weights, tmp_path, monkeypatch):
    """The kill comes between the two files that belong together: manifest.csv and dataset.json."""
    again, whole = (shutil.copytree(made, tmp_path / name) for name in ("again", "whole"))
    generate_full(whole, weights, 16, 0, **FULL)
    monkeypatch.setattr(fake_files, "update_manifest", write_half)
    with pytest.raises(KeyboardInterrupt):
        generate_full(again, weights, 16, 0, **FULL)
    monkeypatch.undo()
    generate_full(again, weights, 16, 0, **FULL)
    assert tree(again) == tree(whole)


def write_half(*args) -> None:
    def kill(folder: Path) -> None:
        if (folder / PENDING_MANIFEST).exists():
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wsdl.data.manifest._complete_pending", kill)
        update_manifest(*args)


def test_fakes_of_two_generators_at_once_are_all_listed(data, weights, monkeypatch):
    """While full fakes are made, another call writes partial ones into the same dataset."""

    def generate_others(*_) -> None:
        monkeypatch.undo()
        generate_partial("repaint-p2", data, data, weights, 8, 0, **PARTIAL)

    monkeypatch.setattr(module, "_print_cost", generate_others)
    generate_full(data, weights, 12, 0, **FULL)
    dataset = Dataset(data)
    assert len(dataset.select(generator="p2")) == 12
    assert len(dataset.select(generator="repaint-p2")) == 8
    assert {entry.get("generator") for entry in dataset.info["made_by"]} >= {"p2", "repaint-p2"}


def image_count(folder: Path) -> int:
    return len(list(folder.rglob("[!.]*.png")))


@pytest.mark.slow
def test_killed_generators_end_in_the_same_bytes(faces, weights, tmp_path):
    """SIGKILL while full and partial fakes are written. The killed process is forked from one that imported torch."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["wsdl.generators.write_fakes", "wsdl.generators.diffusion.p2"])
    killed, whole = (shutil.copytree(faces, tmp_path / name) for name in ("killed", "whole"))
    full = (generate_full, "p2", lambda data: (data, weights, 30, 0), {"steps": 8, "batch": 4})
    partial = (
        generate_partial,
        "repaint-p2",
        lambda data: ("repaint-p2", data, data, weights, 18, 0),
        {"batch": 4, "T": 10, "jump_length": 2, "resamplings": 2},
    )
    for generate, name, arguments, settings in (full, partial):
        process = processes.Process(target=generate, args=arguments(killed), kwargs=settings)
        kill_when(process, lambda fakes=killed / "fake" / name: image_count(fakes) >= 6)
        assert len(Dataset(killed).select(generator=name)) == 0  # opens, as it was
        for data in (killed, whole):
            generate(*arguments(data), **settings)
        assert tree(killed) == tree(whole)
    assert len(Dataset(killed).table) == 24 + 30 + 18


# --- what is refused --------------------------------------------------------------------------------------------


def test_other_settings_are_refused_and_change_nothing(made, weights, tmp_path):
    again = shutil.copytree(made, tmp_path / "again")
    other = p2_run(tmp_path / "other", size=32, seed=1)
    with pytest.raises(WsdlError, match=r"fake/p2: .*seed.* 0.* 1"):
        generate_full(again, weights, 20, 1, **FULL)
    with pytest.raises(WsdlError, match=r"steps.* 2.* 3"):
        generate_full(again, weights, 20, 0, steps=3, batch=4)
    with pytest.raises(WsdlError, match="weights = "):
        generate_full(again, other, 20, 0, **FULL)
    with pytest.raises(WsdlError, match=r"fake/repaint-p2: .*T.* 4.* 5"):
        generate_partial("repaint-p2", again, again, weights, 20, 0, **PARTIAL | {"T": 5})
    assert tree(again) == tree(made)
    assert read_json(again / "fake/p2/recipe.json")["seed"] == 0


def test_weights_for_another_size_are_refused_first(data, tmp_path):
    small, before = p2_run(tmp_path / "small", size=16), tree(data)
    message = r"^\S*data: has images of 32 px, but \S*small generates 16 px; prepare the data with --size 16, or .*\.$"
    with pytest.raises(WsdlError, match=message):
        generate_full(data, small, 4, 0, **FULL)
    with pytest.raises(WsdlError, match=message):
        generate_partial("repaint-p2", data, tmp_path / "new", small, 4, 0, **PARTIAL)
    assert tree(data) == before
    assert not (tmp_path / "new").exists()


def test_faces_without_component_masks_are_refused(data, weights):
    shutil.rmtree(data / "components")
    with pytest.raises(WsdlError, match="component mask"):
        generate_partial("repaint-p2", data, data, weights, 4, 0, **PARTIAL)


def test_fakes_never_join_a_dataset_with_other_splits(data, weights, made_up, tmp_path):
    from wsdl.data.prepare import prepare_dataset

    prepare_dataset(*made_up, tmp_path / "other", size=32, seed=1, source="made-up")
    with pytest.raises(WsdlError, match="must be in one split"):
        generate_partial("repaint-p2", data, tmp_path / "other", weights, 4, 0, **PARTIAL)


def test_components_of_the_drawn_faces_are_used_up(made):
    """38 fakes of 6 faces: every component that a face shows was inpainted."""
    dataset = Dataset(made)
    inpainted = dataset.select(kind="partial").groupby("source_id").component.agg(set)
    for face in dataset.select(kind="real").itertuples():
        assert inpainted[face.source_id] == set(visible_components(dataset.labels(face)))


def test_counts_of_each_split(few, weights, tmp_path):
    counts = {"counts": (5, 1, 7), **PARTIAL}
    for _ in range(2):  # a repeated call finds them
        generate_partial("repaint-p2", few, tmp_path / "out", weights, 13, 0, **counts)
        table = Dataset(tmp_path / "out").table
        assert table.groupby("split").size().to_dict() == {"train": 5, "valid": 1, "test": 7}
    with pytest.raises(WsdlError, match="counts"):
        generate_partial("repaint-p2", few, tmp_path / "out", weights, 13, 0, **{**counts, "counts": (6, 1, 6)})


def test_counts_of_a_split_without_faces(few, weights, tmp_path):
    data = Path(shutil.copytree(few, tmp_path / "data"))
    dataset = Dataset(data)
    write_manifest(data, dataset.table[dataset.table.split != "test"], dataset.info)
    with pytest.raises(WsdlError, match="has no face in test that can be inpainted"):
        generate_partial("repaint-p2", data, data, weights, 9, 0, counts=(3, 3, 3), **PARTIAL)
