"""Training, scoring and loading the parser."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from factories import PARSER, oracle_image
from sklearn.metrics import f1_score

from wsdl.core.io import WsdlError
from wsdl.core.run import is_done, read_stats
from wsdl.core.weights import save_model
from wsdl.data.dataset import Dataset
from wsdl.data.prepare import prepare_dataset
from wsdl.parsing import models, score, train
from wsdl.parsing.models import load_parser, upsampled_argmax
from wsdl.parsing.network import FaceUNet
from wsdl.parsing.train import train_parser


@pytest.fixture
def batch(faces):
    """uint8 images [8, 32, 32, 3] and labels [8, 32, 32] of drawn faces."""
    images, labels = train.read_parser_faces([Dataset(faces)], "train").batch(np.arange(8))
    return images, labels


def test_f1_equals_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 14, (2, 5, 12, 12))
    labels[0][labels[0] == 13] = 0
    predicted[0][predicted[0] == 13] = 0  # the first image has no hair, true or predicted
    counts = score.count_pixels(predicted, labels)
    pooled, each = score.f1_scores(counts.sum(axis=0)), score.f1_scores(counts)
    for part, classes in score.LABEL_PARTS.items():
        if part in ("neck", "cloth"):
            assert np.isnan(pooled[part])
            continue
        there, found = np.isin(labels, classes), np.isin(predicted, classes)
        assert pooled[part] == pytest.approx(f1_score(there.ravel(), found.ravel()))
        expected = [f1_score(t.ravel(), f.ravel(), zero_division=np.nan) for t, f in zip(there, found, strict=True)]
        np.testing.assert_allclose(each[part], expected)
    table = score.f1_table(counts, np.arange(5)).set_index("part")
    assert table.loc["hair", "images"] == 4
    assert table.loc["hair", "mean"] == pytest.approx(np.nanmean(each["hair"]))
    assert table.loc["skin", "low"] < table.loc["skin", "mean"] < table.loc["skin", "high"]
    assert np.isnan(table.loc["cloth", "mean"])


def test_dice_of_confident_predictions_is_f1(batch):
    labels = batch[1]
    logits = 50 * torch.nn.functional.one_hot(labels.roll(1, -1), 19).permute(0, 3, 1, 2).float()
    cross = torch.nn.functional.cross_entropy(logits, labels, torch.ones(19))
    f1s = f1_score(labels.ravel(), labels.roll(1, -1).ravel(), average=None)
    assert float(train.parsing_loss(logits, labels, torch.ones(19)) - cross) == pytest.approx(1 - f1s.mean(), abs=1e-5)


def test_rare_classes_have_larger_weights_and_missing_ones_zero():
    labels = np.array([[0] * 81 + [1] * 16 + [4] * 4])
    weights = train.class_weights(labels)
    assert (weights[[0, 1, 4]] / weights[4]).tolist() == pytest.approx([2 / 9, 2 / 4, 1])  # roots of 4 / share
    assert weights[13] == 0
    assert float(weights[torch.tensor(labels)].mean()) == pytest.approx(1)


def test_a_short_training_beats_the_majority_class(trained, faces):
    table = score.score_parser(faces, trained, split="all").set_index("part")
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


def test_several_datasets_and_borrowed_styles(faces, made_up, tmp_path):
    short = replace(PARSER, images=8, check_every=8)
    train_parser([faces, faces], tmp_path / "two", short, style_from=made_up[0])
    assert len(train.read_parser_faces([Dataset(faces)] * 2, "train").labels) == 2 * len(
        Dataset(faces).select("real", "train")
    )
    with pytest.raises(WsdlError, match="style_from"):  # never mixed with a run without
        train_parser([faces, faces], tmp_path / "two", short)
    prepare_dataset(*made_up, tmp_path / "small", size=16, source="made-up")
    with pytest.raises(WsdlError, match=r"^--data: .* 32 px.* 16 px.*--size"):
        train_parser([faces, tmp_path / "small"], tmp_path / "mixed", short)
    assert not (tmp_path / "mixed").exists()


def test_unknown_parsers_are_refused_in_one_sentence(tmp_path, monkeypatch, trained):
    monkeypatch.setattr(models, "BUNDLED_PARSER", tmp_path / "none")
    with pytest.raises(WsdlError, match=r"none: .*weights.*--model"):
        load_parser()
    with pytest.raises(WsdlError, match=r"missing: .*hub id"):
        load_parser(tmp_path / "missing")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(WsdlError, match=r"^owner/name: .*`pip install transformers`"):
        load_parser("owner/name")
    broken = shutil.copytree(trained, tmp_path / "broken")
    save_model(FaceUNet((8, 16)), broken)
    with pytest.raises(WsdlError, match=r"model\.safetensors: does not fit"):
        load_parser(broken)


def test_segformers_get_their_own_normalisation_and_class_order(tmp_path, monkeypatch):
    """A stand-in for transformers whose logits depend on the colour, with classes in reverse order."""

    class Answers(torch.nn.Module):
        config = SimpleNamespace(num_labels=19, id2label=dict(enumerate(models.SEGFORMER_CLASSES[::-1])))

        @classmethod
        def from_pretrained(cls, model):
            return cls() if model == "owner/faces" else Path("no such model").read_text()

        def forward(self, images):
            assert images.shape[1:] == (3, 512, 512)
            red = torch.nn.functional.avg_pool2d(images, 4)[:, 0] * 0.229 + 0.485  # as it was, in [0, 1]
            classes = torch.arange(19).reshape(1, 19, 1, 1)
            return SimpleNamespace(logits=-((18 - classes - red[:, None] * 25.5) ** 2))

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(SegformerForSemanticSegmentation=Answers))
    labels = np.kron(np.array([[0, 1, 2], [13, 14, 15], [16, 17, 18]], np.uint8), np.ones((32, 32), np.uint8))
    found = load_parser("owner/faces").parse_squares([oracle_image(labels)])[0]
    assert found.shape == labels.shape
    assert np.array_equal(found[16::32, 16::32], labels[16::32, 16::32])
    with pytest.raises(WsdlError, match=r"^owner/cats: .*SegFormer.*19 classes"):
        load_parser("owner/cats")


def test_the_bundled_parser_is_a_run_folder(trained, monkeypatch):
    monkeypatch.setattr(models, "BUNDLED_PARSER", trained)
    assert load_parser().fingerprint == load_parser(trained).fingerprint


def test_upsampled_argmax_equals_argmax_of_upsampled_logits():
    logits = torch.randn(19, 8, 8)
    large = torch.nn.functional.interpolate(logits[None], size=(21, 21), mode="bilinear", align_corners=False)[0]
    assert np.array_equal(upsampled_argmax(logits, 21), large.argmax(0).numpy())
