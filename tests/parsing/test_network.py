"""The parsing network and the augmentation: shapes, mirroring, and augmentations."""

import numpy as np
import pytest
import torch

from wsdl.core.io import WsdlError
from wsdl.data.dataset import Dataset
from wsdl.data.masks import CLASSES
from wsdl.parsing import train
from wsdl.parsing.augment import augment, blur_each, borrow_style, new_background, recolour
from wsdl.parsing.models import Parser
from wsdl.parsing.network import MIRRORED, FaceUNet, mirror_labels, mirror_logits
from wsdl.parsing.train import training_batch
from wsdl.parsing.warp import random_grid, warp_batch


@pytest.fixture
def batch(faces):
    """uint8 images [8, 32, 32, 3] and labels [8, 32, 32] of drawn faces."""
    images, labels = train.read_parser_faces([Dataset(faces)], "train").batch(np.arange(8))
    return images, labels


def test_the_network_is_small_and_has_logits_for_every_pixel():
    network = FaceUNet()
    assert sum(value.numel() for value in network.parameters()) <= 1_000_000
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, len(CLASSES), 64, 64)
    with pytest.raises(WsdlError, match=r"^size.* 48 px.*multiple of 32\b"):
        network(torch.randn(1, 3, 48, 48))


def test_the_receptive_field_covers_the_face():
    """Left and right can only be distinguished by the other side of the image."""
    torch.manual_seed(0)
    image = torch.randn(1, 3, 128, 128, requires_grad=True)
    FaceUNet()(image)[0, :, 5, 5].sum().backward()
    assert image.grad[0, :, -1, -1].abs().sum() > 0


def test_mirrored_classes():
    pairs = {CLASSES[i]: CLASSES[j] for i, j in enumerate(MIRRORED.tolist()) if i != j}
    assert pairs == {f"{a} {part}": f"{b} {part}" for part in ("eye", "brow", "ear")
                     for a, b in (("left", "right"), ("right", "left"))}  # fmt: skip
    labels = torch.randint(0, 19, (2, 8, 8))
    logits = torch.nn.functional.one_hot(labels, 19).permute(0, 3, 1, 2).float()
    assert torch.equal(mirror_logits(logits).argmax(1), mirror_labels(labels))
    assert torch.equal(mirror_labels(mirror_labels(labels)), labels)


def test_a_mirrored_image_gets_mirrored_masks():
    torch.manual_seed(0)
    parser = Parser(FaceUNet((8, 16)), 16, "")
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    there, back = parser.logits(images), parser.logits(np.ascontiguousarray(images[:, :, ::-1]))
    torch.testing.assert_close(mirror_logits(there), back, rtol=1e-4, atol=1e-5)


def test_images_and_labels_are_transformed_together(batch):
    """The image is the label map itself: inside regions both must still agree after the move."""
    labels = batch[1].repeat(4, 1, 1)
    labels[labels != 1] = 0  # one large region, without left and right
    grid, mirror = random_grid(torch.Generator().manual_seed(1), len(labels), labels.shape[-1])
    images, moved = warp_batch(labels[:, None].float().expand(-1, 3, -1, -1), labels, grid, mirror)
    assert mirror.any()
    assert not mirror.all()
    agree = ((images[:, 0] > 0.5) == (moved == 1)).float().mean()
    assert agree > 0.97
    away = ((images[:, 0] > 0.5) == (labels == 1)).float().mean()
    assert away < 0.93  # it did move


def test_a_mirror_exchanges_left_and_right(batch):
    _, labels = batch
    n, size = labels.shape[:2]
    straight = torch.nn.functional.affine_grid(torch.eye(2, 3).expand(n, 2, 3), (n, 1, size, size), align_corners=False)
    flipped = straight * torch.tensor([-1.0, 1.0])
    mirror = torch.arange(n) % 2 == 0
    grid = torch.where(mirror[:, None, None, None], flipped, straight)
    _, moved = warp_batch(torch.zeros(n, 3, size, size), labels, grid, mirror)
    assert torch.equal(moved[mirror], mirror_labels(labels[mirror]))
    assert torch.equal(moved[~mirror], labels[~mirror])


def test_mirrored_draws_are_mirrored():
    """Where random_grid reports a mirrored image, x runs backwards."""
    grid, mirror = random_grid(torch.Generator().manual_seed(0), 64, 32)
    assert torch.equal(grid[:, 16, -1, 0] < grid[:, 16, 0, 0], mirror)


def test_augmentation_depends_on_seed_and_step_alone(faces):
    data = train.read_parser_faces([Dataset(faces)], "train")
    one, two = (training_batch(data, 8, 3, 7) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    for other in (training_batch(data, 8, 4, 7), training_batch(data, 8, 3, 8)):
        assert (one[0].float() - other[0].float()).abs().mean() > 10


def test_augmented_images_and_labels_are_valid(batch):
    images, labels = batch
    donors = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    seen = set()
    for seed in range(6):
        augmented, moved = augment(images, labels, torch.Generator().manual_seed(seed), donors if seed % 2 else None)
        assert augmented.dtype == torch.uint8
        assert augmented.shape == images.shape
        assert moved.shape == labels.shape
        assert augmented.float().std() > 20  # not washed out
        seen |= set(moved.unique().tolist())
    assert seen <= set(labels.unique().tolist()) | {0} | {int(MIRRORED[c]) for c in labels.unique()}
    assert {1, 13} <= seen


def test_recolouring_and_backgrounds_stay_in_their_regions(batch):
    images, labels = batch
    images = images.permute(0, 3, 1, 2).float() / 255
    rng = torch.Generator().manual_seed(0)
    inside = torch.nn.functional.max_pool2d((labels == 0).float()[:, None], 3, 1, 1)[:, 0] == 0  # not even beside it
    changed = new_background(rng, images, labels, images.roll(1, 0))
    far = inside[:, None].expand_as(images)
    assert torch.equal(changed[far], images[far])
    assert (changed - images).abs()[(labels == 0)[:, None].expand_as(images)].mean() > 0.05
    grey = torch.full_like(images, 0.5)
    colours = recolour(rng, grey, labels)
    hair = torch.stack([colours[i, :, labels[i] == 13].median(dim=1).values for i in range(len(labels))])
    skin = torch.stack([colours[i, :, labels[i] == 1].median(dim=1).values for i in range(len(labels))])
    assert hair.std(0).min() > 0.05  # every image its own
    assert (hair - skin).abs().mean() > 0.05  # and every region


def test_style_takes_the_colour_cast_and_leaves_the_shapes(batch):
    images = batch[0].permute(0, 3, 1, 2).float() / 255
    red = torch.zeros_like(images)
    red[:, 0] = 1
    changed = borrow_style(torch.Generator().manual_seed(0), images, red)
    assert (changed[:, 0].mean(dim=(1, 2)) > images[:, 0].mean(dim=(1, 2))).all()
    assert (changed[:, 1:].mean(dim=(2, 3)) < images[:, 1:].mean(dim=(2, 3))).all()
    edges = [x.diff(dim=-1).flatten(1) for x in (changed, images)]
    assert torch.nn.functional.cosine_similarity(*edges).min() > 0.9
    same = borrow_style(torch.Generator().manual_seed(0), images, images)
    torch.testing.assert_close(same, images, rtol=0, atol=1e-5)


def test_blur_equals_that_of_scipy():
    from scipy.ndimage import gaussian_filter

    images = torch.rand(2, 3, 24, 24)
    blurred = blur_each(images, torch.tensor([0.6, 1.2]).reshape(2, 1, 1, 1))
    for image, result, sigma in zip(images.numpy(), blurred.numpy(), (0.6, 1.2), strict=True):
        expected = [gaussian_filter(channel, sigma, mode="nearest", radius=4) for channel in image]
        np.testing.assert_allclose(result, expected, atol=1e-5)
