"""Face parsing: component masks for pictures that have none (the paper needs them for FFHQ)."""
