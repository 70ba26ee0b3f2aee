"""The address that the trainer had in version 0.1, kept for scripts: see `training.network.run_folder`."""

from training.network.run_folder import RUN_FORMAT, load_run, read_config

__all__ = ["RUN_FORMAT", "load_run", "read_config"]
