"""The house as the documentation tells it: paths exist, every module is listed, sizes and layers hold."""

from __future__ import annotations

import ast
import importlib.util
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from places import ROOT, TESTS

PACKAGE = ROOT / "src" / "medloupe"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "migrations" not in p.parts)
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_path_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py|(?:[a-z_]+/)+)`", PAGE))
    assert len(named) > 50
    homes = (PACKAGE, ROOT, PACKAGE / "serving" / "web")
    assert sorted(n for n in named if not any((home / n).exists() for home in homes)) == []


def test_every_noun_is_defined_where_the_page_says() -> None:
    rows = re.findall(r"^\| (`[A-Z].*?`) \| (`.*?`) \|", PAGE, re.M)
    assert len(rows) > 12
    for names, places in rows:
        text = "".join((PACKAGE / place).read_text("utf-8") for place in re.findall(r"`([^`]+\.py)`", places))
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^class {name}\b", text, re.M), (name, places)


def test_the_list_of_modules_is_up_to_date() -> None:
    assert (ROOT / "docs" / "modules.md").read_text("utf-8") == script("modules_page").page(), (
        "run python scripts/modules_page.py"
    )


def test_every_package_stands_in_the_contract_and_on_the_page() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = {name.strip() for layer in contracts[0]["layers"] for name in layer.split("|")}
    there = {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert there <= layers
    for name in there:
        assert re.search(rf"`{name}`", PAGE), name


def test_only_the_model_asks_the_face() -> None:
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            plain = isinstance(node, ast.Import) and any(a.name == "medloupe" for a in node.names)
            taken = (
                isinstance(node, ast.ImportFrom)
                and node.module == "medloupe"
                and any(not (PACKAGE / f"{a.name}.py").exists() for a in node.names)
            )
            relative = isinstance(node, ast.ImportFrom) and node.level
            if plain or taken or relative:
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"model/bundle.py"}


def test_no_private_name_crosses_modules() -> None:
    found = [
        (path.relative_to(PACKAGE).as_posix(), alias.name)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medloupe")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert found == []


def test_modules_are_small() -> None:
    lines = {p: len(p.read_text("utf-8").splitlines()) for p in MODULES}
    assert [p for p, n in lines.items() if n > 350] == []
    assert statistics.median(lines.values()) < 180


def test_no_class_name_stands_in_two_modules() -> None:
    seen: dict[str, Path] = {}
    for path in MODULES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                assert node.name not in seen, (node.name, path, seen[node.name])
                seen[node.name] = path


def test_tests_lie_where_their_modules_lie() -> None:
    """tests/PACKAGE/test_MODULE.py: a folder of tests is a package of that name."""
    folders = {p.parent.relative_to(TESTS) for p in TESTS.rglob("test_*.py")}
    assert [f for f in folders if f.parts and f.parts[0] != "journeys" and not (PACKAGE / f).is_dir()] == []


@pytest.mark.slow
def test_the_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
