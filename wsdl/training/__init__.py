"""Training loop, and what each setup may see."""
