"""Optimised graphs on disk: ONNX Runtime optimises a graph once, not at every start.

A file in `cache_dir()/graphs` holds one graph as ONNX Runtime optimised it for the CPU: its large weights, then the
ONNX description (which names them by their place in this very file), then that one's length. Its name is a sha256 of
everything that decides its content: the model file's, ONNX Runtime's version and build, the options, and the processor,
since some optimisations suit one instruction set only. Weights are mapped into memory, so starting reads them once and
copies none; with weights inside the description, starting would take longer than optimising does. A graph gives the
same bytes whether it was optimised now or earlier. A file is checked before ONNX Runtime sees it: what is damaged or
cut off is made again; see `KeptFiles`. Nothing in it is executed.

On a GPU nothing is kept here: what TensorRT builds it keeps itself, and CUDA's graphs are not worth it.

The environment variable `MSMD_GRAPH_CACHE` sets the limit (`500MB`, `20GB`; 2GB without it) or turns the cache `off`. A
cache that cannot be written is no error: graphs are then optimised at every start.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from msmdcli.system.files import sha256_of
from msmdcli.system.kept_files import KeptFiles, blocks
from msmdcli.system.machine import processor_kind

VERSION = 1  # raise it when a change of the program changes what is kept
LARGE = 1 << 16  # bytes from which weights are mapped; smaller ones are kept in the description
LARGEST = 64_000_000  # bytes of a model file that is stored; see `GraphStore.session`
LENGTH = struct.Struct("<Q")  # of the description
ABANDONED_SECONDS = 3600  # a graph that was begun so long ago and is not there will not come

Options = Callable[[], Any]  # makes the options of a session, the same each time


class GraphStore(KeptFiles):
    """The folder of optimised graphs."""

    NAME, SUFFIX = "graphs", ".graph"
    VARIABLE = "MSMD_GRAPH_CACHE"
    DEFAULT_LIMIT = "2GB"  # the starter's graphs take 39 MB

    def session(self, ort: Any, path: Path, sha256: str, options: Options, providers: list[Any]) -> Any:
        """A session of a graph: as it is stored, else optimised now, and stored for the next time.

        A file of more than `LARGEST` bytes is optimised every time: of its loading that is a small part, while storing
        it takes more time and memory, once, than it saves for long (`benchmarks/profiles/README.md`).

        Args:
            ort: the module `onnxruntime`.
            path: the ONNX file.
            sha256: that its content should have; a file that is another one is not stored.
            options: without a level of optimisation.
            providers: the CPU's.

        Raises:
            Exception: what ONNX Runtime raises for a graph that it cannot load.
        """
        if not self.limit or path.stat().st_size > LARGEST:
            return ort.InferenceSession(str(path), options(), providers=providers)
        key = graph_key(sha256, ort)
        stored = self._stored(ort, key, options, providers)
        return self.optimised(ort, path, sha256, key, options, providers) if stored is None else stored

    def _stored(self, ort: Any, key: str, options: Options, providers: list[Any]) -> Any:
        """A session of the stored graph; None where there is none, or a damaged one."""
        found = self.open(key)
        if found is None:
            return None
        file, length = found
        try:
            with file:
                description = _description(file, length)
            wanted = options()
            wanted.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            folder = str(self.folder.absolute())
            wanted.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
            return ort.InferenceSession(description, wanted, providers=providers)
        except Exception:  # ONNX Runtime's have no common base class; another process may have removed the file
            return None

    def optimised(self, ort: Any, path: Path, sha256: str, key: str, options: Options, providers: list[Any]) -> Any:
        """A session of a graph that is optimised now, and stored if that is possible."""
        place = self.folder / f".{key}"  # two files that ONNX Runtime writes
        session = None
        if _begin(place):
            try:
                wanted = options()
                wanted.optimized_model_filepath = str(place / "description.onnx")
                external = "session.optimized_model_external_initializers"
                wanted.add_session_config_entry(f"{external}_file_name", self.path(key).name)
                wanted.add_session_config_entry(f"{external}_min_size_in_bytes", str(LARGE))
                session = ort.InferenceSession(str(path), wanted, providers=providers)
                if sha256_of(path) == sha256:
                    self.keep(key, _joined(place / self.path(key).name, place / "description.onnx"))
            except Exception:  # as above; without place on the disk the graph is loaded all the same
                pass
            finally:
                shutil.rmtree(place, ignore_errors=True)
        return ort.InferenceSession(str(path), options(), providers=providers) if session is None else session


def graph_key(sha256: str, ort: Any) -> str:
    """What decides an optimised graph: sha256.

    Args:
        sha256: of the ONNX file.
        ort: the module `onnxruntime`.
    """
    content = [VERSION, sha256, ort.__version__, ort.get_build_info(), "cpu, all, deterministic", processor_kind()]
    return hashlib.sha256(json.dumps([*content, LARGE]).encode()).hexdigest()


def _begin(place: Path) -> bool:
    """Make the folder that a graph is written to; False where another process is at it, or it cannot be made."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and time.time() - place.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(place)
        place.mkdir()
    except OSError:
        return False
    return True


def _joined(weights: Path, description: Path) -> Iterator[memoryview | bytes]:
    """What is stored of a graph. One without large weights has no file of them."""
    for part in (weights, description):
        if part is description or part.exists():
            with part.open("rb") as file:
                yield from blocks(file, part.stat().st_size)
    yield LENGTH.pack(description.stat().st_size)


def _description(file: IO[bytes], length: int) -> bytes:
    """The ONNX description at the end of a stored graph."""
    file.seek(length - LENGTH.size)
    (size,) = LENGTH.unpack(file.read(LENGTH.size))
    file.seek(length - LENGTH.size - size)
    return file.read(size)
