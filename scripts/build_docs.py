"""Build the documentation as a site: the pages of docs/, README and its kin, the notebook, and the Python reference.

python scripts/build_docs.py [--out site] [--pictures new|kept] [--work build]

Pages are gathered in build/docs, as some of them lie elsewhere in the repository; links between them follow, and links
to files that are no pages go to the code host. Pictures: `new` makes them (scripts/docs_pictures.py, which needs a
browser and a minute), in light and dark; `kept` takes those in docs/, which README shows on the code host.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from nbconvert import MarkdownExporter

import docs_reference

ROOT = Path(__file__).resolve().parents[1]
CODE = "https://github.com/medloupe/medloupe/blob/main"
PAGES = {  # where a page lies → its name in the site; those in docs/ keep theirs
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/RESULTS.md": "results.md",
    "docs/three-steps.ipynb": "three-steps.md",
}
ICON = "src/medloupe/serving/web/static/icon.svg"
_LINK = re.compile(r"(?P<image>!?)(?P<text>\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<to>[^)\s]+)\)")
_CODE = re.compile(r"(```.*?^[ ]*```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
_OUTSIDE = re.compile(r"[a-z]+:|#")


def build(out: Path, work: Path, pictures: str) -> None:
    """Gather, write the reference, build. out: the site's folder, made anew."""
    docs = work / "docs"
    for old in (out, docs):
        shutil.rmtree(old, ignore_errors=True)
    (docs / "assets").mkdir(parents=True)
    if pictures == "new":
        from docs_pictures import make_pictures

        make_pictures(docs, ("light", "dark"))
    else:
        for picture in (ROOT / "docs").glob("*.png"):
            shutil.copy(picture, docs)
    shutil.copy(ROOT / ICON, docs / "assets" / "icon.svg")
    shutil.copy(ROOT / "docs" / "site" / "site.css", docs / "assets" / "site.css")
    shutil.copytree(ROOT / "docs" / "site" / "partials", work / "overrides" / "partials", dirs_exist_ok=True)
    gather(docs)
    faces = docs_reference.faces()
    docs_reference.write(faces, docs)
    config = (ROOT / "zensical.toml").read_text("utf-8")
    reference = ", ".join(['"python/index.md"', *(f'{{ "{one.package}" = "{one.page}" }}' for one in faces)])
    for given, here in (
        ('"python/index.md"', reference),
        ('"../src"', f'"{os.path.relpath(ROOT / "src", work)}"'),
    ):
        if given not in config:
            raise SystemExit(f"zensical.toml has no {given} to be filled in.")
        config = config.replace(given, here)
    (work / "zensical.toml").write_text(config, "utf-8")
    zensical = Path(sys.executable).with_name("zensical")
    subprocess.run([zensical, "build", "--clean", "--strict", "--config-file", "zensical.toml"], cwd=work, check=True)
    shutil.move(work / "site", out)


def gather(docs: Path) -> None:
    """Write every page to docs, its links pointing to where their targets lie in the site."""
    places = {page.relative_to(ROOT).as_posix(): page.name for page in (ROOT / "docs").glob("*.md")} | PAGES
    for source, name in places.items():
        path = ROOT / source
        text = notebook(path, docs) if path.suffix == ".ipynb" else path.read_text("utf-8")
        (docs / name).write_text(relinked(text, source, places, docs), "utf-8")


def notebook(path: Path, docs: Path) -> str:
    """Convert a notebook to Markdown; its pictures are written beside."""
    text, resources = MarkdownExporter().from_filename(str(path), {"unique_key": path.stem})
    for name, data in resources["outputs"].items():
        (docs / name).write_bytes(data)
    return text


def relinked(text: str, source: str, places: dict[str, str], docs: Path) -> str:
    """Point the links of a page to the site's pages, or to the code host where the target is none of them.

    source: the page in the repository, from which its links start. Code is left alone.
    """

    def target(found: re.Match[str]) -> str:
        to, _, anchor = found["to"].partition("#")
        if _OUTSIDE.match(found["to"]):
            return found[0]
        there = os.path.normpath(Path(source).parent / to)
        if found["image"] and (docs / (name := Path(there).name)).is_file():
            return _picture(found["text"], name, docs)
        at = places.get(there) or f"{CODE}/{there}"
        return f"{found['image']}{found['text']}({at}{'#' if anchor else ''}{anchor})"

    parts = _CODE.split(text)
    return "".join(part if place % 2 else _LINK.sub(target, part) for place, part in enumerate(parts))


def _picture(text: str, name: str, docs: Path) -> str:
    """Show a picture in the reader's colours, where it was taken in both."""
    dark = name.replace(".png", "-dark.png")
    if not (docs / dark).is_file():
        return f"!{text}({name})"
    return f"!{text}({name}#only-light)!{text}({dark}#only-dark)"


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    parser.add_argument("--pictures", choices=["new", "kept"], default="kept")
    parser.add_argument("--work", type=Path, default=ROOT / "build")
    told = parser.parse_args()
    build(told.out.resolve(), told.work.resolve(), told.pictures)


if __name__ == "__main__":
    main()
