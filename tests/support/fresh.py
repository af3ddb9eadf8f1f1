"""What a program loads, seen in a fresh Python."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

SAY = "import atexit, sys; atexit.register(lambda: print('loaded', *sorted(sys.modules)))\n"


def named(modules: Iterable[str]) -> tuple[str, ...]:
    """The names as they are, each of a module that exists: that one that is gone is not loaded proves nothing."""
    names = tuple(modules)
    for name in names:
        assert find_spec(name) is not None, f"there is no module {name}: mend the list"
    return names


def loaded(output: str, modules: Iterable[str]) -> list[str]:
    """Which of the modules, or of modules in them, a program had loaded in the end. output: of SAY + program."""
    said, _, everything = output.rpartition("\n")[0].rpartition("\n")[2].partition(" ") if output else ("", "", "")
    assert said == "loaded", output
    wanted = named(modules)
    return [m for m in everything.split() if any(m == w or m.startswith(f"{w}.") for w in wanted)]
