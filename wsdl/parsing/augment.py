"""Renders made strange: what a parser must not rely on is changed at random, so that it still works on photographs.

Pictures are float [n, 3, S, S] in [0, 1], labels int [n, S, S]. All numbers are drawn on the CPU from one generator,
so that a batch depends on nothing but its seed, wherever the model is.
"""

import torch
import torch.nn.functional as F
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

from wsdl.data.masks import CLASSES
from wsdl.parsing.warp import move, random_grid, smooth_noise, uniform

# Regions that change colour as one, and by how much (deviation of the log of brightness).
REGIONS = (
    (("skin", "nose", "left ear", "right ear", "neck"), 0.25),
    (("hair", "left brow", "right brow"), 0.7),
    (("upper lip", "lower lip"), 0.2),
    (("cloth", "hat"), 0.7),
    (("glasses",), 0.4),
    (("background",), 0.5),
)


def augment(pictures, labels, rng: torch.Generator, donors=None):
    """uint8 pictures [n, S, S, 3] and labels [n, S, S] -> the same after everything that may happen to a photograph.

    donors: uint8 [m, S, S, 3], pictures without labels whose backgrounds and colours are borrowed; default: the batch.
    """
    n, size = len(pictures), pictures.shape[1]
    pictures = pictures.permute(0, 3, 1, 2).float() / 255
    pictures, labels = move(pictures, labels, *random_grid(rng, n, size))
    if donors is None:
        donors = pictures.roll(1, 0)
    else:
        chosen = torch.randint(len(donors), (n,), generator=rng).to(donors.device)
        donors = donors[chosen].permute(0, 3, 1, 2).float() / 255

    pictures = sometimes(0.5, recolour, rng, pictures, labels)
    pictures = sometimes(0.5, new_background, rng, pictures, labels, donors)
    pictures = sometimes(0.4, relight, rng, pictures)
    pictures, labels = occlude(0.2, rng, pictures, labels, donors)
    pictures = sometimes(0.3, borrow_style, rng, pictures, donors)
    pictures = sometimes(0.1, new_texture, rng, pictures)
    pictures = sometimes(0.8, expose, rng, pictures)
    pictures = sometimes(0.3, coarsen, rng, pictures)
    pictures = sometimes(0.5, focus, rng, pictures)
    pictures = sometimes(0.5, add_noise, rng, pictures)
    pictures = sometimes(0.4, compress, rng, pictures)
    return (pictures.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1), labels


def sometimes(share: float, work, rng: torch.Generator, pictures: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
    """`work` on a random share of the pictures."""
    chosen = (torch.rand(len(pictures), generator=rng) < share).to(pictures.device)
    if not chosen.any():
        return pictures
    pictures = pictures.clone()
    pictures[chosen] = work(rng, pictures[chosen], *(other[chosen] for other in more)).clamp(0, 1)
    return pictures


def recolour(rng, pictures, labels):
    """Each region gets another brightness and hue: hair may be any colour, and nobody's skin is a clue."""
    n = len(pictures)
    gain, lift = torch.zeros(n, len(CLASSES), 3), torch.zeros(n, len(CLASSES), 3)
    for names, deviation in REGIONS:
        index = [CLASSES.index(name) for name in names]
        bright = torch.randn((n, 1, 1), generator=rng) + 0.3 * torch.randn((n, 1, 3), generator=rng)
        gain[:, index] = deviation * bright
        lift[:, index] = 0.15 * deviation * torch.randn((n, 1, 1), generator=rng)
    return pictures * spread(gain.exp(), labels) + spread(lift, labels)


def spread(table: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A colour for each class, [n, 19, 3], laid out over the labels with soft edges: [n, 3, S, S]."""
    rows = torch.arange(len(labels), device=labels.device)[:, None, None]
    return soften(table.to(labels.device)[rows, labels].permute(0, 3, 1, 2))


def soften(maps: torch.Tensor) -> torch.Tensor:
    """Mean over 3x3 pixels: a cut-out with sharp edges would be found by its edges."""
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


def new_background(rng, pictures, labels, donors):
    """Behind the person: smooth colours, or another picture out of focus. Renders know few backgrounds."""
    n, size = len(pictures), pictures.shape[-1]
    cells = int(torch.randint(2, 9, (1,), generator=rng))
    colours = 0.5 + 0.3 * torch.randn((n, 3, 1, 1), generator=rng).to(pictures.device)
    colours = colours + 0.15 * smooth_noise(rng, n, 3, cells, size, pictures.device)
    blurred = F.interpolate(F.adaptive_avg_pool2d(donors, min(size, 8 * cells)), size=(size, size), mode="bilinear")
    behind = torch.where(per_picture(rng, pictures, 0, 1) < 0.5, colours, blurred)
    alpha = soften((labels == 0).float()[:, None])
    return pictures + alpha * (behind - pictures)


def relight(rng, pictures):
    """Light that is not the renderer's: a smooth field of brightness, and a fainter one of colour."""
    n, size = len(pictures), pictures.shape[-1]
    bright = 0.35 * smooth_noise(rng, n, 1, 3, size) + 0.08 * smooth_noise(rng, n, 3, 2, size)
    return pictures * bright.exp().to(pictures.device)


def occlude(share: float, rng, pictures, labels, donors):
    """In a share of the pictures something lies over the face: a soft blob of another picture, labelled background."""
    n, size = labels.shape[:2]
    y, x = torch.meshgrid(*[torch.linspace(0, 1, size)] * 2, indexing="ij")
    centre, radii = uniform(rng, 0, 1, n, 2, 1, 1), uniform(rng, 0.05, 0.2, n, 2, 1, 1)
    inside = ((y - centre[:, 0]) / radii[:, 0]) ** 2 + ((x - centre[:, 1]) / radii[:, 1]) ** 2 < 1
    inside &= (torch.rand(n, generator=rng) < share)[:, None, None]
    inside = inside.to(labels.device)
    covered = pictures + soften(inside.float()[:, None]) * (donors.flip(-2) - pictures)
    return covered, labels.masked_fill(inside, 0)


def borrow_style(rng, pictures, donors, reach: float = 0.04):
    """The slowest waves of another picture, mixed in: its light and colour cast without its shapes.

    Fourier domain adaptation (Yang and Soatto, CVPR 2020): amplitudes below `reach` cycles a pixel are exchanged,
    phases, which hold the shapes, are kept.
    """
    own, other = torch.fft.rfft2(pictures), torch.fft.rfft2(donors)
    size = pictures.shape[-1]
    rows, columns = torch.fft.fftfreq(size).abs()[:, None], torch.fft.rfftfreq(size)[None]
    slow = ((rows < reach) & (columns < reach)).to(pictures.device)
    amount = per_picture(rng, pictures, 0.2, 1) * slow
    amplitude = own.abs() + amount * (other.abs() - own.abs())
    return torch.fft.irfft2(torch.polar(amplitude, own.angle()), s=(size, size))


def new_texture(rng, pictures):
    """Through a random 3x3 filter over all colours (Xu et al., ICLR 2021): shapes stay, textures do not."""
    n, size = len(pictures), pictures.shape[-1]
    filters = torch.randn((n * 3, 3, 3, 3), generator=rng).to(pictures.device) / 27**0.5
    padded = F.pad(pictures - 0.5, (1, 1, 1, 1), mode="reflect").reshape(1, n * 3, size + 2, size + 2)
    filtered = F.conv2d(padded, filters, groups=n).reshape(pictures.shape) * 2 + 0.5
    return pictures + per_picture(rng, pictures, 0.2, 0.9) * (filtered - pictures)


def expose(rng, pictures):
    """Exposure, white balance, contrast, saturation (down to grey) and gamma: another camera, another taste."""
    n = len(pictures)
    gain = torch.exp(0.25 * torch.randn((n, 1, 1, 1), generator=rng) + 0.08 * torch.randn((n, 3, 1, 1), generator=rng))
    changed = pictures * gain.to(pictures.device)
    grey = changed.mean(dim=1, keepdim=True)
    changed = grey + per_picture(rng, pictures, 0, 1.7) * (changed - grey)
    middle = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed = middle + per_picture(rng, pictures, 0.6, 1.4) * (changed - middle)
    return changed.clamp(1e-4, 1) ** torch.exp(per_picture(rng, pictures, -0.4, 0.4))


def coarsen(rng, pictures):
    """Down to as little as a third of the size and up again: small or upscaled pictures."""
    size = pictures.shape[-1]
    small = int(size * uniform(rng, 0.33, 0.9, 1))
    down = F.interpolate(pictures, size=(small, small), mode="bilinear", antialias=True)
    return F.interpolate(down, size=(size, size), mode="bicubic")


def focus(rng, pictures):
    """Out of focus, or sharpened by the camera: a blurred copy is taken in or taken off."""
    return pictures + per_picture(rng, pictures, -1.0, 1.5) * (
        pictures - blur(pictures, per_picture(rng, pictures, 0.5, 1.5))
    )


def blur(pictures: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of each picture with its own `sigma` [n, 1, 1, 1] in pixels."""
    n, channels, size = pictures.shape[:3]
    reach = torch.arange(-4, 5, device=pictures.device)
    kernel = torch.exp(-(reach**2) / (2 * sigma.reshape(n, 1) ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None, None]
    x = pictures.reshape(1, n * channels, size, size)
    x = F.conv2d(F.pad(x, (4, 4, 0, 0), mode="replicate"), kernel, groups=n * channels)
    x = F.conv2d(F.pad(x, (0, 0, 4, 4), mode="replicate"), kernel.transpose(2, 3), groups=n * channels)
    return x.reshape(pictures.shape)


def add_noise(rng, pictures):
    """Grain in brightness and in colour, finer and coarser."""
    n, size = len(pictures), pictures.shape[-1]
    fine = torch.randn((n, 1, size, size), generator=rng) + 0.5 * torch.randn((n, 3, size, size), generator=rng)
    grain = fine + smooth_noise(rng, n, 1, size // 2, size)
    return pictures + per_picture(rng, pictures, 0, 0.04) * grain.to(pictures.device)


def compress(rng, pictures):
    """JPEG of quality 25-95, by torchvision on the CPU."""
    small = (pictures.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    quality = torch.randint(25, 96, (len(small),), generator=rng).tolist()
    files = [encode_jpeg(picture, quality=q) for picture, q in zip(small, quality, strict=True)]
    return torch.stack([decode_jpeg(file, ImageReadMode.RGB) for file in files]).to(pictures.device).float() / 255


def per_picture(rng: torch.Generator, pictures: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One number for each picture, [n, 1, 1, 1]."""
    return uniform(rng, low, high, len(pictures), 1, 1, 1).to(pictures.device)
