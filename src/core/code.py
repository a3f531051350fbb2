"""Hash the code that makes a file.

The hash covers the modules of the function that makes it, those of the classes of its recipe rows,
and all modules of this repository that these import. Each module is hashed as a syntax tree without
docstrings, comments and imports for the type checker. So a change of prose makes no file stale.

Left out are recipes, as their rows stand in the manifests, and the modules of NOT_HASHED.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).resolve().parents[2]
NOT_HASHED = {
    "src/core/budget.py", "src/core/code.py", "src/core/console.py", "src/core/run.py",
    "src/core/steplog.py", "src/core/store.py", "src/data/paths.py", "src/data/recipe.py",
    "src/cli.py",
}  # fmt: skip
"""Modules that decide where and when a file is written, but not its content."""
_parsing = Lock()  # ast.parse of Python 3.11 is not safe with threads


def version(*values: object) -> str:
    """Hash the code of functions, and of the classes of rows (also rows inside containers)."""
    return _version(frozenset(file for value in values for file in sources(value)))


def sources(value: object) -> Iterator[Path]:
    """Yield the file of a function, or those of the classes of all dataclass rows in a value."""
    if isinstance(value, partial):
        yield from sources(value.func)  # without its arguments: a Run holds the whole recipe
    elif isinstance(value, dict):
        yield from sources(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from sources(inner)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _file(type(value).__module__)
        for field in fields(value):
            yield from sources(getattr(value, field.name))
    elif callable(value):
        code = getattr(_function(value), "__code__", None)
        yield from (_inside(Path(code.co_filename)) if code else _file(type(value).__module__))


def _function(value: Callable[..., object]) -> object:
    return getattr(value, "__func__", value)


def _file(module: str) -> Iterator[Path]:
    file = getattr(sys.modules.get(module), "__file__", None)
    if file:
        yield from _inside(Path(file))


def _inside(file: Path) -> Iterator[Path]:
    if file.is_absolute() and file.is_relative_to(ROOT) and ".venv" not in file.parts:
        yield file


@cache
def _version(files: frozenset[Path]) -> str:
    seen: dict[str, str] = {}
    todo = list(files)
    while todo:
        file = todo.pop()
        name = file.relative_to(ROOT).as_posix()
        if name not in seen and name not in NOT_HASHED and not _is_recipe(file):
            seen[name], imported = _module(file)
            todo += [ROOT / path for path in imported]
    return hashlib.sha256("".join(seen[name] for name in sorted(seen)).encode()).hexdigest()[:16]


def _is_recipe(file: Path) -> bool:
    return "datasets" in file.parts and file.name in ("recipe.py", "__init__.py")


@cache
def _module(file: Path) -> tuple[str, list[str]]:
    """Hash a module without its prose; list the files of this repository that it imports."""
    with _parsing:
        tree = ast.parse(file.read_bytes())
    _Prose().visit(tree)
    names = [name for node in ast.walk(tree) for name in _imported(node)]
    paths = [name.replace(".", "/") + ".py" for name in names if name.partition(".")[0] == "src"]
    existing = [path for path in dict.fromkeys(paths) if (ROOT / path).exists()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), existing


class _Prose(ast.NodeTransformer):
    """Removes docstrings and other bare strings, and imports for the type checker."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def clear() -> None:
    """Clear the cached hashes, for tests that change files."""
    _version.cache_clear()
    _module.cache_clear()
