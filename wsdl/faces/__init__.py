"""Faces that need no download: `made_up` draws them."""
