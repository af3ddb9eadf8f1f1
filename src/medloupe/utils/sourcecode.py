"""Name what was computed by the code that computed it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ROOT = __name__.partition(".")[0]


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


def _closure(modules: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or (path := _file(name)) is None:
            continue
        found[name] = path.read_bytes()
        waiting += _imports(found[name], name)
    return found


@cache
def _file(module: str) -> Path | None:
    """The source file of a module; None where the name is of something in a module."""
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # its parent is a module
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None


def _imports(source: bytes, module: str) -> Iterator[str]:
    """What could be modules of this package among the names that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == _ROOT:
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            # the face finds its names when asked, so that importing it is not importing what stands behind it
            yield from (alias.name for alias in node.names if alias.name.startswith(f"{_ROOT}."))
