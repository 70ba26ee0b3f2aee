"""JavaScript modules within a page: browsers load none beside a page that was opened from a disk.

The modules that the page's own one imports, and those that they import, are found by their import lines, and each
import is renamed to the module's bare name, for which the page makes an import map (HTML Living Standard, 8.1.6.2).
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path

from msmdcli import studio

STATIC = Path(__file__).parent / "static"
STUDIO = Path(studio.__file__).parent / "static"
FOLDERS = (STATIC, STUDIO, STUDIO / "vendor")  # searched for a module in this order
NAMED = {"three": "three.module.min.js"}  # bare names that the studio's page maps, too
IMPORT = re.compile(r"""((?:\bfrom|\bimport)\s*)(["'])(three|\.{1,2}/[\w./-]+\.js)\2""")


def module_texts(first: str = "review.js") -> dict[str, str]:
    """Bare name -> text of each module that the page needs.

    Args:
        first: the module that the page begins with.
    """
    texts: dict[str, str] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        path = next(folder / name for folder in FOLDERS if (folder / name).is_file())
        found: list[str] = []

        def bare(match: re.Match[str], found: list[str] = found) -> str:
            found.append(NAMED.get(match[3], match[3].rpartition("/")[2]))
            return f'{match[1]}"{found[-1]}"'

        texts[name] = IMPORT.sub(bare, path.read_text(encoding="utf-8"))
        waiting += found
    return dict(sorted(texts.items()))


def style_text() -> str:
    """The page's style sheet: the studio's, and what is different."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (STUDIO / "studio.css", STATIC / "review.css"))


def packed(content: bytes) -> str:
    """Bytes as the page unpacks them: raw deflate (RFC 1951) in base64."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(squeezer.compress(content) + squeezer.flush()).decode("ascii")


def unpacked(text: str, most: int) -> bytes:
    """The bytes again, at most so many.

    Raises:
        ValueError, zlib.error: they are none that `packed` gave.
    """
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(base64.b64decode(text, validate=True), most)


def packed_modules() -> str:
    """All modules, as the page finds them."""
    return packed(json.dumps(module_texts(), ensure_ascii=False).encode())
