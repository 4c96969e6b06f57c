"""Studies and grids of trainings."""
