"""Write the pages of the Python reference: one for each public face, a directive for each name that stands in it.

A face is the package itself or one of its packages (or modules) whose `__all__` says what others may use. It is
imported to ask where each name is defined, as faces find their names when asked; what is said of them comes from the
docstrings, through mkdocstrings.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = "medloupe"
ORDER = (  # as data flows
    *(
        "data",
        "ecg",
        "imaging",
        "embed",
        "model",
        "modelfile",
        "store",
        "inference",
        "training",
        "evaluation",
        "report",
    ),
    *("serving", "errors"),
)


@dataclass(frozen=True, slots=True)
class Face:
    """A package with its public names: name → where it is defined, both dotted."""

    package: str
    says: str
    names: dict[str, str]

    @property
    def title(self) -> str:
        """The heading of its page."""
        return self.package

    @property
    def page(self) -> str:
        """The path of its page under docs/."""
        return f"python/{self.package.replace('.', '-')}.md"


def faces(root: str = ROOT) -> list[Face]:
    """Find the package's faces: itself first, then its packages in the order of the flow, others by name."""
    package = importlib.import_module(root)
    there = [found for found in pkgutil.iter_modules(package.__path__) if found.ispkg or found.name in ORDER]
    inner = [f"{root}.{found.name}" for found in there]
    rank = {f"{root}.{name}": place for place, name in enumerate(ORDER)}
    told = [face(root), *(face(name) for name in sorted(inner, key=lambda name: (rank.get(name, len(rank)), name)))]
    return [found for found in told if found.names]


def face(name: str) -> Face:
    """Read the face of one package or module; without names where it has no `__all__`."""
    module = importlib.import_module(name)
    public = [one for one in getattr(module, "__all__", ()) if not one.startswith("_")]
    return Face(name, (module.__doc__ or "").strip(), {one: _defined(module, one) for one in public})


def _defined(module: object, name: str) -> str:
    """Tell where a public name is defined, dotted; a constant counts as defined in the face."""
    value = getattr(module, name)
    home, inside = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{home}.{inside}" if home and inside else f"{getattr(module, '__name__', ROOT)}.{name}"


def write(found: list[Face], docs: Path) -> None:
    """Write a page for each face, and python/index.md with all names."""
    (docs / "python").mkdir(parents=True, exist_ok=True)
    for one in found:
        directives = "\n\n".join(f"::: {defined}" for defined in one.names.values())
        (docs / one.page).write_text(f"# {one.title}\n\n{_paragraphs(one.says)}\n\n{directives}\n", "utf-8")
    (docs / "python" / "index.md").write_text("".join(_index(found)), "utf-8")


def _paragraphs(docstring: str) -> str:
    """Make a module's docstring Markdown: blocks that are set in by four blanks are code there, too."""
    return docstring.replace("::\n", ":\n")


def _index(found: list[Face]) -> Iterator[str]:
    yield "# Python\n\nWhat each package offers to others. `import medloupe` is enough for most work; the packages "
    yield "below it are for those who build on a part.\n\n| package | for | names |\n|---|---|---|\n"
    for one in found:
        first = " ".join(one.says.split("\n\n")[0].split()).replace("|", "\\|")
        names = ", ".join(f"[`{name}`][{defined}]" for name, defined in one.names.items())
        yield f"| [{one.title}]({one.page.removeprefix('python/')}) | {first} | {names} |\n"
