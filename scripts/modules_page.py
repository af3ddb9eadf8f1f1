"""Write docs/modules.md: every module with its task, as its own first line says it.

python scripts/modules_page.py [--check]
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "medloupe"
PAGE = ROOT / "docs" / "modules.md"
# from the ground up, as in architecture.md
ORDER = (
    *(
        "utils",
        "words",
        "jobs",
        "graphs",
        "imaging",
        "ecg",
        "data",
        "metrics",
        "embed",
        "inputs",
        "report",
        "model",
        "modelfile",
        "starter",
    ),
    *("store", "accounts", "inference", "facilities", "erasure", "ondevice", "training", "evaluation", "scoring"),
    *("serving", "retrain", "watch", "review", "studio", "cli"),
)


def task(path: Path) -> str:
    """The first paragraph of a module's docstring, on one line, as Markdown."""
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|").replace("<", "&lt;")


def folders() -> list[Path]:
    """Packages in the order of the flow, each before those inside it."""
    found = [p.parent for p in PACKAGE.rglob("__init__.py") if "migrations" not in p.parts and p.parent != PACKAGE]
    return sorted(found, key=lambda p: (ORDER.index(p.relative_to(PACKAGE).parts[0]), p.relative_to(PACKAGE).parts))


def page() -> str:
    """The page as Markdown."""
    lines = [
        "# Modules",
        "",
        "Every module with its task, made from the modules by `python scripts/modules_page.py`."
        " What the packages are for and who may import whom: [architecture.md](architecture.md).",
        "",
        "## medloupe",
        "",
        *_table(PACKAGE),
    ]
    for folder in folders():
        name = folder.relative_to(PACKAGE).as_posix()
        lines += ["", f"{'#' * (1 + len(Path(name).parts) + (len(Path(name).parts) < 2))} {name}", ""]
        lines += [task(folder / "__init__.py"), "", *_table(folder)]
    return "\n".join(lines) + "\n"


def _table(folder: Path) -> list[str]:
    modules = sorted(p for p in folder.glob("*.py") if p.name != "__init__.py")
    if not modules:
        return []
    return ["| module | task |", "|---|---|", *(f"| `{p.stem}` | {task(p)} |" for p in modules)]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            "docs/modules.md is out of date: run python scripts/modules_page.py"
            if PAGE.read_text("utf-8") != page()
            else 0
        )
    PAGE.write_text(page(), "utf-8")
