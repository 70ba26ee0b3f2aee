"""Curation: videos of talking people -> a data set. One step per file; `curate` puts them together."""
