"""Maps and scores to numbers: metrics, protocols, baselines, tables."""
