"""Quality of generated regions, and datasets derived from existing fakes."""
