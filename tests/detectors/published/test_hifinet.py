"""HiFi-Net: tensors as published, input and map as the authors compute them, parts against formulas and imdlbenco."""

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image

from wsdl.core.io import WsdlError
from wsdl.detectors.published import load_published, random_method
from wsdl.detectors.published.hifinet import DISTANCE, HiFiHeads, HiFiNet, to_hifinet_input
from wsdl.detectors.published.hifinet_backbone import WIDTHS, HiFiBackbone, Laplacian
from wsdl.detectors.published.peers import as_tensor

IMAGE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
PUBLISHED_SHAPES = {  # by the code of the authors: seg_hrnet.py and NLCDetection_api.py
    "FENet.conv1fre.weight": (64, 3, 3, 3),
    "FENet.laplacian.smoothing.scale-8.weight": (64, 1, 3, 3),
    "FENet.laplacian.conv_1x1.0.weight": (64, 192, 1, 1),
    "FENet.conv_1x1_merge.0.weight": (64, 64, 1, 1),
    "FENet.layer1.0.downsample.0.weight": (256, 64, 1, 1),
    "FENet.transition1.3.2.0.weight": (144, 256, 3, 3),
    "FENet.stage4.0.fuse_layers.3.0.2.0.weight": (144, 18, 3, 3),
    "SegNet.getmask.gamma_s": (1,),
    "SegNet.getmask.theta.weight": (288, 288, 1, 1),
    "SegNet.getmask.getmask.2.bias": (1,),
    "SegNet.getmask.Pconv_3.mask_conv.weight": (1, 3, 3, 3),
    "SegNet.branch_cls_level_1.branch_cls.0.weight": (32, 271, 3, 3),
    "SegNet.branch_cls_level_2.fc.weight": (7, 18),
    "SegNet.branch_cls_level_3.bn.running_var": (18,),
    "SegNet.branch_cls_level_4.branch_cls.0.weight": (32, 144, 3, 3),
    "center": (18,),
    "radius": (),
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return HiFiNet().eval()


def write_parts(folder, network):
    """The three files as the authors saved and named them: from DataParallel, in training checkpoints."""
    parts = {"HRNet/750001.pth": network.FENet, "NLCDetection/750001.pth": network.SegNet}
    for file, part in parts.items():
        (folder / file).parent.mkdir(parents=True)
        state = {f"module.{name}": value for name, value in part.state_dict().items()}
        torch.save({"model": state, "optimizer": {}}, folder / file)
    (folder / "center").mkdir()
    centre = {"center": torch.linspace(0, 1, 18), "radius": torch.tensor(0.9)}
    torch.save(centre, folder / "center/radius_center.pth")
    return folder


def test_tensors_have_the_published_names_and_shapes(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert {name: shapes.get(name) for name in PUBLISHED_SHAPES} == PUBLISHED_SHAPES
    assert sum(p.numel() for p in network.parameters()) == 6_890_320


def test_the_files_of_the_authors_are_loaded(network, tmp_path):
    loaded = load_published("hifi-net", write_parts(tmp_path / "hifi-net", network).parent)
    assert loaded.licence == "MIT"
    given = loaded.network.state_dict()
    assert all(torch.equal(given[name], value) for name, value in network.state_dict().items() if "." in name)
    assert given["center"][-1] == 1
    found = loaded.predict(IMAGE[None])
    assert (found.maps.shape, found.scores.shape) == ((1, 256, 256), (1,))
    x = to_hifinet_input(as_tensor(IMAGE))
    with torch.no_grad():
        features, _ = network.SegNet(network.FENet(x), x)
    distance = F.pairwise_distance(features.flatten(2).transpose(1, 2), torch.linspace(0, 1, 18))  # as the authors
    assert found.maps[0].ravel() == pytest.approx((distance / (distance + DISTANCE))[0].numpy(), abs=1e-5)


def test_a_missing_centre_is_one_sentence(network, tmp_path):
    folder = write_parts(tmp_path, network)
    (folder / "center/radius_center.pth").unlink()
    with pytest.raises(
        WsdlError, match=r"lacks center/radius_center\.pth \(the centre of real pixels\); give the publ"
    ):
        load_published("hifi-net", folder)


def test_the_input_is_resized_as_by_pillow():
    x = to_hifinet_input(as_tensor(IMAGE))
    expected = np.asarray(Image.fromarray(IMAGE).resize((256, 256), Image.Resampling.BICUBIC)) / 255
    assert x[0].permute(1, 2, 0).numpy() == pytest.approx(expected, abs=1e-6)


def test_the_map_is_half_where_the_authors_separate_real_from_fake(network, monkeypatch):
    features = torch.zeros(1, 18, 1, 3)
    features[0, 4, 0] = torch.tensor([0.0, DISTANCE, 3 * DISTANCE])
    logits = torch.tensor([[2.0] + [0.0] * 13])
    monkeypatch.setattr(network.SegNet, "forward", lambda *_: (features, logits))
    maps, scores = network(torch.zeros(1, 3, 32, 32))
    assert maps[0, 0].tolist() == pytest.approx([0, 0.5, 0.75], abs=1e-4)
    assert float(scores) == pytest.approx(13 / (13 + np.exp(2)))


def test_the_laplacian_removes_what_is_constant_and_keeps_detail():
    torch.manual_seed(0)
    layer = Laplacian(4).eval()
    seen = []
    layer.conv_1x1.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    layer(torch.full((1, 4, 40, 40), 3.0))
    assert seen[0].abs().max() < 1e-5
    detail = torch.tensor([1.0, -1.0]).repeat(20).expand(1, 4, 40, 40)
    layer(detail)
    assert (seen[1][:, :, :, 10:30] - detail.repeat(1, 3, 1, 1)[..., 10:30]).abs().mean() < 0.5
    layer(torch.arange(40.0).expand(1, 4, 40, 40))
    assert seen[2][..., 10:30].diff(n=2).abs().max() < 1e-4  # resizing is linear between pixels
    for blur in (2, 4, 8):
        kernel = layer.smoothing[f"scale-{blur}"].weight
        assert kernel.sum((2, 3)) == pytest.approx(1)
        assert float(kernel[0, 0, 0, 1] / kernel[0, 0, 1, 1]) == pytest.approx(np.exp(-1 / (2 * blur**2)))


def test_the_order_of_features_is_that_of_the_authors(network):
    """Coarse before fine, the mask last; colour before frequencies."""
    seen = {}
    for level in (3, 2, 1):
        branch = getattr(network.SegNet, f"branch_cls_level_{level}")
        branch.register_forward_hook(lambda _, given, __, level=level: seen.update({level: given[0]}))
    network.FENet.bn2.register_forward_hook(lambda _, __, made: seen.update(colour=made.relu()))
    network.FENet.conv_1x1_merge.register_forward_hook(lambda _, given, __: seen.update(merged=given[0]))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features = network.FENet(x)
        network.SegNet(features, x)
    assert torch.equal(seen["merged"][:, :64], seen["colour"])
    for level, finer in ((3, features[2]), (2, features[1])):
        assert torch.equal(seen[level][:, -finer.shape[1] :], finer)
    assert torch.equal(seen[1][:, -19:-1], features[0])
    assert torch.equal(seen[3][..., 0, 0][:, :144], features[3][..., 0, 0])  # corners keep their values


def test_attention_is_the_softmax_of_dot_products():
    torch.manual_seed(0)
    head = HiFiHeads().getmask
    x, image = torch.randn(2, 18, 32, 32), torch.rand(2, 3, 32, 32)
    folded = x.reshape(2, 288, 8, 8)
    query, key, value = (layer(folded).reshape(2, 288, 64) for layer in (head.theta, head.phi, head.g))
    weights = torch.einsum("nci,ncj->nij", query, key).softmax(dim=2)
    attended = torch.einsum("nij,ncj->nci", weights, value).reshape(x.shape)
    with torch.no_grad():
        head.gamma_s.fill_(0.5)
        features, _ = head(x, image)
        assert torch.allclose(features, x + 0.5 * head.W_s(attended), atol=1e-4)


def test_a_partial_convolution_divides_by_the_weights_that_it_covers():
    torch.manual_seed(0)
    layer, x = HiFiHeads().getmask.Pconv_1, torch.randn(1, 3, 9, 9)
    weight = torch.ones(1, 3, 9, 9)
    weight[..., 5:] = 0.5
    weight[..., :4] = 0
    made, covered = layer(x * weight, weight)
    bias = layer.input_conv.bias[:, None]
    plain = F.conv2d(x * weight, layer.input_conv.weight, stride=2)
    assert (made[..., 0] == 0).all()
    assert torch.allclose(made[0, :, :, 1], plain[0, :, :, 1] / 9 + bias, atol=1e-5)  # one column of three, of weight 1
    assert torch.allclose(made[0, :, :, 3], plain[0, :, :, 3] / (27 / 2) + bias, atol=1e-5)
    assert (covered[..., 0].max(), covered[..., 1:].min()) == (0, 1)


def test_a_coarse_class_favours_its_finer_ones():
    torch.manual_seed(0)
    heads = HiFiHeads().eval()
    logits = {4: [1.0, 2.0, -1.0], 3: [1.0] * 5, 2: [-1.0] * 7, 1: [*range(1, 15)]}
    for level, values in logits.items():
        branch = getattr(heads, f"branch_cls_level_{level}")
        nn.init.zeros_(branch.fc.weight)
        branch.fc.bias.data = torch.tensor(values, dtype=torch.float32)
    features = [torch.randn(1, width, 32 >> scale, 32 >> scale) for scale, width in enumerate(WIDTHS)]
    seen = {}
    for level in (4, 3, 2):
        branch = getattr(heads, f"branch_cls_level_{level}")
        branch.register_forward_hook(lambda _, __, made, level=level: seen.update({level: made[1][0]}))
    _, found = heads(features, torch.rand(1, 3, 32, 32))
    assert seen[4].tolist() == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e), 0], abs=1e-6)  # of positive logits
    assert seen[3].tolist() == pytest.approx([0.2] * 5)
    assert seen[2].tolist() == pytest.approx([1 / 7] * 7)  # none is positive
    assert found[0].tolist() == pytest.approx([value * (1 + 1 / 7) for value in range(1, 15)], rel=1e-5)


def test_the_parents_of_the_methods_are_those_of_the_authors():
    """By the shares of seven classes, each its own: which one multiplies each of the 14 logits."""
    torch.manual_seed(0)
    heads = HiFiHeads().eval()
    for level, values in {2: [1.0, 2, 3, 4, 5, 6, 7], 1: [1.0] * 14}.items():
        branch = getattr(heads, f"branch_cls_level_{level}")
        nn.init.zeros_(branch.fc.weight)
        branch.fc.bias.data = torch.tensor(values)
    features = [torch.randn(1, width, 32 >> scale, 32 >> scale) for scale, width in enumerate(WIDTHS)]
    _, found = heads(features, torch.rand(1, 3, 32, 32))
    share = torch.tensor([1.0, 2, 3, 4, 5, 6, 7]).softmax(0).tolist()
    parents = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4]  # NLCDetection_api.py: columns of cls_prob_mask_1
    assert found[0].tolist() == pytest.approx([1 + share[parent] for parent in parents], rel=1e-5)


def test_random_weights_give_a_map_and_a_score():
    torch.manual_seed(0)
    found = random_method("hifi-net").predict(np.stack([IMAGE, IMAGE[::-1]]))
    assert found.maps.shape == (2, 256, 256)
    assert 0 <= found.maps.min() < found.maps.max() < 1
    assert ((found.scores > 0) & (found.scores < 1)).all()


def test_the_backbone_agrees_with_imdlbenco_where_that_of_psccnet_is_the_same():
    """Both are HRNet; that of PSCC-Net has two scales in the second stage, three in the third, and no frequencies."""
    pytest.importorskip("IMDLBenCo", reason="imdlbenco is not installed (extra peers)")
    torch.manual_seed(0)
    other = random_method("psccnet").network.FENet
    for layer in other.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)  # else all features are almost zero
    network, x = HiFiBackbone().eval(), torch.randn(1, 64, 64, 64)
    shared = {name: value for name, value in other.state_dict().items() if not name.startswith(("stage", "transition"))}
    shared |= {name: value for name, value in other.state_dict().items() if name.startswith(("stage4", "transition1"))}
    assert network.load_state_dict(shared, strict=False).unexpected_keys == []
    features = [torch.randn(1, width, 64 >> scale, 64 >> scale) for scale, width in enumerate(WIDTHS)]
    with torch.no_grad():
        assert torch.allclose(network.layer1(x), other.layer1(x), atol=1e-5)
        for found, expected in zip(network.stage4([*features]), other.stage4([*features]), strict=True):
            assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(network.transition1[:2], other.transition1, strict=True):
            assert torch.allclose(ours(network.layer1(x)), theirs(other.layer1(x)), rtol=1e-4, atol=1e-4)
