"""Data: the dataset folder (layout), where faces come from (prepare, dolos), masks, and checks on all of it."""
