"""Who may import whom, that no files import each other in a circle, and that private names stay in their files.

Imports for types (`TYPE_CHECKING`) and within functions count like any other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).resolve().parents[1]
LAYERS = {  # a package imports only what stands further left; packages between two signs do not import each other
    "msmdcli": "errors < paths console < system documents < motion < media < formats < model tracking controls"
    " < performance < heads < drawing < styles < manifest < workers < batch < checkup api studio < review"
    " < commands < cli",
    "training": "network < data < speech faces evaluation loop curation < recipes < command",
}
STEPS = {top: [step.split() for step in text.split("<")] for top, text in LAYERS.items()}
RANKS = {f"{top}.{name}": i for top, steps in STEPS.items() for i, step in enumerate(steps) for name in step}
# old addresses only import; the configuration is read by all, and reads CONFIG_READS
NO_LAYER = {"msmdcli.__main__", "msmdcli.audio", "msmdcli.rig", "msmdcli.video", "training.config", "training.trainer"}
CONFIG_READS = {f"training.{name}" for name in ("network.model", "network.losses", "network.ear", "data.augment")}
HAND_OVER = {f"msmdcli.commands.{name}" for name in ("train", "evaluate", "curate", "export_onnx")}  # in a function
CALLED_AS_API = ("msmdcli.batch", "msmdcli.api")  # the package is also the function `msmdcli.batch`; in a function
PARENT_OPENS = ("msmdcli.drawing.renderer", "msmdcli.drawing.opengl")  # the one parent that calls its sub-package


class Import(NamedTuple):
    """A file that imports another, or a name of it (empty: the whole); `lazy` within a function."""

    by: str
    of: str
    name: str
    lazy: bool


def package(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(known: dict[str, Path]) -> Iterator[Import]:
    for by, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lazy = {id(inner) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for inner in ast.walk(f)}
        whole: dict[str, str] = {}  # name in this file -> the module that it is
        for node in (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))):
            for alias in node.names:
                module = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                name = "" if module in known else alias.name
                of = module if module in known else getattr(node, "module", module)
                whole |= {} if name else {alias.asname or alias.name: of}
                assert not getattr(node, "level", 0), f"{path} imports by dots: {alias.name}"
                if of in known:
                    yield Import(by, of, name, id(node) in lazy)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in whole:
                yield Import(by, whole[node.value.id], node.attr, id(node) in lazy)


def allowed(one: Import) -> bool:
    by, of = package(one.by), package(one.of)
    if (one.by, one.of, one.lazy) == (*CALLED_AS_API, True):
        return True
    if by == of or one.of in ("msmdcli", "training.config") or not by.startswith(("msmdcli.", "training.", "export.")):
        return True
    if of.startswith("msmdcli"):
        return by in NO_LAYER or RANKS.get(of, 99) < RANKS[by if by.startswith("msmdcli") else "msmdcli.commands"]
    if by.startswith("msmdcli"):
        return one.by in HAND_OVER and one.lazy
    if by.startswith("export"):
        return of.startswith("export") or of == "training.network"
    if by == "training.config":
        return one.of in CONFIG_READS
    return by in NO_LAYER or RANKS.get(of, 99) < RANKS[by]


def circles(edges: set[tuple[str, str]]) -> set[str]:
    """Each set of files that reach each other."""
    reach: dict[str, set[str]] = {by: {by} for edge in edges for by in edge}
    for seen in reach.values():
        while new := {of for by, of in edges if by in seen} - seen:
            seen |= new
    rings = ({other for other in seen if file in reach[other]} for file, seen in reach.items())
    return {f"circle: {', '.join(sorted(ring))}" for ring in rings if len(ring) > 1}


def faults(root: Path) -> set[str]:
    tops = ("msmdcli", "training", "export", "benchmarks", "examples")
    files = [file for top in tops for file in (root / top).rglob("*.py")]
    known = {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    layered = {package(module) for module in known if module.startswith(("msmdcli.", "training."))}
    homeless = layered - set(RANKS) - NO_LAYER
    found = {f"{name} stands in no layer" for name in homeless}
    seen = {one for one in imports(known) if not homeless & {package(one.by), package(one.of)}}
    found |= {f"{one.by} imports {one.of}" for one in seen if not allowed(one)}
    found |= {f"{one.by} uses {one.of}.{one.name}" for one in seen if one.name.startswith("_") and one.name[1] != "_"}
    edges = {(one.by, one.of) for one in seen if one.by != one.of and one.of in known} - {CALLED_AS_API}
    opened = {(by, of) for by, of in edges if by == PARENT_OPENS[0] and of.startswith(PARENT_OPENS[1])}
    face = {
        (by, of) for by, of in edges if by == "msmdcli"
    }  # it names its parts for type checkers, and loads them late
    return found | circles(edges - opened - face)


def test_the_layers_hold() -> None:
    assert not faults(HERE)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("from msmdcli.batch.run import run", "msmdcli.motion.one imports msmdcli.batch.run"),
        ("def f():\n    import msmdcli.batch.run", "msmdcli.motion.one imports msmdcli.batch.run"),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from msmdcli.batch import run",
            "msmdcli.motion.one imports msmdcli.batch.run",
        ),
        ("from training.loop.trainer import train", "msmdcli.motion.one imports training.loop.trainer"),
        ("from msmdcli.motion.two import f", "circle: msmdcli.motion.one, msmdcli.motion.two"),
        ("def f():\n    from msmdcli.motion import two", "circle: msmdcli.motion.one, msmdcli.motion.two"),
        ("from msmdcli.errors import _hidden", "msmdcli.motion.one uses msmdcli.errors._hidden"),
        ("from msmdcli import errors\nerrors._hidden()", "msmdcli.motion.one uses msmdcli.errors._hidden"),
        ("from msmdcli.errors import MsmdError, __doc__\nfrom numpy import _core", None),
    ],
)
def test_a_fault_of_each_kind_is_found(tmp_path: Path, text: str, fault: str | None) -> None:
    made = {
        "msmdcli/errors": "",
        "msmdcli/motion/one": text,
        "msmdcli/motion/two": "from msmdcli.motion.one import f",
        "msmdcli/batch/run": "from msmdcli.motion import two",
        "msmdcli/commands/train": "def f():\n    import training.loop.trainer",
        "training/loop/trainer": "import msmdcli.batch.run",
    }
    for name, content in made.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    found = faults(tmp_path)
    assert (fault in found) if fault else not found


def test_a_package_needs_a_layer(tmp_path: Path) -> None:
    (tmp_path / "msmdcli" / "helpers").mkdir(parents=True)
    (tmp_path / "msmdcli" / "helpers" / "one.py").write_text("", encoding="utf-8")
    assert faults(tmp_path) == {"msmdcli.helpers stands in no layer"}
