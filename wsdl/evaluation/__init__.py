"""Metrics, protocols and baselines: from maps and scores to tables with intervals."""
