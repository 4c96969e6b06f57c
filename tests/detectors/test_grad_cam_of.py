"""Grad-CAM of any PyTorch classifier: as captum's, and without traces in the model or in memory."""

import gc

import numpy as np
import pytest
import torch
import torch.nn as nn
from captum.attr import LayerGradCam

from wsdl.core.io import WsdlError
from wsdl.detectors.grad_cam import GradCam, grad_cam_of, scale_to_unit


@pytest.fixture
def model():
    torch.manual_seed(0)
    blocks = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Conv2d(8, 6, 3)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 3))


def images(n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("target", [0, 2])
def test_the_map_of_any_classifier_is_captums(model, target):
    theirs = LayerGradCam(model.eval(), model[3]).attribute(images(), target=target, relu_attributions=True)
    found = grad_cam_of(model, model[3], images(), target)
    assert found.shape == (2, 12, 12)
    assert found.dtype == np.float32
    assert np.allclose(found, scale_to_unit(theirs[:, 0].detach()).numpy(), atol=1e-5)


@pytest.mark.parametrize("inside", [torch.no_grad, torch.enable_grad])
def test_the_model_is_left_as_it_was(model, inside):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with inside():
        grad_cam_of(model, model[3], images())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [value.grad for value in model.parameters() if value.grad is not None] == []


def tensors_alive() -> int:
    gc.collect()
    return sum(type(each) in (torch.Tensor, nn.Parameter) for each in gc.get_objects())


def test_fifty_maps_leave_no_tensors_and_no_hooks(model):
    detector, pictures = GradCam(64).eval(), np.zeros((1, 64, 64, 3), np.uint8)
    work = {"any": lambda: grad_cam_of(model, model[3], images(1)), "ours": lambda: detector.predict(pictures)}
    for make in work.values():
        make()
        before = tensors_alive()
        for _ in range(25):
            make()
        assert tensors_alive() == before
    assert not any(
        module._forward_hooks or module._backward_hooks for module in [*model.modules(), *detector.modules()]
    )


def test_a_wrong_layer_is_an_error_and_leaves_no_hook(model):
    for layer in (nn.ReLU(), model[6]):  # not a part of the model; returns [n, classes]
        with pytest.raises(WsdlError, match="layer must run once"):
            grad_cam_of(model, layer, images())
        assert not layer._forward_hooks
