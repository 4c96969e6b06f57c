"""The report: one offline page about all runs, notebooks and datasets in a folder."""
