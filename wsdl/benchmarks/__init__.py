"""Speed as a ratio to a baseline measured in the same run, and detectors on real inpainting."""
