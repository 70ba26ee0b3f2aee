"""Parts of a curation for several machines."""

from __future__ import annotations

from msmdcli.errors import UsageError


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of a text such as 3/16, 1 <= i <= n.

    Raises:
        UsageError: it is no such thing.
    """
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
        return int(number), int(count)
    raise UsageError(f"'{text}' is not a shard", hint="--shard 3/16 is the third of sixteen")
