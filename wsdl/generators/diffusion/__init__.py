"""Diffusion generators: P2, RePaint, latent diffusion, Stable Diffusion."""
