"""Write constraints.txt: the exact versions of everything medloupe needs, as they are in this environment.

python scripts/constraints.py constraints.txt

Starts from the requirements in pyproject.toml with those of every extra, and follows what each installed package
requires. Packages that are here for another reason are left out. `pip install -c constraints.txt .` then installs the
versions that the tests ran with.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
OWN = "medloupe"
HEADER = """\
# Versions with which the tests passed: pip install -c constraints.txt . Made by `make constraints`; not to be edited.
# Packages needed on other systems only (Windows, macOS, CUDA) are not named, so pip takes the newest of those.
"""


def direct(pyproject: Path) -> list[Requirement]:
    """Read the requirements of the package and of all its extras, without those on itself."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return [found for rows in lists for row in rows if (found := Requirement(row)).name != OWN]


def installed(requirements: Iterable[Requirement]) -> Iterator[tuple[str, str]]:
    """Follow requirements through this environment: name and version of each package, without local parts (+cpu).

    Optional ones that are not installed are passed over; a direct one of these is an error of its caller.
    """
    waiting = [(found.name, frozenset(found.extras)) for found in requirements if _applies(found, frozenset())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name := canonicalize_name(name), extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        yield name, Version(found.version).public
        for row in found.requires or ():
            needed = Requirement(row)
            if _applies(needed, extras):
                waiting.append((needed.name, frozenset(needed.extras)))


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Tell whether this system and these extras of its owner need a requirement."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})


def _exact(requirement: Requirement) -> bool:
    """Tell whether a requirement names one version already, as those of the larger backbones do."""
    return str(requirement.specifier).startswith("==")


def main() -> None:
    """Write the file; fail where a requirement of pyproject.toml is not installed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    wanted = [found for found in direct(ROOT / "pyproject.toml") if _applies(found, frozenset())]
    pinned = [found for found in wanted if _exact(found)]
    exact = {canonicalize_name(found.name): Version(str(found.specifier)[2:]).public for found in pinned}
    versions = {**exact, **dict(installed(wanted))}
    if absent := sorted({found.name for found in wanted if canonicalize_name(found.name) not in versions}):
        raise SystemExit(f"Not installed here, so untested: {', '.join(absent)}. pip install -e '.[dev]' first.")
    out.write_text(HEADER + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions)), "utf-8")
    print(f"{out}: {len(versions)} packages")


if __name__ == "__main__":
    main()
