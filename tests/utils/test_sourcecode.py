"""What was computed is named by the code that computed it: by all of it, and by nothing else."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from medloupe.training.pipeline.outcome import _COMPUTES
from medloupe.utils.sourcecode import imported_by, imported_names, source_digest
from places import ROOT

PRINT = "import sys; from medloupe.utils.sourcecode import source_digest as d; print(d(sys.argv[1]))"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's source, to be changed."""
    place = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__", "*.onnx", "*.npz"))
    return place / "src"


def digest(source: Path, module: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", PRINT, module]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def changes(source: Path, module: str, file: str) -> bool:
    """Whether one more byte in a file gives an outcome another name."""
    path = source / "medloupe" / file
    before, text = digest(source, module), path.read_bytes()
    try:
        path.write_bytes(text + b"#")
        return digest(source, module) != before
    finally:
        path.write_bytes(text)


def module_file(name: str) -> str:
    return "/".join(name.split(".")[1:]) + ".py"


@pytest.mark.parametrize(
    "name",
    ["medloupe.training.heads.solver", "medloupe.metrics.weighted", "medloupe.imaging.decode", "medloupe.data.records"],
)
def test_a_changed_byte_in_what_computes_changes_the_name(copy: Path, name: str) -> None:
    assert name in imported_by(_COMPUTES)
    assert changes(copy, _COMPUTES, module_file(name))


@pytest.mark.parametrize("name", ["medloupe.cli.users", "medloupe.serving.app", "medloupe.accounts.people"])
def test_a_changed_byte_elsewhere_does_not(copy: Path, name: str) -> None:
    assert (copy / "medloupe" / module_file(name)).is_file()
    assert not changes(copy, _COMPUTES, module_file(name))


def test_the_same_source_has_the_same_name(copy: Path) -> None:
    assert digest(copy, _COMPUTES).strip() == source_digest(_COMPUTES)


def test_what_is_imported_later_counts_and_what_only_types_need_too() -> None:
    """`head` is imported inside a function of `tuned`, by way of `search`."""
    assert {
        "medloupe.training.pipeline.finetuning",
        "medloupe.training.tune.search",
        "medloupe.training.heads.fit",
    } <= imported_by("medloupe.training.pipeline.finetuning")
    assert imported_by("medloupe.errors") == {"medloupe.errors"}


def names_by_ast(source: str) -> set[str]:
    """What `imported_names` should find, by the parser alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level and f"{node.module}.".startswith("medloupe."):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("medloupe.")}
    return found


def test_imports_found_by_their_form_are_those_that_the_parser_finds() -> None:
    sources = sorted((ROOT / "src").rglob("*.py"))
    assert len(sources) > 100
    for path in sources:
        assert imported_names(path.read_bytes()) == names_by_ast(path.read_text("utf-8")), path


@pytest.mark.parametrize(
    "source",
    [
        "from medloupe.a import b",
        "if x:\n    from medloupe.a import b as c, d  # why",
        "from medloupe.a import (\n    b,\n    c as d,\n)",
        "from medloupe.a import (  # import (these)\n    b,  # one)\n    c,\n)",
        "from medloupe.a import b, \\\n    c",
        "x = 1; from medloupe.a import b",
        "import os; import medloupe.a",
        "if x: import medloupe.a, os as system",
        "import os, medloupe.a as b, medloupe",
        "from medloupe.a import *",
        "from medloupe import a",
        "from . import a\nfrom .a import b\nfrom os import path",
        "from medlouper.a import b\nimport medlouper.a",
        "def f():\n\tfrom medloupe.a import b",
        "'''A text:\nto import (from elsewhere)\n'''\nfrom medloupe.a import b",
        "from medloupe.a import b\r\nfrom medloupe.c import d\r\n",
        "from medloupe.ä import ö",
        "from\\\n medloupe.a import b",
        "",
    ],
)
def test_imports_in_any_form_are_found(source: str) -> None:
    assert imported_names(source.encode()) == names_by_ast(source)
