"""Training an inpainter against its discriminator: what a run holds, the losses, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from wsdl.core.io import WsdlError, read_json
from wsdl.core.run import Run, is_done, read_stats
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.generators.inpainting import train as module
from wsdl.generators.inpainting.discriminator import Discriminator
from wsdl.generators.inpainting.inpainter import NETWORKS, load_inpainter
from wsdl.generators.inpainting.pluralistic import CODE_SIZE, colour_error, posterior_count
from wsdl.generators.inpainting.train import AdversarialLosses, InpainterTraining, inpainting_batch, train_inpainter
from wsdl.generators.training import LabelledFaces, read_labelled_faces
from wsdl.training.loop import Adversary, fit

TRAINING = {"images": 24, "width": 64, "blocks": 1, "batch": 4, "check_every": 8}


@pytest.fixture(scope="module", params=NETWORKS)
def run(request, faces, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("run") / request.param
    train_inpainter(request.param, faces, out, InpainterTraining(**TRAINING))
    return out


def test_a_run_says_what_it_is_and_loads_as_a_generator(run, faces):
    config = read_json(run / "config.json")
    assert config["generator"] == run.name
    assert is_done(run)
    inpainter = load_inpainter(run.name, run)
    assert (inpainter.size, inpainter.name) == (32, run.name)
    stats = read_stats(run)
    assert [line["images"] for line in stats] == [8, 16, 24]
    assert all(np.isfinite([line[key] for key in ("loss", "rival", "error", "sharpness")]).all() for line in stats)
    assert all((line["variety"] > 0) == (run.name == "pluralistic") for line in stats)


def test_sheets_show_holes_fillings_and_truth(run):
    sheets = sorted((run / "samples").iterdir())
    assert [sheet.stem for sheet in sheets] == ["00000008", "00000016", "00000024"]
    rows = {"lama": 3, "pluralistic": 5}[run.name]
    height, width, _ = read_image(sheets[-1]).shape
    assert height / width == pytest.approx(rows / 2, rel=0.05)  # two validation faces beside each other


def test_a_batch_depends_on_seed_and_step_alone(faces):
    data = read_labelled_faces(Dataset(faces), "train")
    one, same, other = (inpainting_batch(data, 6, 0, step) for step in (3, 3, 4))
    assert all(np.array_equal(*pair) for pair in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
    labels = np.zeros((1, 32, 32), np.uint8)
    labels[:, 8:14, 3:9] = 2  # a nose far on the left
    nose = LabelledFaces(np.repeat(labels[..., None] == 2, 3, axis=-1).astype(np.uint8), labels)
    images, where = inpainting_batch(nose, 200, 0, 0)
    covered = [hole[image[..., 0] == 1].all() for image, hole in zip(images, where, strict=True)]
    assert np.mean(covered) > 0.65  # three in four holes are the nose
    assert 0.3 < images[:, 10, 5, 0].mean() < 0.7  # mirrored half of the time


def test_only_faces_of_the_train_split_are_seen(faces, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module,
        "AdversarialLosses",
        lambda name, training, *rest: seen.append(training) or AdversarialLosses(name, training, *rest),
    )
    train_inpainter("lama", faces, tmp_path / "run", InpainterTraining(**TRAINING | {"images": 4}))
    expected = Dataset(faces).select("real", "train")
    assert np.array_equal(seen[0].images, Dataset(faces).images[expected.index])


@pytest.mark.parametrize("name", NETWORKS)
def test_inpainter_and_discriminator_learn_in_turn(name, faces):
    torch.manual_seed(0)
    network, discriminator = NETWORKS[name](64, 1), Discriminator()
    game, everything = (
        AdversarialLosses(name, read_labelled_faces(Dataset(faces), "train"), discriminator, 4, 0),
        slice(None),
    )
    discriminator.requires_grad_(False)
    game.inpainter_loss(network, 0, everything).backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert all(weight.grad is None for weight in discriminator.parameters())
    for weight in network.parameters():
        weight.grad = None
    discriminator.requires_grad_(True)
    game.discriminator_loss(discriminator, 0, everything).backward()
    assert all(weight.grad is not None for weight in discriminator.parameters())
    assert all(weight.grad is None for weight in network.parameters())


@pytest.mark.parametrize("weight", ["PRIOR_ERROR_WEIGHT", "COLOUR_WEIGHT"])
@pytest.mark.parametrize("name", NETWORKS)
def test_fillings_by_the_priors_codes_hear_of_their_error(name, weight, faces, monkeypatch):
    torch.manual_seed(0)
    network, discriminator, losses = NETWORKS[name](64, 1), Discriminator(), []
    for value in (0.0, 0.3):
        monkeypatch.setattr(module, weight, value)
        game = AdversarialLosses(name, read_labelled_faces(Dataset(faces), "train"), discriminator, 4, 0)
        losses.append(float(game.inpainter_loss(network, 0, slice(None))))
    assert (losses[1] - losses[0] > 0.01) == (name == "pluralistic")  # LaMa has no codes


def test_colour_error_forgives_detail_but_not_colour():
    holes = torch.zeros(2, 1, 32, 32)
    holes[:, :, 4:20, 8:24] = 1
    checks = (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    assert colour_error(0.5 * checks * holes.expand(2, 3, 32, 32), holes) == pytest.approx(0, abs=1e-6)
    assert colour_error(0.5 * holes.expand(2, 3, 32, 32), holes) == pytest.approx(0.5)
    assert colour_error(torch.zeros(2, 3, 32, 32), 0 * holes) == 0


def test_half_a_batch_of_pluralistic_uses_the_true_code():
    torch.manual_seed(0)
    network, known, hole = NETWORKS["pluralistic"](64, 1).eval(), torch.zeros(5, 3, 16, 16), torch.ones(5, 1, 16, 16)
    noise = torch.randn(5, CODE_SIZE)
    with torch.no_grad():
        black, _, _ = network(known, hole, noise, truth=known - 1)
        white, _, _ = network(known, hole, noise, truth=known + 1)
        guessed, posterior, _ = network(known, hole, noise)
    assert posterior_count(5) == 3
    assert posterior is None
    assert all((black[i] != white[i]).any() for i in range(3))
    assert torch.equal(black[3:], white[3:])
    torch.testing.assert_close(black[3:], guessed[3:])


def test_an_adversary_takes_turns_and_is_resumed(tmp_path):
    """A inpainter x and a adversary y that both see what the other does: x -> y, y -> away from x."""

    def play(folder, images: int):
        torch.manual_seed(0)
        x, y = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
        ones = torch.ones(1, 1)
        run = Run(folder, {"images": images, "batch": 1})
        adversary = Adversary(y, lambda net, step, share: -(net(ones) - x(ones).detach()).abs().sum(), 0.1)
        fit(run, x, lambda net, step, share: (net(ones) - y(ones)).square().sum(), lambda net, seen: {},
            images=images, batch=1, rate=0.05, check_every=3, adversary=adversary)  # fmt: skip
        return x.weight.item(), y.weight.item()

    whole = play(tmp_path / "whole", 9)
    play(tmp_path / "parts", 6)
    assert play(tmp_path / "parts", 9) == whole
    stats = read_stats(tmp_path / "parts")
    assert stats == read_stats(tmp_path / "whole")
    assert all("rival" in line for line in stats)


def test_unusable_data_is_refused_before_a_run_begins(faces, tmp_path):
    data = shutil.copytree(faces, tmp_path / "data")
    shutil.rmtree(data / "components")
    with pytest.raises(WsdlError, match=r"component mask.*--masks"):
        train_inpainter("lama", data, tmp_path / "run", InpainterTraining(**TRAINING))
    assert not (tmp_path / "run").exists()


def test_other_settings_do_not_join_a_run(run, faces):
    with pytest.raises(WsdlError, match=r"seed.* 0.* 1.*--out"):
        train_inpainter(run.name, faces, run, InpainterTraining(**TRAINING), seed=1)
