"""Dataset folders: manifest, images and masks, preparation, and checks."""
