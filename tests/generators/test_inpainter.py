"""Inpainting networks as generators: known and inpainted pixels, refused weights, KL and discriminator."""

import numpy as np
import pytest
import torch
from factories import SIZE, Fills, inpainter_run
from scipy.ndimage import gaussian_filter

from wsdl.core.io import WsdlError, write_json
from wsdl.core.run import MODEL_FILE
from wsdl.generators.diffusion.p2 import load_p2
from wsdl.generators.inpainting.discriminator import (
    ADVERSARIAL_SWITCH,
    Discriminator,
    adversarial_loss,
    adversarial_weight,
    discriminator_loss,
    hole_patches,
    masked_mean,
)
from wsdl.generators.inpainting.inpainter import (
    NETWORKS,
    Inpainter,
    inpainter_fingerprint,
    inpainter_image_size,
    load_inpainter,
)
from wsdl.generators.inpainting.metrics import inpainting_scores
from wsdl.generators.inpainting.pluralistic import CODE_SIZE, FREE_NATS, KL_WEIGHT, Pluralistic, kl_loss, normal_kl
from wsdl.generators.inpainting.train import InpainterTraining


def some(n: int = 3, size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Noise images, and a hole on the left, at the top, and nowhere."""
    masks = np.zeros((n, size, size), np.uint8)
    masks[0, :, :6], masks[1, :5] = 1, 1
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8), masks


@pytest.fixture(scope="module", params=NETWORKS)
def inpainter(request, tmp_path_factory) -> Inpainter:
    return load_inpainter(request.param, inpainter_run(tmp_path_factory.mktemp("weights") / "run", request.param))


# --- inpainting ---------------------------------------------------------------------------------------------------


def test_known_pixels_are_kept_exactly_and_holes_are_inpainted(inpainter):
    images, masks = some()
    inpainted = inpainter.inpaint(images, masks, [1, 2, 3])
    assert inpainter.clean
    assert inpainted.dtype == np.uint8
    assert np.array_equal(inpainted[masks == 0], images[masks == 0])
    assert (inpainted != images).any(axis=-1)[masks == 1].mean() > 0.9


def test_what_is_under_the_hole_is_not_seen(inpainter):
    images, masks = some()
    other = np.where(masks[..., None] == 1, 255 - images, images)
    assert np.array_equal(inpainter.inpaint(images, masks, [1, 2, 3]), inpainter.inpaint(other, masks, [1, 2, 3]))


def test_the_network_gets_the_mask(inpainter):
    """A hole in a grey image looks like the image: only the mask can say."""
    grey = np.full((2, SIZE, SIZE, 3), 127.5, np.float32)
    masks = np.zeros((2, SIZE, SIZE), np.uint8)
    masks[0, 2:6, 2:9] = masks[1, 2:6, 2:14] = 1
    inpainted = inpainter.inpaint(grey, masks, [1, 1])
    both = masks.min(axis=0) == 1
    assert not np.array_equal(inpainted[0][both], inpainted[1][both])


def test_other_seeds_inpaint_something_else_where_possible(inpainter):
    images, masks = (part[:1] for part in some())
    one, same, other = (inpainter.inpaint(images, masks, [seed]) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert np.array_equal(one, other) == (inpainter.name == "lama")


def test_an_image_does_not_depend_on_its_neighbours(inpainter):
    images, masks = some()
    together = inpainter.inpaint(images, masks, [1, 2, 3])
    for i in range(3):
        alone = inpainter.inpaint(images[i : i + 1], masks[i : i + 1], [i + 1])[0]
        assert np.abs(together[i].astype(int) - alone).max() <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_the_default_network_is_small_enough_to_ship(name):
    numbers = sum(weight.numel() for weight in NETWORKS[name](InpainterTraining().width).state_dict().values())
    assert 2e6 < numbers < 4e6
    assert 2 * numbers < 20e6  # bytes in fp16


# --- weights ----------------------------------------------------------------------------------------------------


def test_a_full_size_lama_is_torchscript_and_takes_any_size(tmp_path):
    path = tmp_path / "big-lama.pt"
    torch.jit.script(Fills()).save(path)
    lama = load_inpainter("lama", path)
    assert lama.size is inpainter_image_size("lama", path) is None
    images, masks = some(size=27)
    inpainted = lama.inpaint(images, masks, [0] * 3)
    assert np.array_equal(inpainted[masks == 0], images[masks == 0])
    assert (inpainted[masks == 1] == 51).all()
    assert len(inpainter_fingerprint("lama", path)) == 64


def test_weights_that_cannot_be_used_are_refused_in_one_sentence(tmp_path):
    lama, pluralistic = (inpainter_run(tmp_path / name, name) for name in NETWORKS)
    with pytest.raises(WsdlError, match=r"^\S*pluralistic: [^\n]*pluralistic, not [^\n]*lama[^\n]*$"):
        load_inpainter("lama", pluralistic)
    with pytest.raises(WsdlError, match=r"^\S*lama: [^\n]*train-generator lama[^\n]*p2[^\n]*$"):
        load_p2(lama)
    with pytest.raises(WsdlError, match=r"none: .*weights.*train-generator pluralistic"):
        load_inpainter("pluralistic", tmp_path / "none")
    with pytest.raises(WsdlError, match=r"none: .*TorchScript.*big-lama\.pt"):
        inpainter_image_size("lama", tmp_path / "none")
    write_json(pluralistic / "config.json", {"method": "patches", "generator": "pluralistic"})
    with pytest.raises(WsdlError, match=r"^\S*pluralistic: .*not .*pluralistic"):
        load_inpainter("pluralistic", pluralistic)
    (tmp_path / "notes.txt").write_text("no network")
    with pytest.raises(WsdlError, match=r"notes\.txt: .*TorchScript"):
        load_inpainter("lama", tmp_path / "notes.txt")
    (lama / MODEL_FILE).write_bytes(b"cut short")
    with pytest.raises(WsdlError, match=r"^\S*model\.safetensors: is no valid file of weights[^\n]*train it"):
        load_inpainter("lama", lama)


# --- Pluralistic: the KL, and several answers --------------------------------------------------------------------


def normals(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(5, CODE_SIZE, generator=source), 0.5 * torch.randn(5, CODE_SIZE, generator=source)


def test_kl_is_that_of_torch_distributions():
    one, other = normals(0), normals(1)
    theirs = [torch.distributions.Normal(mean, log.exp()) for mean, log in (one, other)]
    torch.testing.assert_close(normal_kl(one, other), torch.distributions.kl_divergence(*theirs), rtol=1e-4, atol=1e-5)
    assert normal_kl(one, one).abs().max() < 1e-6


def test_below_the_free_bits_the_kl_loss_has_no_gradient():
    mean, log = (part.clone().requires_grad_() for part in normals(0))
    near = kl_loss((mean, log), (mean.detach() + 0.01, log.detach()))
    assert near.item() == pytest.approx(FREE_NATS * CODE_SIZE)
    assert not any(slope.any() for slope in torch.autograd.grad(near, (mean, log)))
    far = kl_loss((mean, log), (mean.detach() + 3, log.detach()))
    assert torch.autograd.grad(far, mean)[0].abs().min() > 0


@pytest.mark.slow
@pytest.mark.parametrize("guarded", [True, False])
def test_fillings_differ_unless_the_posterior_collapses(guarded):
    """Faces that look alike around the hole and are black or white in it: no network can know which.

    Without free bits and with a heavy KL the code says nothing, and all fillings are the same: what the guard is for.
    """
    torch.manual_seed(0)
    weight, free = (KL_WEIGHT, FREE_NATS) if guarded else (3.0, 0.0)
    network = Pluralistic(64, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    hole = torch.zeros(8, 1, 16, 16)
    hole[..., 4:12, 4:12] = 1
    known = torch.zeros(8, 3, 16, 16)
    for _ in range(150):
        truth = known + hole * torch.where(torch.rand(8, 1, 1, 1) < 0.5, -0.8, 0.8)
        inpainted, posterior, prior = network(known, hole, torch.randn(8, CODE_SIZE), truth)
        error = masked_mean((inpainted - truth).abs()[:4], hole[:4])
        optimizer.zero_grad()
        (error + weight * kl_loss(posterior, prior, free)).backward()
        optimizer.step()
    with torch.no_grad():
        fillings = network.inpaint(known.repeat(8, 1, 1, 1), hole.repeat(8, 1, 1, 1), list(range(64)))
    brightness = fillings[..., 5:11, 5:11].mean(dim=(1, 2, 3))
    assert (brightness.std() > 0.4) == guarded


# --- the discriminator and the validation scores ----------------------------------------------------------------------


def test_cells_are_those_that_hold_some_of_the_hole():
    hole = torch.zeros(1, 1, 32, 32)
    hole[0, 0, 7, 8:25] = 1
    assert hole_patches(hole)[0, 0].tolist() == [[0, 1, 1, 1], [0] * 4, [0] * 4, [0] * 4]
    assert Discriminator()(torch.zeros(1, 3, 32, 32)).shape == hole_patches(hole).shape


def test_critic_loss_by_hand():
    real, fake = torch.tensor([[[[2.0, 0.5]]]]), torch.tensor([[[[-3.0, 0.25]]]])
    inpainted = torch.tensor([[[[0.0, 1.0]]]])
    assert (
        discriminator_loss(real, fake, inpainted) == (0 + 0.5) / 2 + 1.25
    )  # known cells of a fake are neither real nor fake
    assert adversarial_loss(fake, inpainted) == -0.25
    assert masked_mean(fake, torch.zeros_like(inpainted)) == 0


def test_the_error_leads_and_the_discriminator_comes_later():
    assert (
        adversarial_weight(0) == adversarial_weight(ADVERSARIAL_SWITCH - 1) < adversarial_weight(ADVERSARIAL_SWITCH) < 1
    )


def test_a_critic_cannot_shout():
    """Spectral normalisation: no layer makes its input larger than its largest singular value of 1 allows."""
    torch.manual_seed(0)
    discriminator = Discriminator()
    for layer in discriminator.layers[::2]:
        with torch.no_grad():
            layer.parametrizations.weight.original.mul_(100)
    for _ in range(30):
        discriminator(torch.zeros(1, 3, 32, 32))
    for layer in discriminator.layers[::2]:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_scores_know_a_blur_a_copy_and_a_second_answer():
    class Answers:
        def __init__(self, answers):
            self.answers = iter(answers)

        def inpaint(self, images, holes, seeds):
            return next(self.answers)

    images, _ = some(2)
    holes = np.zeros((2, SIZE, SIZE), np.uint8)
    holes[:, 3:13, 3:13] = 1
    blurred = gaussian_filter(images, (0, 2, 2, 0))
    copied = inpainting_scores(Answers([images, images]), images, holes)
    assert copied == {"error": 0, "sharpness": 1, "variety": 0}
    found = inpainting_scores(Answers([blurred, images]), images, holes)
    assert found["sharpness"] < 0.3
    assert found["error"] == found["variety"] > 20
