"""Write the pages of the Python reference: the face of the package, and one page for each package that others build on.

A face is a package with `__all__`. MORE has what others may also count on: names that a face cannot offer, as a module
beside it has them, and what its functions return. Each name is imported, so that one which has moved ends the build.
What is said of it comes from its docstring, through mkdocstrings, once: what `import medloupe` offers stands there, and
packages refer to it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = "medloupe"
FLOW = (  # the order in which data flows; others follow by name
    *("data", "ecg", "imaging", "embed", "model", "modelfile", "store", "inference", "training", "evaluation"),
    *("report", "serving", "errors"),
)
MORE = {  # package → modules with the names in them
    "data": {"scan": ("scan_dataset",), "split": ("plan_split", "Plan")},
    "ecg": {"beats": ("find_r_peaks", "rhythm_features", "cut_beats")},
    "embed": {"registry": ("backbone",), "backbone": ("BackboneCard",), "features": ("Features",)},
    "model": {"prediction": ("Refusal", "Influence")},
    "modelfile": {"writer": ("save",), "card": ("read_card",)},
    "store": {"models": ("VersionInfo",)},
    "inference": {"pictures": ("Predictor",), "choosing": ("AutoPredictor",)},
    "training": {"adapt.run": ("adapt", "AdaptedModel"), "compress.run": ("compress", "CompressedModel")},
    "evaluation": {"external": ("Validation",), "stress": ("stress", "StressResult")},
}


@dataclass(frozen=True, slots=True)
class Face:
    """A package with its public names: name → where it is defined, both dotted."""

    package: str
    says: str
    names: dict[str, str]

    @property
    def page(self) -> str:
        """The path of its page under docs/."""
        return f"python/{self.package.replace('.', '-')}.md"


def faces() -> list[Face]:
    """Find the faces in the order of the flow, the package's own first."""
    there = [found.name for found in pkgutil.iter_modules(importlib.import_module(ROOT).__path__)]
    ordered = [*FLOW, *sorted(set(there) - set(FLOW))]
    found = [face(ROOT), *(face(f"{ROOT}.{name}") for name in ordered if not name.startswith("_"))]
    return [one for one in found if one.names]


def face(package: str) -> Face:
    """Find what a package offers; of errors.py, all that it defines. ImportError or AttributeError for a name of MORE
    that is not there."""
    module = importlib.import_module(package)
    called = package.removeprefix(f"{ROOT}.")
    names = [name for name in getattr(module, "__all__", ()) if not name.startswith("_")]
    if called == "errors":
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == package]
    found = {name: _defined(getattr(module, name), package, name) for name in names if not name.startswith("_")}
    for home, more in MORE.get(called, {}).items():
        beside = importlib.import_module(f"{package}.{home}")
        found |= {name: _defined(getattr(beside, name), beside.__name__, name) for name in more}
    return Face(package, (module.__doc__ or "").strip(), found)


def _defined(value: object, module: str, name: str) -> str:
    """Tell where a public name is defined, dotted; a constant counts as defined where it was found."""
    home, inside = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{home}.{inside}" if home and inside else f"{module}.{name}"


def write(found: list[Face], docs: Path) -> None:
    """Write a page for each face, and python/index.md with all names."""
    (docs / "python").mkdir(parents=True, exist_ok=True)
    offered = set(found[0].names.values())
    for one in found:
        page = f"# {one.package}\n\n{one.says}\n"
        told = [name for name in one.names if one is not found[0] and one.names[name] in offered]
        if told:
            links = ", ".join(f"[`{name}`][{one.names[name]}]" for name in told)
            page += f"\nOf this package `import {ROOT}` offers {links}.\n"
        page += "".join(f"\n::: {one.names[name]}\n" for name in one.names if name not in told)
        (docs / one.page).write_text(page, "utf-8")
    (docs / "python" / "index.md").write_text("".join(_index(found)), "utf-8")


def _index(found: list[Face]) -> Iterator[str]:
    yield "# Python\n\n`import medloupe` is enough for most work. The packages below it, in the order in which data "
    yield "flows through them, are for those who build on a part.\n\n| package | for | names |\n|---|---|---|\n"
    for one in found:
        first = " ".join(one.says.split("\n\n")[0].split()).removeprefix("medloupe: ").replace("|", "\\|")
        names = ", ".join(f"[`{name}`][{defined}]" for name, defined in one.names.items())
        yield f"| [{one.package}]({one.page.removeprefix('python/')}) | {first[:1].upper()}{first[1:]} | {names} |\n"
