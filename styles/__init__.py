"""The tag library that ships: one folder per tag. Read by `library`, made by `make_styles`."""
