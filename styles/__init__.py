"""The tag library that ships: one folder per tag. Read by `msmdcli.styles`, made by `training.make_styles`."""
