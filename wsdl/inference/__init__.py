"""One image in, its localisation map out."""
