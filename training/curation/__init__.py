"""Curation: videos of talking people -> a data set. One step per file; `training.curate` puts them together."""
