"""Cut and paste: what is pasted where, what the mask is, and what setups A and B learn about the data (nothing)."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from factories import add_lama

from wsdl.config import PatchesMilTraining
from wsdl.core.io import WsdlError
from wsdl.core.run import read_stats
from wsdl.data.dataset import Dataset
from wsdl.data.decoded import DecodedArray
from wsdl.detectors.patches_mil import PatchesMil
from wsdl.training import pasting
from wsdl.training.detector import train_detector
from wsdl.training.examples import Examples, face_halves, setup_examples
from wsdl.training.pasting import UNKNOWN, Regions, paste_pieces, pasted_batch
from wsdl.training.pieces import cut_piece, random_ellipse

SIDE = 40
SETTINGS = PatchesMilTraining(
    input_size=48, images=96, batch=8, check_every=32, label_images=32, decided_from=0.5, pseudo_labels=0.5
)


@pytest.fixture
def examples() -> Examples:
    """20 real images and 12 fakes; the value of every pixel is the index of its image; fake 20 + i shows face i."""
    images = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None, None], (32, SIDE, SIDE, 3))
    half = np.concatenate([np.arange(20) % 2, np.arange(12) % 2]).astype(np.uint8)
    return Examples(images, np.arange(20), np.arange(20, 32), None, False, half)


@pytest.fixture
def regions(examples) -> Regions:
    """Regions of 10 x 20 pixels, at another place in each fake."""
    maps = np.zeros((12, SIDE, SIDE), np.float16)
    for i in range(12):
        maps[i, i : i + 10, i : i + 20] = 1
    return Regions(examples.fake, maps)


@pytest.fixture
def plain_colours(monkeypatch):
    """Pieces keep their colour, so that the images they come from are seen."""
    monkeypatch.setattr(pasting, "match_border", lambda content, target, piece: content)


@pytest.mark.usefixtures("plain_colours")
def test_the_mask_is_exactly_what_was_pasted(examples, regions):
    rng, donors = np.random.default_rng(0), set()
    for _ in range(300):
        image, mask = paste_pieces(examples, regions, 3, 0.5, rng)
        assert ((image[..., 0] >= 20) == mask.astype(bool)).all()
        fakes = {int(value) for value in image[mask == 1].ravel()}
        for fake in fakes:
            assert not (image[..., 0] == fake)[~regions.region(fake - 20, SIDE)].any()
        donors.add(len(fakes))
    assert donors == {0, 1, 2, 3}


@pytest.mark.usefixtures("plain_colours")
def test_decoys_are_pieces_of_real_images(examples, regions):
    for decoys, marked in ((0.0, 1.0), (1.0, 0.0), (0.25, 0.75)):
        rng, pieces, fakes = np.random.default_rng(0), 0, 0
        for _ in range(300):
            image, mask = paste_pieces(examples, regions, 3, decoys, rng)
            pieces += len(np.unique(image)) - 1
            fakes += len(np.unique(image[mask == 1]))
        assert fakes / pieces == pytest.approx(marked, abs=0.06)


@pytest.mark.usefixtures("plain_colours")
def test_a_fake_never_meets_its_own_source(examples, regions):
    rng, met = np.random.default_rng(1), set()
    for _ in range(400):
        image, mask = paste_pieces(examples, regions, 3, 0.0, rng)
        (real,) = np.unique(image[mask == 0])
        met |= {(fake - 20, real) for fake in np.unique(image[mask == 1])}
    assert len({fake for fake, _ in met}) == 12
    assert not [pair for pair in met if pair[0] % 2 == pair[1] % 2]


def test_halves_separate_a_fake_from_its_source(dataset):
    data = Dataset(dataset)
    table = data.table.assign(half=face_halves(data))
    shown = table[table.kind != "full"].groupby("source_id").half
    assert (shown.nunique() == 1).all()
    assert sorted(table.half.unique()) == [0, 1]
    assert table[table.kind == "full"].half.nunique() == 2


def test_halves_do_not_depend_on_fakes_left_out(dataset, tmp_path):
    both = shutil.copytree(dataset, tmp_path / "both")
    add_lama(both)
    data, some = Dataset(both), Dataset(both, ("repaint-p2",))
    shown = some.table.index[some.table.kind != "full"]
    assert len(face_halves(some)) == len(some.images)
    assert (face_halves(some)[shown] == face_halves(data)[shown]).all()


def test_faces_of_one_half_are_refused_in_one_sentence(examples):
    alone = replace(examples, half=np.zeros(32, np.uint8))
    run = type("Run", (), {"folder": "runs/b", "config": {"batch": 4, "seed": 0}})
    with pytest.raises(WsdlError, match="runs/b: pasting needs real training images of at least two faces"):
        pasting.BatchSource(run, alone, alone, SETTINGS)


@pytest.mark.usefixtures("plain_colours")
def test_a_full_fake_is_cut_and_never_pasted_whole(examples):
    full, rng = Regions(examples.fake), np.random.default_rng(2)
    areas = [cut_piece(full.region(0, SIDE), rng).mean() for _ in range(100)]
    assert 0 < min(areas) < 0.05
    assert 0.2 < max(areas) < 0.8


def test_an_ellipse_has_the_area_of_its_radii():
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(20):
        drawn = random_ellipse(400, (200, 200), rng)
        long, short = again.uniform(0.05, 0.3, 2) * 400
        again.uniform()
        assert drawn.sum() == pytest.approx(np.pi * long * short, rel=0.02)


def test_an_empty_region_gives_an_empty_piece():
    assert not cut_piece(np.zeros((8, 8), bool), np.random.default_rng(0)).any()


def test_batches_depend_on_seed_and_step_alone(examples, regions):
    one, same, other = (pasted_batch(examples, 8, seed, 5, regions, 3) for seed in (0, 0, 1))
    assert one.images.shape == (8, SIDE, SIDE, 3)
    assert (one.images == same.images).all()
    assert (one.masks == same.masks).all()
    assert (one.images != other.images).any()
    assert one.labels.tolist() == one.masks.amax(dim=(1, 2)).tolist()


class Confident:
    """A detector whose maps are 0.4 in a corner of fakes, and noise below `noise` elsewhere."""

    def __init__(self, noise: float = 0.2):
        self.noise = noise

    def predict(self, images: np.ndarray):
        maps = np.random.default_rng(0).uniform(0, self.noise, (len(images), 10, 10)).astype(np.float32)
        maps[images[:, 0, 0, 0] >= 20, :5, :5] = 0.4
        return type("Prediction", (), {"maps": maps})


def test_a_threshold_of_regions_is_at_most_one_half(examples):
    for noise, threshold in ((0.2, 0.2), (0.9, 0.5)):
        found = pasting.confident_regions(Confident(noise), examples, examples, 0, 0.998, 0.0)
        assert found.threshold == pytest.approx(threshold, abs=0.01)


def test_what_is_surely_real_falls_with_the_maps_of_real_images(examples):
    for noise in (0.2, 0.002):
        found = pasting.confident_regions(Confident(noise), examples, examples, 0, 0.998, 0.0)
        mask = found.pseudo_mask(0, SIDE)
        assert found.surely_real == pytest.approx(0.9 * noise, rel=0.05)
        assert (mask[:16, :16] == 1).all()
        assert 0.02 < (mask[24:, 24:] == UNKNOWN).mean() < 0.2


def test_regions_are_what_exceeds_real_images(examples):
    found = pasting.confident_regions(Confident(), examples, examples, 0, 0.998, 0.0)
    assert found.threshold == pytest.approx(0.2, abs=0.01)
    assert found.images.tolist() == examples.fake.tolist()
    region = found.region(0, 128)
    assert region[30, 30]
    assert not region[70:].any()


def test_regions_are_narrowed_by_a_margin():
    maps = np.zeros((1, 128, 128), np.float16)
    maps[0, 40:80, 50:90] = 1
    expected = np.zeros((128, 128), bool)
    expected[43:77, 53:87] = True
    assert (Regions(np.array([0]), maps, margin=3 / 128).region(0, 128) == expected).all()
    assert (Regions(np.array([0]), maps).region(0, 128) == (maps[0] == 1)).all()


def test_small_regions_keep_their_middle():
    maps = np.zeros((1, 128, 128), np.float16)
    maps[0, 60:68, 60:68] = 1  # 4 px deep
    region = Regions(np.array([0]), maps, margin=7 / 128).region(0, 128)
    assert region[63:65, 63:65].all()
    assert 0 < region.sum() < 64


def test_regions_are_decided_from_half_of_the_training_on(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(pasting, "LEARNED", 9.0)
    used, draw = [], pasting.pasted_batch
    monkeypatch.setattr(pasting, "pasted_batch", lambda *args, **more: used.append(args[4]) or draw(*args, **more))
    train_detector("patches-mil", "b", dataset, tmp_path / "run", 0, SETTINGS)
    early, late = ([regions for regions in used[start : start + 4] if regions.maps is not None] for start in (4, 8))
    assert {regions.margin for regions in early} == {SETTINGS.margin * 2 / 3}
    assert {regions.margin for regions in late} == {SETTINGS.margin}
    assert all(regions.threshold <= 0.5 for regions in early)
    assert {regions.threshold for regions in late} == {0.5}


def test_sure_decisions_become_pseudo_masks(examples):
    maps = np.zeros((12, 4, 4), np.float16)
    maps[:, :2], maps[:, 2] = 0.9, 0.4
    regions = Regions(examples.fake, maps, surely_real=0.1)
    mask = regions.pseudo_mask(0, SIDE)
    assert (mask[:10] == 1).all()
    assert (mask[-4:] == 0).all()
    assert (mask[25:28] == UNKNOWN).all()
    batch = pasted_batch(examples, 8, 0, 0, regions, 3, pseudo=0.5)
    assert all(image.unique().numel() == 1 for image in batch.images[4:])
    assert [int(image[0, 0, 0]) >= 20 for image in batch.images[4:]] == [True, False] * 2
    assert [bool((mask == UNKNOWN).any()) for mask in batch.masks] == [False] * 4 + [True, False] * 2
    assert not batch.masks[5::2].any()


@pytest.mark.parametrize(("begin", "batches"), [(0.0, 8), (2 / 3, 4)])
def test_whole_images_come_from_pseudo_from_on(dataset, tmp_path, monkeypatch, begin, batches):
    monkeypatch.setattr(pasting, "LEARNED", 9.0)
    fractions, draw = [], pasting.pasted_batch
    monkeypatch.setattr(pasting, "pasted_batch", lambda *args, **more: fractions.append(more) or draw(*args, **more))
    train_detector("patches-mil", "b", dataset, tmp_path / "run", 0, replace(SETTINGS, pseudo_from=begin))
    pseudo = [more["pseudo"] for more in fractions if "pseudo" in more]
    assert pseudo == [0.0] * (8 - batches) + [SETTINGS.pseudo_labels] * batches


def test_unknown_pixels_have_no_gradient():
    logits = torch.zeros(1, 4, 4, requires_grad=True)
    masks = torch.ones(1, 16, 16, dtype=torch.uint8)
    masks[:, :8] = UNKNOWN
    PatchesMil.loss_masks(logits, masks).backward()
    assert (logits.grad[0, :2] == 0).all()
    assert torch.allclose(logits.grad[0, 2:], torch.tensor(-0.5 / 8))


def test_at_most_so_many_maps_are_in_memory(examples, monkeypatch):
    monkeypatch.setattr(pasting, "TEACHER_FAKES", 5)
    drawn = [pasting.confident_regions(Confident(), examples, examples, seed, 0.998, 0.0).images for seed in (0, 1)]
    assert [len(fakes) for fakes in drawn] == [5, 5]
    assert drawn[0].tolist() != drawn[1].tolist()


def test_a_failure_is_told_once_from_labels_alone():
    log = [{"images": 4, "validation": 0.7}, {"images": 8, "validation": 0.69}, {"images": 12, "validation": 0.69}]
    told = [pasting.describe_failure(log[: n + 1], images=16) for n in range(3)]
    assert told[0] == told[2] == ""
    assert "not learned after 8 of 16 images (validation loss 0.69" in told[1]
    assert pasting.describe_failure([log[0], {"images": 8, "validation": 0.2}], images=16) == ""
    losses = [0.3, 0.9, 0.2, 0.9, 1.5, 1.6]  # one line above chance level is no failure
    lines = [log[0], *({"images": 12 + 4 * n, "label_validation": loss} for n, loss in enumerate(losses))]
    told = [pasting.describe_failure(lines[: n + 2], images=40) for n in range(len(losses))]
    assert [bool(text) for text in told] == [False, False, False, False, True, False]
    assert "unlearned the image labels (validation loss 1.50" in told[4]


def test_self_training_waits_until_labels_are_learned(dataset, tmp_path, monkeypatch, capsys):
    for name, learned in (("never", 0.0), ("at once", 9.0)):
        monkeypatch.setattr(pasting, "LEARNED", learned)
        train_detector("patches-mil", "b", dataset, tmp_path / name, 0, SETTINGS)
    keys = {name: [sorted(line) for line in read_stats(tmp_path / name)] for name in ("never", "at once")}
    assert keys["never"] == [["images", "loss", "validation"]] * 3
    assert keys["at once"] == [["images", "loss", "validation"], *[["images", "label_validation", "loss"]] * 2]
    assert capsys.readouterr().err.count("never: image labels are not learned after 64 of 96 images") == 1


def shuffled(column: pd.Series) -> pd.Series:
    return pd.Series(np.random.default_rng(0).permutation(column.to_numpy()), column.index)


LEAKS = ["masks", "area", "component", "mask", "labels"]


@pytest.mark.parametrize("setup", "ab")
@pytest.mark.parametrize("leak", LEAKS)
def test_no_stage_of_a_weak_setup_uses_what_masks_tell(dataset, tmp_path, monkeypatch, setup, leak):
    """Training gives the same bytes when masks, areas, components or label maps are replaced by nonsense."""
    monkeypatch.setattr(pasting, "LEARNED", 9.0)
    settings = replace(SETTINGS, images=64)
    train_detector("patches-mil", setup, dataset, tmp_path / "true", 0, settings)
    spoil(monkeypatch, leak)
    train_detector("patches-mil", setup, dataset, tmp_path / "spoiled", 0, settings)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("true", "spoiled"))
    assert one == other


def spoil(monkeypatch, leak: str) -> None:
    class Spoiled(Dataset):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            if leak in self.table:
                self.table[leak] = shuffled(self.table[leak])

    def nonsense(self) -> DecodedArray:
        count, *row_shape, _ = self.images.shape
        values = np.random.default_rng(0).integers(0, 2, (count, *row_shape), np.uint8)
        return DecodedArray(np.zeros(count, int), tuple(row_shape), lambda _: values)

    if leak == "masks":
        Spoiled.masks = property(nonsense)
    if leak == "labels":
        Spoiled.labels = lambda self, row: pytest.fail("read component masks")
    monkeypatch.setattr("wsdl.training.detector.Dataset", Spoiled)


def test_masks_do_change_a_training_that_may_see_them(dataset, tmp_path, monkeypatch):
    """The check above can fail: setup C depends on the masks."""
    settings = replace(SETTINGS, images_c=32, batch_c=8)
    train_detector("patches-mil", "c", dataset, tmp_path / "true", 0, settings)
    spoil(monkeypatch, "masks")
    train_detector("patches-mil", "c", dataset, tmp_path / "spoiled", 0, settings)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("true", "spoiled"))
    assert one != other


def test_examples_of_weak_setups_hold_nothing_else(dataset):
    """Whoever adds a field to Examples has to show here that it tells nothing about masks or pairs."""
    data = Dataset(dataset)
    for setup in "ab":
        seen = vars(setup_examples(data, setup, "train"))
        assert set(seen) == {"images", "real", "fake", "masks", "full_fakes", "half"}
        assert seen["masks"] is None
        assert set(np.unique(seen["half"])) <= {0, 1}
