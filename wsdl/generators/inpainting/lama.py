"""LaMa (Suvorov et al. 2022): inpainting by fast Fourier convolutions, whose receptive field is the image."""

from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

from wsdl.core.io import WsdlError
from wsdl.generators.inpainting.encoder_decoder import STEP, Down, Up
from wsdl.generators.inpainting.ffc import FFCBlock


class LaMa(nn.Module):
    """The small network: encoder, fast Fourier convolutions at an eighth of the size, decoder."""

    def __init__(self, width: int, blocks: int = 4):
        super().__init__()
        self.down = Down(4, width)
        self.blocks = nn.Sequential(*(FFCBlock(width) for _ in range(blocks)))
        self.up = Up(width)

    def forward(self, known: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
        """Images [n, 3, S, S] in [-1, 1], 0 where holes [n, 1, S, S] are 1 -> inpainted images like them."""
        features = self.down(torch.cat([known, holes], dim=1))
        return self.up(self.blocks(features[-1]), features)

    def inpaint(self, known: torch.Tensor, holes: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """As `forward`: LaMa is deterministic and ignores the seeds."""
        return self(known, holes)


class BigLaMa(nn.Module):
    """The published network as TorchScript, such as big-lama.pt: any size, RGB in [0, 1], mask 1 = inpaint.

    TorchScript can run code when it is loaded and called: open only files from people you trust.
    """

    def __init__(self, path: Path):
        super().__init__()
        try:
            self.script = torch.jit.load(path, map_location="cpu").eval()
        except (RuntimeError, ValueError, OSError):
            raise WsdlError(
                f"{path}: is no TorchScript file; give big-lama.pt or a run of `train-generator`."
            ) from None

    def inpaint(self, known: torch.Tensor, holes: torch.Tensor, seeds: list[int]) -> torch.Tensor:
        """Images [n, 3, H, W] in [-1, 1], 0 where holes are 1 -> inpainted images of the same size."""
        height, width = known.shape[-2:]
        right, bottom = -width % STEP, -height % STEP
        image = ((known + 1) / 2 * (1 - holes)).float().contiguous()
        with torch.autocast(known.device.type, enabled=False):  # it was traced in float32
            inpainted = self.script(*(F.pad(x, (0, right, 0, bottom), mode="reflect") for x in (image, holes.float())))
        return inpainted[..., :height, :width].clamp(0, 1) * 2 - 1
