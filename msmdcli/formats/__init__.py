"""File formats of motion, a module each; `registry` is the table of them."""

from msmdcli.formats.registry import FORMATS, get_format, read_motion, write_motion

__all__ = ["FORMATS", "get_format", "read_motion", "write_motion"]
