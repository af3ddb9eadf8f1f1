"""Write the pages of the Python reference: the face of the package, and one page for each package that others build on.

What `import medloupe` offers is asked of it. What of each package others may count on stands in FACES, unless the
package says so itself in `__all__`; each name is imported, so that one which has moved ends the build. What is said of
it comes from its docstring, through mkdocstrings, once: where `import medloupe` offers it, its package refers to there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = "medloupe"
FACES = {  # as data flows: package → modules with the names in them
    "data": {
        "reading": ("read",),
        "records": ("Dataset", "Record", "Box"),
        "scan": ("scan",),
        "split": ("plan", "Plan"),
    },
    "ecg": {"signal": ("Signal",), "files": ("read_ecg",), "beats": ("r_peaks", "rhythm", "cut")},
    "imaging": {"decode": ("load",)},
    "embed": {"registry": ("backbone",), "backbone": ("Backbone", "BackboneCard"), "features": ("embed", "Features")},
    "model": {"bundle": ("Model",), "head": ("Head",), "prediction": ("Prediction", "Refusal", "Influence")},
    "modelfile": {"reader": ("load",), "writer": ("save", "write_onnx"), "card": ("read_card",)},
    "store": {"models": ("Store", "VersionInfo")},
    "inference": {"predictors": ("predictor",), "find": ("find_model",), "pictures": ("Predictor", "AutoPredictor")},
    "training": {
        "pipeline.run": ("train",),
        "options": ("Options",),
        "adapt.run": ("adapt", "Adapted"),
        "compress.run": ("compress", "Compressed"),
    },
    "evaluation": {
        "external": ("validate", "Validation"),
        "stress": ("stress", "Stressed"),
        "compare": ("compare_runs",),
    },
    "report": {"pages": ("render", "render_comparison", "render_adaptation", "render_stress")},
    "serving": {"app": ("create_app",), "server": ("serve",)},
    "errors": {},  # all of its classes
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
    return [face(ROOT), *(face(f"{ROOT}.{package}") for package in FACES)]


def face(package: str) -> Face:
    """Find what a package offers: what it says itself, else what FACES says. ImportError or AttributeError for a name
    that is not there."""
    module = importlib.import_module(package)
    if public := [name for name in getattr(module, "__all__", ()) if not name.startswith("_")]:
        found = {name: _defined(getattr(module, name), package, name) for name in public}
    elif modules := FACES[package.removeprefix(f"{ROOT}.")]:
        inner = (
            (importlib.import_module(f"{package}.{home}"), name) for home, names in modules.items() for name in names
        )
        found = {name: _defined(getattr(home, name), home.__name__, name) for home, name in inner}
    else:
        own = (name for name, value in vars(module).items() if getattr(value, "__module__", "") == package)
        found = {name: f"{package}.{name}" for name in own if not name.startswith("_")}
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
