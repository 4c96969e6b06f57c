"""Generators make fakes: `sample(n, seed)` whole pictures, `inpaint(images, masks, seed)` one region of a picture."""
