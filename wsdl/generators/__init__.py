"""Generators of fakes: `sample(n, seed)` makes full fakes, `inpaint(images, masks, seeds)` partial fakes."""
