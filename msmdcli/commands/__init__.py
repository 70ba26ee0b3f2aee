"""The commands of `msmd`, one file each. They only read options and call; the work is done by the modules beside."""
