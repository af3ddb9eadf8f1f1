"""Build what is published and try it: sdist, wheel, SBOM and the archive with the double-click starters, in dist/.

python scripts/release.py

1. checks that the first wheel holds nothing made from data that are not open (scripts/terms.py); builds sdist and wheel
   of medloupe and of medloupe-research (`python -m build`, the wheel from the sdist), has twine check how they
   describe themselves;
2. installs the wheel with the extra `ecg`, at the tested versions, into an empty environment;
3. runs it there, outside the checkout: the command line, and a shipped check-up on a picture drawn on the spot;
4. writes what that environment holds as a CycloneDX SBOM;
5. packs wheel, constraints and starters into one archive, for those who start medloupe by a double-click.

Uploads nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw

import terms

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
STARTERS = ("start.py", "medloupe-start.sh", "medloupe-start.command", "medloupe-start.bat")
CHECKUP = "malaria"


def main() -> None:
    """Do all of it; stop at the first step that fails."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if breaches := terms.find_breaches():
        raise SystemExit("\n".join(breaches))
    shutil.rmtree(DIST, ignore_errors=True)
    python = sys.executable
    for source in (ROOT, ROOT / "research"):
        run([python, "-m", "build", "--outdir", DIST, source])
    (wheel,), (sdist,) = DIST.glob("medloupe-*.whl"), DIST.glob("medloupe-*.tar.gz")
    more = sorted(DIST.glob("medloupe_research-*"))
    run([python, "-m", "twine", "check", "--strict", wheel, sdist, *more])
    with tempfile.TemporaryDirectory() as temporary:
        there = Path(temporary)
        fresh = install(wheel, there / "empty")
        try_out(fresh, there, version)
        try_research(fresh, next(path for path in more if path.suffix == ".whl"), there)
        sbom = DIST / f"medloupe-{version}.cdx.json"
        write_sbom(fresh, sbom)
    archive = pack(wheel, DIST / f"medloupe-{version}-desktop.zip")
    for path in (sdist, wheel, *more, sbom, archive):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB")


def run(command: list[object], **settings: object) -> str:
    """Run a command, show it, and return what it said; end the release where it fails."""
    print("+", *command, flush=True)
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False, **settings)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nfailed with {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def install(wheel: Path, folder: Path) -> Path:
    """Install the wheel into an empty environment, and return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "install", "--constraint", ROOT / "constraints.txt", f"medloupe[ecg] @ {wheel.as_uri()}"])
    run([*pip, "check"])
    return python


def try_out(python: Path, folder: Path, version: str) -> None:
    """Use what was installed as a person would: outside the checkout, in a home of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MEDLOUPE_"))}
    settings = {"cwd": folder, "env": {**clean, "MEDLOUPE_HOME": str(folder / "home")}}
    medloupe = python.with_name("medloupe.exe" if os.name == "nt" else "medloupe")
    where = run([python, "-c", "import medloupe; print(medloupe.__version__, medloupe.__file__)"], **settings)
    if not where.startswith(f"{version} {python.parents[1]}"):
        raise SystemExit(f"Not the installed {version} was imported: {where}")
    if "serve" not in run([medloupe, "--help"], **settings):
        raise SystemExit("medloupe --help does not name `serve`.")
    draw_cell().save(folder / "cell.png")
    said = json.loads(run([medloupe, "predict", CHECKUP, "cell.png", "--json"], **settings))
    # That a drawing is refused is an answer, too: what counts is that network, head and card are in the wheel and work.
    if said["model"] != CHECKUP or abs(sum(said["probabilities"].values()) - 1) > 1e-3:
        raise SystemExit(f"The check-up {CHECKUP} answered: {said}")
    print(f"{CHECKUP}: {said['prediction'] or 'refused'}, {said['probabilities']}")


def try_research(python: Path, wheel: Path, folder: Path) -> None:
    """Add the second wheel, see that its check-ups are offered, and take it away again."""
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    settings = {"cwd": folder, "env": {**os.environ, "MEDLOUPE_HOME": str(folder / "home")}}
    listed = [python.with_name("medloupe"), "starters", "list", "--json"]

    def names() -> set[str]:
        return {json.loads(line)["name"] for line in run(listed, **settings).splitlines()}

    before = names()
    run([*pip, "install", "--no-deps", wheel])
    added = names() - before
    if added != {path.parent.name for path in terms.RESEARCH.glob("*/card.json")}:
        raise SystemExit(f"With {wheel.name} these check-ups came: {', '.join(sorted(added)) or 'none'}.")
    run([*pip, "uninstall", "--yes", "medloupe-research"])


def draw_cell() -> Image.Image:
    """Draw a round cell with a dark spot."""
    image = Image.new("RGB", (128, 128), "black")
    draw = ImageDraw.Draw(image)
    draw.ellipse((14, 14, 114, 114), fill=(214, 170, 178))
    draw.ellipse((60, 52, 76, 68), fill=(130, 60, 140))
    return image


def write_sbom(python: Path, path: Path) -> None:
    """Write what an environment holds as CycloneDX JSON, medloupe as its root; check that it names what is there."""
    made = ["--output-format", "JSON", "--output-reproducible", "--output-file", path]
    run([sys.executable, "-m", "cyclonedx_py", "environment", python, "--pyproject", ROOT / "pyproject.toml", *made])
    told = json.loads(path.read_text("utf-8"))
    named = {component["name"].lower() for component in told["components"]}
    if told["metadata"]["component"]["name"] != "medloupe" or not {"numpy", "onnxruntime", "scipy"} <= named:
        raise SystemExit(f"{path.name} names only {sorted(named)}")


def pack(wheel: Path, path: Path) -> Path:
    """Pack the starters with the wheel and the tested versions into one archive; those for Unix stay executable."""
    files = [*(ROOT / "deploy" / "desktop" / name for name in STARTERS), wheel, ROOT / "constraints.txt"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, f"medloupe/{file.name}")
    return path


if __name__ == "__main__":
    main()
