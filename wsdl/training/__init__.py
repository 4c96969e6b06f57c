"""The training loop, and the examples that each setup trains on."""
