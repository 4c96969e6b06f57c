"""The autoencoder: what it loses, the scale of its latents, and what does not load."""

import numpy as np
import pytest
import torch
from torchmetrics.image import PeakSignalNoiseRatio

from wsdl.core.io import WsdlError
from wsdl.core.run import MODEL_FILE, read_stats
from wsdl.data.dataset import Dataset
from wsdl.data.images import read_image
from wsdl.generators.diffusion.autoencoder import LATENT_STATISTICS_FILE, Autoencoder, Codec, load_autoencoder, psnr
from wsdl.generators.diffusion.train_autoencoder import (
    AutoencoderTraining,
    crop_batch,
    latent_statistics,
    train_autoencoder,
)

TINY = {"widths": (8, 16, 16), "batch": 8, "rate": 3e-3, "ema_decay": 0.9}
TRAINING = {**TINY, "images": 640, "check_every": 320}


@pytest.fixture(scope="module")
def run(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("autoencoder") / "run"
    train_autoencoder(faces, folder, AutoencoderTraining(**TRAINING))
    return folder


def real(faces, split: str) -> np.ndarray:
    data = Dataset(faces)
    return data.images[data.select("real", split).index]


def test_training_makes_the_round_trip_better(run, faces):
    torch.manual_seed(0)
    untrained = Codec(Autoencoder(TINY["widths"], 4).vae, 4, [0.0] * 4, 1.0)
    before, after = (
        psnr(real(faces, "test"), codec.decode(codec.encode(real(faces, "test")))).mean()
        for codec in (untrained, load_autoencoder(run))
    )
    assert after > before + 5
    assert after > 14  # dB, on faces it never saw


def test_latents_have_no_mean_and_unit_variance(run, faces):
    latents = load_autoencoder(run).encode(real(faces, "train"))
    assert latents.shape[1:] == (4, 8, 8)
    torch.testing.assert_close(latents.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-3, rtol=0)
    assert latents.square().mean().item() == pytest.approx(1, abs=1e-3)


def test_the_log_has_error_and_psnr_of_the_validation_faces(run, faces):
    line, codec, valid = read_stats(run)[-1], load_autoencoder(run), real(faces, "valid")
    assert [line["images"] for line in read_stats(run)] == [320, 640]
    back = codec.decode(codec.encode(valid))
    error = np.abs(back.astype(float) - valid).mean() / 127.5
    best = min(read_stats(run), key=lambda line: line["validation"])
    assert best["validation"] == pytest.approx(error, abs=1e-3)
    assert best["psnr"] == pytest.approx(psnr(valid, back).mean(), abs=0.1)
    assert line["psnr"] > read_stats(run)[0]["psnr"]


def test_psnr_is_that_of_torchmetrics():
    one, two = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
    oracle = PeakSignalNoiseRatio(data_range=255.0, reduction="none", dim=(1, 2, 3))
    expected = oracle(torch.tensor(one).float(), torch.tensor(two).float())
    np.testing.assert_allclose(psnr(one, two), expected.numpy(), rtol=1e-5)
    assert np.isfinite(psnr(one, one)).all()


def test_the_sheet_shows_faces_above_their_round_trips(run, faces):
    sheet, valid = read_image(run / "samples" / "00000640.png"), real(faces, "valid")
    scale = round(112 / 32)
    first = sheet[: 32 * scale : scale, : 32 * scale : scale]
    assert np.array_equal(first, valid[0])
    below = sheet[32 * scale + 6 :: scale, : 32 * scale : scale][:32]
    codec = load_autoencoder(run)  # the last checkpoint is the best
    assert np.abs(below.astype(int) - codec.decode(codec.encode(valid))[0]).max() <= 1


def test_kl_is_that_of_diffusers():
    torch.manual_seed(0)
    model, x = Autoencoder((8, 16), 4), torch.rand(2, 3, 8, 8) * 2 - 1
    found = model.vae.encode(x).latent_dist
    _, kl = model(x, torch.zeros_like(found.mean))
    torch.testing.assert_close(kl, found.kl().sum() / found.mean.numel())
    back, _ = model(x, torch.zeros_like(found.mean))
    torch.testing.assert_close(back, model.vae(x).sample)


def test_a_batch_is_pieces_of_faces_half_of_them_mirrored():
    faces = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    whole = {
        tuple(way[top : top + 8, left : left + 8].ravel()): mirrored
        for face in faces
        for mirrored, way in enumerate((face, face[:, ::-1]))
        for top in range(5)
        for left in range(5)
    }
    x, _ = crop_batch(faces, 8, 64, 0, step=3)
    pieces = ((x.permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    mirrored = [whole[tuple(piece.ravel())] for piece in pieces]
    assert 0.2 < np.mean(mirrored) < 0.8
    assert torch.equal(x, crop_batch(faces, 8, 64, 0, step=3)[0])
    assert not torch.equal(x, crop_batch(faces, 8, 64, 0, step=4)[0])


def test_an_image_does_not_depend_on_its_neighbours(run, faces):
    codec, images = load_autoencoder(run), real(faces, "train")  # more than are encoded together
    latents = codec.encode(images)
    torch.testing.assert_close(latents[17:18], codec.encode(images[17:18]), atol=1e-4, rtol=0)
    back = codec.decode(latents)
    assert np.abs(back[17].astype(int) - codec.decode(latents[17:18])[0]).max() <= 1


def test_one_scale_for_all_channels_is_measured(faces):
    model = Autoencoder((8, 16, 16), 4)
    with torch.no_grad():
        model.vae.quant_conv.bias[:4] += torch.tensor([5.0, 0.0, -5.0, 0.0])
    mean, scale = latent_statistics(model, real(faces, "valid"))
    plain = Codec(model.vae, 4, [0.0] * 4, 1.0).encode(real(faces, "valid"))
    np.testing.assert_allclose(mean, plain.mean(dim=(0, 2, 3)).numpy(), atol=1e-4)
    assert scale == pytest.approx(float(np.sqrt(np.mean(plain.numpy().var(axis=(0, 2, 3))))), rel=1e-3)


def test_the_default_is_small():
    size = sum(
        2 * value.numel()
        for value in Autoencoder(AutoencoderTraining().widths, AutoencoderTraining().latents).state_dict().values()
    )
    assert size < 20e6  # bytes as fp16


def test_errors_are_one_sentence(run, faces, tmp_path):
    with pytest.raises(WsdlError, match=r"has images of 32 px, but an autoencoder of 7 levels needs a multiple of 64"):
        train_autoencoder(faces, tmp_path / "deep", AutoencoderTraining(widths=(8,) * 7))
    assert not (tmp_path / "deep").exists()
    with pytest.raises(WsdlError, match="autoencoder"):
        load_autoencoder(tmp_path)
    for name in ("config.json", LATENT_STATISTICS_FILE):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    (tmp_path / MODEL_FILE).write_bytes(b"cut short")
    with pytest.raises(WsdlError, match=r"model\.safetensors: is no valid file of weights"):
        load_autoencoder(tmp_path)


def test_an_unfinished_run_does_not_load(run, tmp_path):
    for name in ("config.json", MODEL_FILE):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    with pytest.raises(WsdlError, match="`train-generator autoencoder`"):
        load_autoencoder(tmp_path)
