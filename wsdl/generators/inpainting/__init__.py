"""Feed-forward inpainting generators: LaMa and Pluralistic."""
