"""The face parser: network, augmentation, training, scores, masks for a folder of pictures, alignment."""

import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from wsdl.commands.parse import register
from wsdl.data.layout import Dataset
from wsdl.data.masks import CLASSES, read_labels
from wsdl.data.pictures import resize
from wsdl.data.prepare import prepare
from wsdl.files import WsdlError, write_json
from wsdl.fit import MODEL, save_weights
from wsdl.parse import models, score, train
from wsdl.parse.align import EYES, NoFaceError, align, eye_centres, similarity
from wsdl.parse.augment import augment, blur, borrow_style, new_background, recolour
from wsdl.parse.models import Parser, largest, load_parser
from wsdl.parse.network import MIRRORED, FaceUNet, mirror_labels, mirror_logits
from wsdl.parse.parse import parse
from wsdl.parse.train import train_parser, training_batch
from wsdl.parse.warp import move, random_grid
from wsdl.runs import is_done, read_stats

TRAINING = {"images": 1600, "batch": 8, "widths": (8, 16, 24, 32), "rate": 5e-3, "ema_decay": 0.95,
            "check_every": 800, "seed": 0}  # fmt: skip


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory) -> Path:
    """A short training on drawn faces at 32 px."""
    out = tmp_path_factory.mktemp("parser") / "run"
    train_parser([faces], out, **TRAINING)
    return out


@pytest.fixture
def batch(faces):
    """uint8 pictures [8, 32, 32, 3] and labels [8, 32, 32] of drawn faces."""
    pictures, labels = train.read_faces([Dataset(faces)], "train").batch(np.arange(8))
    return pictures, labels


class Oracle:
    """A parser that reads labels off the picture: class = red / 10 (0 where that is no class)."""

    size, fingerprint = 64, "oracle"

    def parse_squares(self, squares):
        found = [np.round(square[..., 0] / 10).astype(np.uint8) for square in squares]
        return [np.where(labels < len(CLASSES), labels, 0).astype(np.uint8) for labels in found]


def coloured(labels: np.ndarray) -> np.ndarray:
    """The picture that `Oracle` reads these labels from."""
    return np.repeat(labels[..., None] * 10, 3, axis=-1).astype(np.uint8)


def drawn_face(side: int, eyes: np.ndarray, radius: float) -> np.ndarray:
    """A label map of the simplest face: skin all around, a nose, a mouth, round eyes at `eyes` [2, 2] in pixels."""
    y, x = np.mgrid[:side, :side] + 0.5
    middle, apart = eyes.mean(axis=0), np.hypot(*(eyes[1] - eyes[0]))
    labels = np.zeros((side, side), np.uint8)
    labels[np.hypot(x - middle[0], y - middle[1]) < 1.3 * apart] = 1
    down = np.array([-(eyes[1] - eyes[0])[1], (eyes[1] - eyes[0])[0]])
    for (px, py), number, r in ((middle + 0.5 * down, 2, 1.3), (middle + 0.9 * down, 11, 1.3), (eyes[0], 5, 1),
                                (eyes[1], 4, 1)):  # fmt: skip
        labels[np.hypot(x - px, y - py) < radius * r] = number
    return labels


# --- network ----------------------------------------------------------------------------------------------------


def test_network_is_small_and_answers_for_every_pixel():
    network = FaceUNet()
    assert sum(value.numel() for value in network.parameters()) <= 1_000_000
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, len(CLASSES), 64, 64)
    with pytest.raises(WsdlError, match=r"^size: is 48 px, but the parser needs a multiple of 32\.$"):
        network(torch.randn(1, 3, 48, 48))


def test_network_sees_the_whole_face():
    """Left and right can only be told apart by what is on the other side of the picture."""
    torch.manual_seed(0)
    picture = torch.randn(1, 3, 128, 128, requires_grad=True)
    FaceUNet()(picture)[0, :, 5, 5].sum().backward()
    assert picture.grad[0, :, -1, -1].abs().sum() > 0


def test_mirrored_classes():
    pairs = {CLASSES[i]: CLASSES[j] for i, j in enumerate(MIRRORED.tolist()) if i != j}
    assert pairs == {f"{a} {part}": f"{b} {part}" for part in ("eye", "brow", "ear")
                     for a, b in (("left", "right"), ("right", "left"))}  # fmt: skip
    labels = torch.randint(0, 19, (2, 8, 8))
    logits = torch.nn.functional.one_hot(labels, 19).permute(0, 3, 1, 2).float()
    assert torch.equal(mirror_logits(logits).argmax(1), mirror_labels(labels))
    assert torch.equal(mirror_labels(mirror_labels(labels)), labels)


def test_a_mirrored_picture_gets_mirrored_masks():
    torch.manual_seed(0)
    parser = Parser(FaceUNet((8, 16)), 16, "")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    there, back = parser.logits(pictures), parser.logits(np.ascontiguousarray(pictures[:, :, ::-1]))
    torch.testing.assert_close(mirror_logits(there), back, rtol=1e-4, atol=1e-5)


# --- augmentation -----------------------------------------------------------------------------------------------


def test_pictures_and_labels_move_together(batch):
    """The picture is the label map itself: inside regions both must still agree after the move."""
    labels = batch[1].repeat(4, 1, 1)
    labels[labels != 1] = 0  # one large region, without left and right
    grid, mirror = random_grid(torch.Generator().manual_seed(1), len(labels), labels.shape[-1])
    pictures, moved = move(labels[:, None].float().expand(-1, 3, -1, -1), labels, grid, mirror)
    assert mirror.any()
    assert not mirror.all()
    agree = ((pictures[:, 0] > 0.5) == (moved == 1)).float().mean()
    assert agree > 0.97
    away = ((pictures[:, 0] > 0.5) == (labels == 1)).float().mean()
    assert away < 0.93  # it did move


def test_a_mirror_exchanges_left_and_right(batch):
    _, labels = batch
    n, size = labels.shape[:2]
    straight = torch.nn.functional.affine_grid(torch.eye(2, 3).expand(n, 2, 3), (n, 1, size, size), align_corners=False)
    flipped = straight * torch.tensor([-1.0, 1.0])
    mirror = torch.arange(n) % 2 == 0
    grid = torch.where(mirror[:, None, None, None], flipped, straight)
    _, moved = move(torch.zeros(n, 3, size, size), labels, grid, mirror)
    assert torch.equal(moved[mirror], mirror_labels(labels[mirror]))
    assert torch.equal(moved[~mirror], labels[~mirror])


def test_mirrored_draws_are_mirrored():
    """Where random_grid says that it mirrored, x runs backwards."""
    grid, mirror = random_grid(torch.Generator().manual_seed(0), 64, 32)
    assert torch.equal(grid[:, 16, -1, 0] < grid[:, 16, 0, 0], mirror)


def test_augmentation_depends_on_seed_and_step_alone(faces):
    data = train.read_faces([Dataset(faces)], "train")
    one, two = (training_batch(data, 8, 3, 7) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    for other in (training_batch(data, 8, 4, 7), training_batch(data, 8, 3, 8)):
        assert (one[0].float() - other[0].float()).abs().mean() > 10


def test_augmentation_leaves_pictures_and_labels_valid(batch):
    pictures, labels = batch
    donors = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    seen = set()
    for seed in range(6):
        strange, moved = augment(pictures, labels, torch.Generator().manual_seed(seed), donors if seed % 2 else None)
        assert strange.dtype == torch.uint8
        assert strange.shape == pictures.shape
        assert moved.shape == labels.shape
        assert strange.float().std() > 20  # not washed out
        seen |= set(moved.unique().tolist())
    assert seen <= set(labels.unique().tolist()) | {0} | {int(MIRRORED[c]) for c in labels.unique()}
    assert {1, 13} <= seen


def test_recolouring_and_backgrounds_stay_in_their_regions(batch):
    pictures, labels = batch
    pictures = pictures.permute(0, 3, 1, 2).float() / 255
    rng = torch.Generator().manual_seed(0)
    inside = torch.nn.functional.max_pool2d((labels == 0).float()[:, None], 3, 1, 1)[:, 0] == 0  # not even beside it
    changed = new_background(rng, pictures, labels, pictures.roll(1, 0))
    far = inside[:, None].expand_as(pictures)
    assert torch.equal(changed[far], pictures[far])
    assert (changed - pictures).abs()[(labels == 0)[:, None].expand_as(pictures)].mean() > 0.05
    grey = torch.full_like(pictures, 0.5)
    colours = recolour(rng, grey, labels)
    hair = torch.stack([colours[i, :, labels[i] == 13].median(dim=1).values for i in range(len(labels))])
    skin = torch.stack([colours[i, :, labels[i] == 1].median(dim=1).values for i in range(len(labels))])
    assert hair.std(0).min() > 0.05  # every picture its own
    assert (hair - skin).abs().mean() > 0.05  # and every region


def test_style_takes_the_colour_cast_and_leaves_the_shapes(batch):
    pictures = batch[0].permute(0, 3, 1, 2).float() / 255
    red = torch.zeros_like(pictures)
    red[:, 0] = 1
    changed = borrow_style(torch.Generator().manual_seed(0), pictures, red)
    assert (changed[:, 0].mean(dim=(1, 2)) > pictures[:, 0].mean(dim=(1, 2))).all()
    assert (changed[:, 1:].mean(dim=(2, 3)) < pictures[:, 1:].mean(dim=(2, 3))).all()
    edges = [x.diff(dim=-1).flatten(1) for x in (changed, pictures)]
    assert torch.nn.functional.cosine_similarity(*edges).min() > 0.9
    same = borrow_style(torch.Generator().manual_seed(0), pictures, pictures)
    torch.testing.assert_close(same, pictures, rtol=0, atol=1e-5)


def test_blur_is_that_of_scipy():
    from scipy.ndimage import gaussian_filter

    pictures = torch.rand(2, 3, 24, 24)
    blurred = blur(pictures, torch.tensor([0.6, 1.2]).reshape(2, 1, 1, 1))
    for picture, result, sigma in zip(pictures.numpy(), blurred.numpy(), (0.6, 1.2), strict=True):
        expected = [gaussian_filter(channel, sigma, mode="nearest", radius=4) for channel in picture]
        np.testing.assert_allclose(result, expected, atol=1e-5)


# --- scores -----------------------------------------------------------------------------------------------------


def test_f1_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 14, (2, 5, 12, 12))
    labels[0][labels[0] == 13] = 0
    predicted[0][predicted[0] == 13] = 0  # the first picture neither has hair nor was said to
    counts = score.component_counts(predicted, labels)
    pooled, each = score.f1(counts.sum(axis=0)), score.f1(counts)
    for part, classes in score.PARTS.items():
        if part in ("neck", "cloth"):
            assert np.isnan(pooled[part])
            continue
        there, found = np.isin(labels, classes), np.isin(predicted, classes)
        assert pooled[part] == pytest.approx(f1_score(there.ravel(), found.ravel()))
        expected = [f1_score(t.ravel(), f.ravel(), zero_division=np.nan) for t, f in zip(there, found, strict=True)]
        np.testing.assert_allclose(each[part], expected)
    table = score.table(counts, np.arange(5)).set_index("part")
    assert table.loc["hair", "pictures"] == 4
    assert table.loc["hair", "mean"] == pytest.approx(np.nanmean(each["hair"]))
    assert table.loc["skin", "low"] < table.loc["skin", "mean"] < table.loc["skin", "high"]
    assert np.isnan(table.loc["cloth", "mean"])


def test_dice_is_f1_where_the_network_is_sure(batch):
    labels = batch[1]
    logits = 50 * torch.nn.functional.one_hot(labels.roll(1, -1), 19).permute(0, 3, 1, 2).float()
    cross = torch.nn.functional.cross_entropy(logits, labels, torch.ones(19))
    f1s = f1_score(labels.ravel(), labels.roll(1, -1).ravel(), average=None)
    assert float(train.parsing_loss(logits, labels, torch.ones(19)) - cross) == pytest.approx(1 - f1s.mean(), abs=1e-5)


def test_rare_classes_weigh_more_but_missing_ones_nothing():
    labels = np.array([[0] * 81 + [1] * 16 + [4] * 4])
    weights = train.class_weights(labels)
    assert (weights[[0, 1, 4]] / weights[4]).tolist() == pytest.approx([2 / 9, 2 / 4, 1])  # roots of 4 / share
    assert weights[13] == 0
    assert float(weights[torch.tensor(labels)].mean()) == pytest.approx(1)


# --- training ---------------------------------------------------------------------------------------------------


def test_a_short_training_beats_the_majority_class(trained, faces):
    table = score.score(faces, trained, split="all").set_index("part")
    assert table.loc["skin", "f1"] > 0.65
    assert table.loc["hair", "f1"] > 0.55
    assert table.loc["background", "f1"] > 0.75
    rows = Dataset(faces).select(kind="real").itertuples()
    truth = np.stack([Dataset(faces).labels(row) for row in rows])
    majority = np.full_like(truth, np.bincount(truth.ravel()).argmax())
    right = np.mean(np.stack(load_parser(trained).parse_squares(list(Dataset(faces).images))) == truth)
    assert right > (majority == truth).mean() + 0.2
    assert is_done(trained)
    assert sorted(path.name for path in (trained / "samples").iterdir()) == ["00000800.png", "00001600.png"]
    assert "f1_skin" in read_stats(trained)[-1]


def test_a_killed_training_ends_as_an_undisturbed_one(faces, tmp_path, monkeypatch):
    short = TRAINING | {"images": 32, "check_every": 16}
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    train_parser([faces], whole, **short)

    draw = train.training_batch

    def killing(data, size, seed, step, donors):
        if step == 3:  # after the checkpoint at 16 pictures, before the next
            raise KeyboardInterrupt
        return draw(data, size, seed, step, donors)

    with monkeypatch.context() as patch:
        patch.setattr(train, "training_batch", killing)
        with pytest.raises(KeyboardInterrupt):
            train_parser([faces], killed, **short)
    assert not is_done(killed)
    train_parser([faces], killed, **short)
    assert (killed / MODEL).read_bytes() == (whole / MODEL).read_bytes()
    assert (killed / "stats.jsonl").read_text() == (whole / "stats.jsonl").read_text()


def test_several_datasets_and_borrowed_styles(faces, made_up, tmp_path):
    short = TRAINING | {"images": 8, "check_every": 8}
    train_parser([faces, faces], tmp_path / "two", style_from=made_up[0], **short)
    assert len(train.read_faces([Dataset(faces)] * 2, "train").labels) == 2 * len(
        Dataset(faces).select("real", "train")
    )
    with pytest.raises(WsdlError, match="style_from"):  # never mixed with a run without
        train_parser([faces, faces], tmp_path / "two", **short)
    prepare(*made_up, tmp_path / "small", size=16, source="made-up")
    with pytest.raises(WsdlError, match=r"^--data: .* has 32 px, .* has 16 px; prepare all with the same --size\.$"):
        train_parser([faces, tmp_path / "small"], tmp_path / "mixed", **short)
    assert not (tmp_path / "mixed").exists()


# --- finding parsers --------------------------------------------------------------------------------------------


def test_parsers_that_cannot_be_found_are_refused_in_one_sentence(tmp_path, monkeypatch, trained):
    monkeypatch.setattr(models, "SHIPPED", tmp_path / "none")
    with pytest.raises(WsdlError, match=r"none: holds no weights; name a run .* with --model\.$"):
        load_parser()
    with pytest.raises(WsdlError, match=r"missing: no such folder, and not a hub id"):
        load_parser(tmp_path / "missing")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(WsdlError, match=r"^owner/name: .*`pip install transformers`\.$"):
        load_parser("owner/name")
    broken = shutil.copytree(trained, tmp_path / "broken")
    save_weights(FaceUNet((8, 16)), broken / MODEL)
    with pytest.raises(WsdlError, match=r"model\.safetensors: does not fit the network"):
        load_parser(broken)


def test_segformers_are_asked_in_their_own_way(tmp_path, monkeypatch):
    """A stand-in for transformers that answers with the colour it sees, and numbers the classes backwards."""

    class Answers(torch.nn.Module):
        config = SimpleNamespace(num_labels=19, id2label=dict(enumerate(models.HUB_NAMES[::-1])))

        @classmethod
        def from_pretrained(cls, model):
            return cls() if model == "owner/faces" else Path("no such model").read_text()

        def forward(self, pictures):
            assert pictures.shape[1:] == (3, 512, 512)
            red = torch.nn.functional.avg_pool2d(pictures, 4)[:, 0] * 0.229 + 0.485  # as it was, in [0, 1]
            classes = torch.arange(19).reshape(1, 19, 1, 1)
            return SimpleNamespace(logits=-((18 - classes - red[:, None] * 25.5) ** 2))

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(SegformerForSemanticSegmentation=Answers))
    labels = np.kron(np.array([[0, 1, 2], [13, 14, 15], [16, 17, 18]], np.uint8), np.ones((32, 32), np.uint8))
    found = load_parser("owner/faces").parse_squares([coloured(labels)])[0]
    assert found.shape == labels.shape
    assert np.array_equal(found[16::32, 16::32], labels[16::32, 16::32])
    with pytest.raises(WsdlError, match=r"^owner/cats: is no SegFormer face parser with the 19 classes"):
        load_parser("owner/cats")


def test_the_shipped_parser_is_a_run_folder(trained, monkeypatch):
    monkeypatch.setattr(models, "SHIPPED", trained)
    assert load_parser().fingerprint == load_parser(trained).fingerprint


def test_largest_is_argmax_of_the_enlarged_logits():
    logits = torch.randn(19, 8, 8)
    large = torch.nn.functional.interpolate(logits[None], size=(21, 21), mode="bilinear", align_corners=False)[0]
    assert np.array_equal(largest(logits, 21), large.argmax(0).numpy())


# --- masks for a folder -----------------------------------------------------------------------------------------


@pytest.fixture
def unchecked(monkeypatch):
    """After its short training the parser finds no eyes yet: do not ask for a whole face."""
    monkeypatch.setattr("wsdl.parse.parse.check_face", lambda labels: None)


@pytest.fixture
def portraits(made_up, tmp_path):
    """Five pictures of other shapes and formats, with their true label maps by stem."""
    folder, truth = tmp_path / "portraits", {}
    folder.mkdir()
    for i, path in enumerate(sorted(made_up[0].iterdir())[:5]):
        labels = read_labels(made_up[1] / f"{path.stem}.png")
        picture = np.asarray(Image.open(path))
        if i == 1:  # taller than wide: only the central square is parsed
            picture = np.pad(picture, ((10, 10), (0, 0), (0, 0)), mode="edge")
            labels = np.pad(labels, ((10, 10), (0, 0)))
        if i == 2:  # smaller than the parser's pictures
            picture, labels = picture[::2, ::2], labels[::2, ::2]
        Image.fromarray(picture).save(folder / f"{path.stem}.{'jpg' if i == 3 else 'png'}")
        truth[path.stem] = labels
    return folder, truth


def test_parse_gives_every_picture_a_mask_of_its_size_and_stem(portraits, trained, unchecked, tmp_path):
    folder, truth = portraits
    out = tmp_path / "masks"
    parse(folder, out, trained)
    assert {path.stem for path in out.glob("*.png")} == set(truth)
    for stem, expected in truth.items():
        found = read_labels(out / f"{stem}.png")
        assert found.shape == expected.shape
        assert (found == expected).mean() > 0.5
    prepare(folder, out, tmp_path / "data", size=32)  # what the masks are for
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.png")}
    gone = min(before)
    gone.unlink()
    parse(folder, out, trained)
    assert gone.exists()
    assert all(path.stat().st_mtime_ns == when for path, when in before.items() if path != gone)
    retrained = shutil.copytree(trained, tmp_path / "retrained")
    save_weights(FaceUNet(TRAINING["widths"]), retrained / MODEL)
    with pytest.raises(WsdlError, match="was begun with parser"):
        parse(folder, out, retrained)


def test_parse_leaves_other_peoples_files_alone(portraits, trained, made_up, tmp_path):
    folder, _ = portraits
    with pytest.raises(WsdlError, match=r"portraits: is where the pictures are; choose another --out\.$"):
        parse(folder, folder, trained)
    human = shutil.copytree(made_up[1], tmp_path / "human")
    with pytest.raises(WsdlError, match=r"was not made by data parse; choose another --out\.$"):
        parse(folder, human, trained)


def test_bad_pictures_stop_the_work_or_are_named(portraits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("wsdl.parse.parse.load_parser", lambda model: Oracle())
    folder = tmp_path / "faces"
    folder.mkdir()
    labels = np.pad(drawn_face(64, np.array([[24, 30], [40, 30.0]]), 2.5), ((7, 6), (0, 0)))  # taller than wide
    Image.fromarray(coloured(labels)).save(folder / "good.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(WsdlError, match=r"broken\.png: cannot be decoded"):
        parse(folder, tmp_path / "out")
    (folder / "broken.png").unlink()
    Image.new("RGB", (64, 64)).save(folder / "night.png")
    with pytest.raises(WsdlError, match=r"night\.png: no face was found \(skin covers 0% of it\); leave"):
        parse(folder, tmp_path / "out")
    Image.fromarray(coloured(np.where(labels == 1, 1, 0))).save(folder / "blank.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    parse(folder, tmp_path / "out", skip_bad=True)
    said = capsys.readouterr().err
    assert all(f"{name}.png: " in said for name in ("broken", "night", "blank"))
    assert "blank.png: no face was found (it shows neither eyes nor nose nor mouth only)" in said
    assert "masks of 1 of 4 pictures" in said
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["good.png"]
    assert np.array_equal(read_labels(tmp_path / "out/good.png"), labels)


# --- alignment --------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    x=st.floats(70, 130), y=st.floats(70, 130), apart=st.floats(24, 60), tilt=st.floats(-40, 40),
    size=st.sampled_from([32, 64, 100]),
)  # fmt: skip
def test_alignment_puts_eyes_where_celeba_has_them(x, y, apart, tilt, size):
    """Any similarity of a drawn face: found, aligned, and found again at the right place."""
    middle = np.array([x, y])
    half = apart / 2 * np.array([math.cos(math.radians(tilt)), math.sin(math.radians(tilt))])
    eyes = np.stack([middle - half, middle + half])
    labels = drawn_face(200, eyes, apart / 6)
    found = eye_centres(labels)
    np.testing.assert_allclose(found, eyes, atol=0.3)
    np.testing.assert_allclose(similarity(found, size)(EYES * size), found, atol=1e-6)
    picture = Image.fromarray(np.repeat(255 * np.isin(labels, (4, 5))[..., None], 3, -1).astype(np.uint8))
    bright = np.asarray(align(picture, found, size))[..., 0] > 127
    assert bright.shape == (size, size)
    places = (np.stack(np.nonzero(bright)[::-1], axis=1) + 0.5) / size
    for eye in EYES:  # near the border there may be reflected eyes
        near = places[np.hypot(*(places - eye).T) < 0.1]
        np.testing.assert_allclose(near.mean(axis=0), eye, atol=1 / size)


def test_alignment_halves_large_pictures_as_prepare_does():
    """A checkerboard of single pixels must come out grey, not as stripes."""
    board = (255 * (np.indices((512, 512)).sum(axis=0) % 2)).astype(np.uint8)
    picture = Image.fromarray(np.repeat(board[..., None], 3, -1))
    small = np.asarray(align(picture, EYES * 512, 64))
    assert np.abs(small.astype(int) - np.asarray(resize(picture, 64))).max() <= 1
    same = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    assert np.abs(np.asarray(align(same, EYES * 64, 64)).astype(int) - np.asarray(same)).max() <= 1


def test_eyes_that_cannot_be_are_refused():
    good = np.array([[40, 50], [70, 52.0]])
    eye_centres(drawn_face(128, good, 4))
    for labels, why in (
        (np.zeros((128, 128)), "no eyes found"),
        (np.where(np.indices((128, 128))[1] < 55, drawn_face(128, good, 4), 0), "one eye found"),
        (drawn_face(128, np.array([[60, 50], [66, 50.0]]), 2), "the eyes are 5% of the picture apart"),
        (drawn_face(128, np.array([[60, 30], [64, 70.0]]), 4), "tilted by 84 degrees"),
    ):
        with pytest.raises(NoFaceError, match=why):
            eye_centres(labels)
    speck = drawn_face(128, good, 5)
    speck[50:54, 100:103] = 4  # a wrong spot smaller than both eyes changes nothing
    np.testing.assert_allclose(eye_centres(speck), good, atol=0.3)


def test_parse_aligned_writes_pictures_and_masks_ready_to_prepare(tmp_path, monkeypatch):
    monkeypatch.setattr("wsdl.parse.parse.load_parser", lambda model: Oracle())
    folder, out = tmp_path / "faces", tmp_path / "aligned"
    folder.mkdir()
    for i in range(4):
        labels = drawn_face(160, np.array([[60, 70 + i], [90, 72.0 + 2 * i]]), 5)
        picture = np.pad(coloured(labels), ((0, 40 + i), (0, 0), (0, 0)))
        Image.fromarray(picture).save(folder / f"{i}.png")
    parse(folder, out, aligned=True, size=96)
    for i in range(4):
        assert Image.open(out / f"images/{i}.png").size == (96, 96)
        labels = read_labels(out / f"masks/{i}.png")
        # The oracle reads colours, and interpolation mixes them at edges: eyes have a rim of other classes.
        np.testing.assert_allclose(eye_centres(labels) / 96, EYES, atol=0.02)
    prepare(out / "images", out / "masks", tmp_path / "data", size=64)
    assert len(Dataset(tmp_path / "data").table) == 4


# --- commands ---------------------------------------------------------------------------------------------------


def test_commands(portraits, faces, trained, unchecked, tmp_path):
    app, data = typer.Typer(), typer.Typer()
    register(app, data)
    app.add_typer(data, name="data")
    run = CliRunner().invoke
    folder, truth = portraits
    arguments = ["data", "parse", "--images", folder, "--out", tmp_path / "masks", "--model", trained, "--skip-bad"]
    assert run(app, [str(word) for word in arguments], catch_exceptions=False).exit_code == 0
    assert len(list((tmp_path / "masks").glob("*.png"))) == len(truth)
    arguments = ["data", "parse-score", "--data", faces, "--model", trained, "--split", "valid"]
    printed = run(app, [str(word) for word in arguments], catch_exceptions=False).stdout
    assert printed.startswith("part,pictures,f1,mean,low,high\nskin,2,")
    write_json(tmp_path / "nothing/config.json", {})
    assert isinstance(run(app, ["train-parser", "--data", str(tmp_path), "--out", str(tmp_path)]).exception, WsdlError)
