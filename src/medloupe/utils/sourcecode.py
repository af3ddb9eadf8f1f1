"""Name what was computed by the source code that computed it."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

_ROOT = __name__.partition(".")[0]
_STATEMENT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(?:\(([\w\s,]*)\)|([\w, \t]+))|import[ \t]+([\w., \t]+))(?:#.*)?$",
    re.MULTILINE,
)
"""An import that stands on lines of its own: the module and the names taken from it, or the modules."""
_IMPORT = re.compile(r"\bimport\b")


@cache
def source_digest(*modules: str) -> str:
    """Hash the source of modules of this package and of all that they import of it, at once or later.

    Parameters
    ----------
    modules : str
        Dotted names, such as "medloupe.training.heads.solver".

    Returns
    -------
    str
        A sha256 in hex: another one after any change of a file that the modules can run, and of no other file.
    """
    key = hashlib.sha256()
    for name, source in sorted(_closure(modules).items()):
        key.update(name.encode() + b"\0" + hashlib.sha256(source).digest())
    return key.hexdigest()


def imported_by(*modules: str) -> frozenset[str]:
    """Name the modules of this package that the given ones import, directly or through others, and themselves."""
    return frozenset(_closure(modules))


def imported_names(source: bytes) -> frozenset[str]:
    """Name what could be modules of this package among the names that a source imports.

    Parsing every file with `ast` takes half a second for what a training imports. So the statements are found by their
    form, and a source is parsed only where the word `import` stands in any other place, be it in a string: no import
    can be missed.
    """
    text = source.decode()
    if _IMPORT.search(_STATEMENT.sub("", text)):
        return frozenset(_parsed_names(source))
    found: set[str] = set()
    for module, many, few, plain in _STATEMENT.findall(text):
        taken = [each.split()[0] for each in (many or few or plain).split(",") if each.strip()]
        found.update(_names_of_this_package(module or None, taken))
    return frozenset(found)


def _parsed_names(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
        elif isinstance(node, ast.Import):
            module = None
        else:
            continue
        yield from _names_of_this_package(module, [alias.name for alias in node.names])


def _names_of_this_package(module: str | None, names: list[str]) -> Iterator[str]:
    """Yield what could be modules among names imported from a module, or imported as such."""
    if module is None:
        # the face finds its names when asked, so that importing it is not importing what stands behind it
        yield from (name for name in names if name.startswith(f"{_ROOT}."))
    elif module.partition(".")[0] == _ROOT:
        yield module
        yield from (f"{module}.{name}" for name in names)


def _closure(modules: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or (path := _files().get(name)) is None:
            continue
        found[name] = path.read_bytes()
        waiting += imported_names(found[name])
    return found


@cache
def _files() -> dict[str, Path]:
    """Find the source files of all modules of this package by name, without importing any."""
    top = Path(str(files(_ROOT)))
    found: dict[str, Path] = {}
    for path in top.rglob("*.py"):
        inner = path.relative_to(top).with_suffix("").parts
        found[".".join((_ROOT, *(inner[:-1] if inner[-1] == "__init__" else inner)))] = path
    return found
