"""The report: one site that needs no network, of whatever runs and lessons lie in a folder."""
