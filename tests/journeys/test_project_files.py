"""What surrounds the code: workflows, Makefile, constraints, citation, templates, and what the guides say of them."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import medloupe

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
GUIDES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/install.md", "docs/deploy.md")


def of_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    """Every step of a workflow's jobs."""
    for job in of_yaml(path)["jobs"].values():
        yield from job["steps"]


def make_targets(text: str) -> set[str]:
    """The targets that a guide's commands ask make for."""
    return set(re.findall(r"(?:^    |`)make ([a-z][a-z-]*)", text, re.MULTILINE))


# ---------------------------------------------------------------- workflows and templates


@pytest.mark.parametrize(
    ("schema", "pattern", "least"),
    [
        ("github-workflows", "workflows/*.yml", 2),
        ("dependabot", "dependabot.yml", 1),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml", 3),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml", 1),
        ("citation-file-format", "../CITATION.cff", 1),
    ],
)
def test_files_of_the_code_host_are_as_its_schemas_say(schema: str, pattern: str, least: int) -> None:
    files = sorted(map(str, GITHUB.glob(pattern))) if ".." not in pattern else [str(ROOT / "CITATION.cff")]
    assert len(files) >= least
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_only_for_what_is_there(path: Path) -> None:
    """Targets of make, scripts of the repository, and actions by their major version."""
    workflow = of_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}  # more only where a job says so
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    said = "\n".join(step.get("run", "") for step in steps(path))
    assert {line.split()[1] for line in said.splitlines() if line.startswith("make ")} <= TARGETS
    for script in re.findall(r"python (\S+\.py)", said):
        assert (ROOT / script).is_file(), script
    for action in (step["uses"] for step in steps(path) if "uses" in step):
        assert re.fullmatch(r"[\w-]+/[\w/-]+@v\d+", action), action


def test_the_workflows_do_what_is_promised() -> None:
    jobs = of_yaml(GITHUB / "workflows" / "ci.yml")["jobs"]
    said = {name: "\n".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    for target in ("check", "test", "release", "docs"):
        assert any(f"make {target}" in run.splitlines() for run in said.values()), target
    assert "docker build" in said["image"]
    assert jobs["systems"]["strategy"]["matrix"]["os"] == ["windows-latest", "macos-latest"]
    quick = re.search(r"^check:.*\n\t\$\(BIN\)/(python -m pytest .*)$", MAKEFILE, re.MULTILINE)
    assert quick and quick[1].replace("$(IN_PARALLEL) ", "") in said["systems"]  # the same tests as `make check`


# ---------------------------------------------------------------- make


def test_guides_name_only_targets_that_exist_and_contributing_names_all() -> None:
    for guide in GUIDES:
        assert make_targets((ROOT / guide).read_text("utf-8")) <= TARGETS, guide
    assert make_targets((ROOT / "CONTRIBUTING.md").read_text("utf-8")) == TARGETS


def test_every_target_is_phony_and_runs_files_that_are_there() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony and set(phony[1].split()) == TARGETS
    for script in re.findall(r"python (\S+\.py)", MAKEFILE):
        assert (ROOT / script).is_file(), script


def installs(target: str) -> str:
    """What make would install for a target in a fresh checkout."""
    command = ["make", "--dry-run", "--always-make", "VENV=.none", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if "pip" in line)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_first_minutes_are_light() -> None:
    """To answer and to train, none of the tools of development are installed; to test, all."""
    for light in ("serve", "demo"):
        assert "--editable '.[ecg]'" in installs(light)
        assert "[dev]" not in installs(light)
    for heavy in ("check", "test", "docs", "release", "format"):
        assert "--editable '.[dev]'" in installs(heavy)
    assert all("--constraint constraints.txt" in line for line in installs("test").splitlines())


# ---------------------------------------------------------------- versions

CONSTRAINTS = {
    canonicalize_name(found.name): found
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for found in [Requirement(line)]
}


def direct() -> list[Requirement]:
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [found for rows in lists for row in rows if (found := Requirement(row)).name != "medloupe"]


def test_constraints_satisfy_and_cover_every_requirement() -> None:
    """An exact version for each, within the range that pyproject.toml gives, and without local parts."""
    assert len(direct()) > 30
    assert sorted({found.name for found in direct() if canonicalize_name(found.name) not in CONSTRAINTS}) == []
    for found in CONSTRAINTS.values():
        assert re.fullmatch(r"==[\w.]+", str(found.specifier)), found
    for found in direct():
        (pin,) = CONSTRAINTS[canonicalize_name(found.name)].specifier
        assert found.specifier.contains(pin.version, prereleases=True), f"{found} is not met by {pin}"


def test_constraints_follow_requirements_of_requirements(tmp_path: Path) -> None:
    """As the script finds them here: what wfdb needs is there, what nobody needs is not, and pip can read them."""
    script = runpy.run_path(str(ROOT / "scripts" / "constraints.py"))
    found = dict(script["installed"]([Requirement("wfdb>=4")]))
    assert {"wfdb", "pandas", "scipy", "numpy"} <= set(found)
    assert "onnxruntime" not in found and "black" not in found  # another's, and one of an extra nobody asked for
    assert "uvloop" in dict(script["installed"]([Requirement("uvloop; sys_platform == 'linux'")]))
    assert dict(script["installed"]([Requirement("uvloop; sys_platform == 'win32'")])) == {}
    assert dict(script["installed"]([Requirement("not-installed-anywhere")])) == {}


def test_the_citation_is_of_this_version() -> None:
    citation = of_yaml(ROOT / "CITATION.cff")
    assert citation["version"] == medloupe.__version__ == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]


def test_documented_extras_exist() -> None:
    extras = set(PROJECT["optional-dependencies"])
    for guide in GUIDES:
        text = (ROOT / guide).read_text("utf-8")
        named = re.findall(r"(?:medloupe|\.|whl)\[([a-z0-9,]+)\]", text)
        assert {extra for group in named for extra in group.split(",")} <= extras, guide


def test_hooks_before_a_commit_are_the_lint_of_make() -> None:
    """What `make lint` runs, pre-commit runs."""
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    hooks = {
        hook["entry"].split()[0]
        for repo in of_yaml(ROOT / ".pre-commit-config.yaml")["repos"]
        for hook in repo["hooks"]
    }
    assert lint
    assert {f".venv/bin/{name}" for name in re.findall(r"\$\(BIN\)/([\w-]+)", lint[1])} == hooks


# ---------------------------------------------------------------- scripts of the shell


def shell_scripts() -> list[Path]:
    """All tracked files that a shell runs."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    files = [ROOT / name for name in tracked if name and (ROOT / name).is_file()]
    return [path for path in files if re.match(rb"#!(/bin/sh|/usr/bin/env bash|/bin/bash)", path.read_bytes()[:40])]


def test_shell_scripts_are_clean() -> None:
    assert len(shell_scripts()) >= 4
    command = ["shellcheck", *map(str, shell_scripts())]
    there = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([str(there), *command[1:]], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
