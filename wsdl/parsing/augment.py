"""Augmentation of rendered faces: random changes of what a parser must not rely on, so that it works on photographs.

Images are float [n, 3, S, S] in [0, 1], labels int [n, S, S]. All numbers are drawn on the CPU from one generator, so
that a batch depends on its seed only, whatever the device.
"""

import torch
import torch.nn.functional as F
from torchvision.io import ImageReadMode, decode_jpeg, encode_jpeg

from wsdl.data.masks import CLASSES
from wsdl.parsing.warp import draw_uniform, random_grid, smooth_noise, warp_batch

# Regions that change colour together, and the standard deviation of their log brightness.
_REGIONS = (
    (("skin", "nose", "left ear", "right ear", "neck"), 0.25),
    (("hair", "left brow", "right brow"), 0.7),
    (("upper lip", "lower lip"), 0.2),
    (("cloth", "hat"), 0.7),
    (("glasses",), 0.4),
    (("background",), 0.5),
)


def augment(images, labels, rng: torch.Generator, donors=None):
    """Augment uint8 images [n, S, S, 3] and labels [n, S, S]; returns both, of the same shapes and types.

    donors: uint8 [m, S, S, 3], images without labels that provide backgrounds and colours; default: the batch.
    """
    n, size = len(images), images.shape[1]
    images = images.permute(0, 3, 1, 2).float() / 255
    images, labels = warp_batch(images, labels, *random_grid(rng, n, size))
    if donors is None:
        donors = images.roll(1, 0)
    else:
        chosen = torch.randint(len(donors), (n,), generator=rng).to(donors.device)
        donors = donors[chosen].permute(0, 3, 1, 2).float() / 255

    images = _apply_to_some(0.5, recolour, rng, images, labels)
    images = _apply_to_some(0.5, new_background, rng, images, labels, donors)
    images = _apply_to_some(0.4, relight, rng, images)
    images, labels = occlude(0.2, rng, images, labels, donors)
    images = _apply_to_some(0.3, borrow_style, rng, images, donors)
    images = _apply_to_some(0.1, new_texture, rng, images)
    images = _apply_to_some(0.8, expose, rng, images)
    images = _apply_to_some(0.3, coarsen, rng, images)
    images = _apply_to_some(0.5, focus, rng, images)
    images = _apply_to_some(0.5, add_grain, rng, images)
    images = _apply_to_some(0.4, compress_some, rng, images)
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1), labels


def _apply_to_some(share: float, work, rng: torch.Generator, images: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
    """Apply `work` to a random share of the images."""
    chosen = (torch.rand(len(images), generator=rng) < share).to(images.device)
    if not chosen.any():
        return images
    images = images.clone()
    images[chosen] = work(rng, images[chosen], *(other[chosen] for other in more)).clamp(0, 1)
    return images


def recolour(rng, images, labels):
    """Change brightness and hue of each region at random."""
    n = len(images)
    gain, lift = torch.zeros(n, len(CLASSES), 3), torch.zeros(n, len(CLASSES), 3)
    for names, deviation in _REGIONS:
        index = [CLASSES.index(name) for name in names]
        bright = torch.randn((n, 1, 1), generator=rng) + 0.3 * torch.randn((n, 1, 3), generator=rng)
        gain[:, index] = deviation * bright
        lift[:, index] = 0.15 * deviation * torch.randn((n, 1, 1), generator=rng)
    return images * _per_pixel(gain.exp(), labels) + _per_pixel(lift, labels)


def _per_pixel(table: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Values per class [n, 19, 3] as maps [n, 3, S, S] by `labels`, with soft edges."""
    rows = torch.arange(len(labels), device=labels.device)[:, None, None]
    return _soften(table.to(labels.device)[rows, labels].permute(0, 3, 1, 2))


def _soften(maps: torch.Tensor) -> torch.Tensor:
    """Mean over 3x3 pixels, so that edges of edited regions are not sharp."""
    return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)


def new_background(rng, images, labels, donors):
    """Replace the background by smooth colours or another, blurred image, as renders have few backgrounds."""
    n, size = len(images), images.shape[-1]
    cells = int(torch.randint(2, 9, (1,), generator=rng))
    colours = 0.5 + 0.3 * torch.randn((n, 3, 1, 1), generator=rng).to(images.device)
    colours = colours + 0.15 * smooth_noise(rng, n, 3, cells, size, images.device)
    blurred = F.interpolate(F.adaptive_avg_pool2d(donors, min(size, 8 * cells)), size=(size, size), mode="bilinear")
    behind = torch.where(_per_image(rng, images, 0, 1) < 0.5, colours, blurred)
    alpha = _soften((labels == 0).float()[:, None])
    return images + alpha * (behind - images)


def relight(rng, images):
    """Multiply by a smooth random field of brightness, and a weaker one of colour."""
    n, size = len(images), images.shape[-1]
    bright = 0.35 * smooth_noise(rng, n, 1, 3, size) + 0.08 * smooth_noise(rng, n, 3, 2, size)
    return images * bright.exp().to(images.device)


def occlude(share: float, rng, images, labels, donors):
    """Cover part of the face in a share of the images by a soft blob of another image, labelled background."""
    n, size = labels.shape[:2]
    y, x = torch.meshgrid(*[torch.linspace(0, 1, size)] * 2, indexing="ij")
    centre, radii = draw_uniform(rng, 0, 1, n, 2, 1, 1), draw_uniform(rng, 0.05, 0.2, n, 2, 1, 1)
    inside = ((y - centre[:, 0]) / radii[:, 0]) ** 2 + ((x - centre[:, 1]) / radii[:, 1]) ** 2 < 1
    inside &= (torch.rand(n, generator=rng) < share)[:, None, None]
    inside = inside.to(labels.device)
    covered = images + _soften(inside.float()[:, None]) * (donors.flip(-2) - images)
    return covered, labels.masked_fill(inside, 0)


def borrow_style(rng, images, donors, reach: float = 0.04):
    """Mix in the low frequencies of another image: its light and colour cast without its shapes.

    Fourier domain adaptation (Yang and Soatto, CVPR 2020): amplitudes below `reach` cycles per pixel are exchanged,
    phases are kept.
    """
    own, other = torch.fft.rfft2(images), torch.fft.rfft2(donors)
    size = images.shape[-1]
    rows, columns = torch.fft.fftfreq(size).abs()[:, None], torch.fft.rfftfreq(size)[None]
    slow = ((rows < reach) & (columns < reach)).to(images.device)
    amount = _per_image(rng, images, 0.2, 1) * slow
    amplitude = own.abs() + amount * (other.abs() - own.abs())
    return torch.fft.irfft2(torch.polar(amplitude, own.angle()), s=(size, size))


def new_texture(rng, images):
    """Apply a random 3x3 filter over all channels (Xu et al., ICLR 2021), which changes textures but not shapes."""
    n, size = len(images), images.shape[-1]
    filters = torch.randn((n * 3, 3, 3, 3), generator=rng).to(images.device) / 27**0.5
    padded = F.pad(images - 0.5, (1, 1, 1, 1), mode="reflect").reshape(1, n * 3, size + 2, size + 2)
    filtered = F.conv2d(padded, filters, groups=n).reshape(images.shape) * 2 + 0.5
    return images + _per_image(rng, images, 0.2, 0.9) * (filtered - images)


def expose(rng, images):
    """Exposure, white balance, contrast, saturation (down to grey) and gamma."""
    n = len(images)
    gain = torch.exp(0.25 * torch.randn((n, 1, 1, 1), generator=rng) + 0.08 * torch.randn((n, 3, 1, 1), generator=rng))
    changed = images * gain.to(images.device)
    grey = changed.mean(dim=1, keepdim=True)
    changed = grey + _per_image(rng, images, 0, 1.7) * (changed - grey)
    middle = changed.mean(dim=(1, 2, 3), keepdim=True)
    changed = middle + _per_image(rng, images, 0.6, 1.4) * (changed - middle)
    return changed.clamp(1e-4, 1) ** torch.exp(_per_image(rng, images, -0.4, 0.4))


def coarsen(rng, images):
    """Reduce to at least a third of the size and enlarge again."""
    size = images.shape[-1]
    small = int(size * draw_uniform(rng, 0.33, 0.9, 1))
    down = F.interpolate(images, size=(small, small), mode="bilinear", antialias=True)
    return F.interpolate(down, size=(size, size), mode="bicubic")


def focus(rng, images):
    """Blur or sharpen: a blurred copy is added or subtracted."""
    return images + _per_image(rng, images, -1.0, 1.5) * (images - blur_each(images, _per_image(rng, images, 0.5, 1.5)))


def blur_each(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of each image with its own `sigma` [n, 1, 1, 1] in pixels."""
    n, channels, size = images.shape[:3]
    reach = torch.arange(-4, 5, device=images.device)
    kernel = torch.exp(-(reach**2) / (2 * sigma.reshape(n, 1) ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None, None]
    x = images.reshape(1, n * channels, size, size)
    x = F.conv2d(F.pad(x, (4, 4, 0, 0), mode="replicate"), kernel, groups=n * channels)
    x = F.conv2d(F.pad(x, (0, 0, 4, 4), mode="replicate"), kernel.transpose(2, 3), groups=n * channels)
    return x.reshape(images.shape)


def add_grain(rng, images):
    """Add noise in brightness and in colour, fine and coarse."""
    n, size = len(images), images.shape[-1]
    fine = torch.randn((n, 1, size, size), generator=rng) + 0.5 * torch.randn((n, 3, size, size), generator=rng)
    grain = fine + smooth_noise(rng, n, 1, size // 2, size)
    return images + _per_image(rng, images, 0, 0.04) * grain.to(images.device)


def compress_some(rng, images):
    """JPEG of quality 25-95, by torchvision on the CPU."""
    small = (images.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    quality = torch.randint(25, 96, (len(small),), generator=rng).tolist()
    files = [encode_jpeg(image, quality=q) for image, q in zip(small, quality, strict=True)]
    return torch.stack([decode_jpeg(file, ImageReadMode.RGB) for file in files]).to(images.device).float() / 255


def _per_image(rng: torch.Generator, images: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One random number per image, [n, 1, 1, 1]."""
    return draw_uniform(rng, low, high, len(images), 1, 1, 1).to(images.device)
