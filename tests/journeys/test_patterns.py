"""No regular expression of the package takes long on text made against it: a table's cell, a header, a form's field."""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import medloupe
from pumping import attacks

PACKAGE = Path(medloupe.__file__).parent
LENGTHS = (250, 500, 1_000, 2_000, 4_000)
QUICK = 0.004
"""Seconds within which growth does not matter."""
GROWTH = 9.0  # of four times the length; linear is 4, quadratic 16
_CALLS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
_TRUSTED = {
    # A pattern that the person at the command line gives, for files of their own.
    ("medloupe.data.readers.base", "compile_patient_pattern"),
    # Asked of the package's own modules.
    ("medloupe.utils.sourcecode", ""),
}


@dataclass(frozen=True)
class Use:
    """One expression, and how it is asked. calls: names of re's functions."""

    where: str
    pattern: str | bytes
    flags: int
    calls: frozenset[str]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(("medloupe", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        yield name, ast.parse(path.read_text("utf-8"))


def in_functions(tree: ast.AST, function: str = "") -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(tree):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield inside, child
        yield from in_functions(child, inside)


class Escaped(ast.NodeTransformer):
    """Puts a word where a pattern takes one in by re.escape."""

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        return ast.Constant("word") if ast.unparse(node.value).startswith("re.escape(") else node


def evaluate(node: ast.AST, module: str) -> Any:
    """The value of an expression of constants and of names of the module."""
    node = ast.fix_missing_locations(Escaped().visit(node))
    return eval(
        compile(ast.Expression(node), module, "eval"),  # type: ignore[arg-type]
        {**vars(importlib.import_module(module)), "re": re},
    )


def uses() -> tuple[list[Use], list[str]]:
    """All expressions of the package, and the places where one cannot be told from the source."""
    found: list[Use] = []
    unknown: list[str] = []
    asked: dict[str, set[str]] = {}
    parsed = list(modules())
    for _, tree in parsed:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _CALLS:
                owner = node.value
                if isinstance(owner, ast.Name | ast.Attribute):
                    asked.setdefault(owner.id if isinstance(owner, ast.Name) else owner.attr, set()).add(node.attr)
    for module, tree in parsed:
        names = {
            id(node.value): target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        names |= {id(k.value): k.arg for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg}
        others = {  # through variables of loops over tables of patterns
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in ("match", "fullmatch", "search")
            if isinstance(node.value, ast.Name) and node.value.id != "re" and node.value.id not in names.values()
        }
        for function, node in in_functions(tree):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            of_re = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re"
            if of_re and called.attr in _CALLS | {"compile"}:
                argument = node.args[0]
                calls = {called.attr}
                if called.attr == "compile":
                    calls = asked.get(names.get(id(node), ""), set()) or others or {"match", "fullmatch", "search"}
                flags = [a for a in node.args[1:] if re.fullmatch(r"re\.[A-Z]+( \| re\.[A-Z]+)*", ast.unparse(a))]
                flags += [k.value for k in node.keywords if k.arg == "flags"]
            else:
                continue  # patterns of pydantic's are Rust's, which do not backtrack
            where = f"{module}:{node.lineno}"
            if (module, function) in _TRUSTED:
                continue
            try:
                pattern = evaluate(argument, module)
                given = int(evaluate(flags[0], module)) if flags else 0
            except Exception:  # made of local names
                unknown.append(f"{where} {ast.unparse(argument)}")
            else:
                found.append(Use(where, pattern, given, frozenset(calls)))
    return found, unknown


USES, UNKNOWN = uses()


def seconds(compiled: re.Pattern[Any], call: str, text: str | bytes) -> float:
    arguments = (b"" if isinstance(text, bytes) else "", text) if call in ("sub", "subn") else (text,)
    started = time.process_time()
    made = getattr(compiled, call)(*arguments)
    if call == "finditer":
        list(made)
    return time.process_time() - started


def test_every_expression_can_be_told_from_the_source():
    assert len(USES) > 80
    assert not UNKNOWN, "make these of constants, so that they can be timed"


def texts(use: Use) -> Iterator[tuple[str | bytes, ...]]:
    """The same text at each of LENGTHS."""
    pattern = use.pattern.decode("latin-1") if isinstance(use.pattern, bytes) else use.pattern
    for row in zip(*(attacks(pattern, use.flags, length) for length in LENGTHS), strict=False):
        yield row if isinstance(use.pattern, str) else tuple(text.encode("latin-1", "replace") for text in row)


@pytest.mark.parametrize("use", USES, ids=lambda use: use.where)
def test_time_grows_with_the_length(use: Use):
    compiled = re.compile(use.pattern, use.flags)
    for row in texts(use):
        for call in sorted(use.calls):
            known: list[float] = []
            for text in row:  # the shortest first, so that one that grows with the cube ends here
                took = seconds(compiled, call, text)
                quarter = known[-2] if len(known) > 1 else 0.0
                for _ in range(5 if took > max(QUICK, GROWTH * quarter) else 0):  # the machine may be busy
                    took = min(took, seconds(compiled, call, text))
                if took > QUICK:
                    assert took <= GROWTH * quarter, (
                        f"{use.pattern!r}.{call} takes {1000 * took:.1f} ms for {len(text):,} characters and "
                        f"{1000 * quarter:.1f} for a quarter of them: {text[:20]!r} … {text[-20:]!r}"
                    )
                known.append(took)
