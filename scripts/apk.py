"""Build the Android package: the app that answers on the device, with chosen check-ups inside, in one signed APK.

    python scripts/apk.py --key my.keystore [--checkups pneumonia,skin] [--out medloupe.apk]

Debian's tools do it: apt-get install aapt zipalign apksigner libsmali-java android-framework-res, and a Java runtime.
The key is the user's own and stays theirs; only packages signed by the same key replace each other on a phone:

    keytool -genkeypair -keystore my.keystore -alias medloupe -keyalg RSA -keysize 3072 -validity 10000

Its password is asked for by apksigner, or read from the environment variable MEDLOUPE_KEY_PASSWORD. More is in
docs/android.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from medloupe.errors import MedloupeError
from medloupe.ondevice.folder import write_folder
from medloupe.ondevice.icons import draw_icon
from medloupe.ondevice.release import TYPES, Release
from medloupe.version import __version__

ROOT = Path(__file__).resolve().parents[1] / "deploy" / "android"
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
JARS = tuple(
    Path("/usr/share/java") / f"{name}.jar"
    for name in ("smali", "smali-util", "dexlib2", "antlr3-runtime", "guava", "jcommander", "stringtemplate")
)
TOOLS = ("aapt", "zipalign", "apksigner", "java")
LEAST_SDK = 24  # Android 7: its WebView is updated by itself, and knows WebAssembly with SIMD and modules
TARGET_SDK = 29
PASSWORD = "MEDLOUPE_KEY_PASSWORD"
DENSITIES = {"mdpi": 48, "hdpi": 72, "xhdpi": 96, "xxhdpi": 144, "xxxhdpi": 192}


def missing_tools() -> list[str]:
    """List what is not installed of what builds a package."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    lacking += [str(path) for path in (FRAMEWORK, *JARS[:3]) if not path.is_file()]
    return lacking


def build_apk(release: Release, key: Path, out: Path, *, alias: str = "") -> None:
    """Build and sign the package of a release.

    Parameters
    ----------
    release : Release
        One without a server behind it.
    key : Path
        A keystore, whose password lies in the environment or is asked for.
    out : Path
        The package.
    alias : str
        Which key of the store; needed where it has several.

    Raises
    ------
    MedloupeError
        A tool is missing or fails, naming it and what it said.
    """
    if lacking := missing_tools():
        raise MedloupeError(
            f"Not installed: {', '.join(lacking)}.",
            "apt-get install aapt zipalign apksigner libsmali-java android-framework-res default-jre-headless",
        )
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write_folder(release, folder / "assets" / "web")
        _write_resources(folder / "res")
        _assemble(folder)
        loose, aligned = folder / "loose.apk", folder / "aligned.apk"
        command = ["aapt", "package", "-f", "-M", str(ROOT / "AndroidManifest.xml"), "-S", str(folder / "res")]
        command += ["-A", str(folder / "assets"), "-I", str(FRAMEWORK), "-F", str(loose)]
        command += ["--min-sdk-version", str(LEAST_SDK), "--target-sdk-version", str(TARGET_SDK)]
        command += ["--version-code", str(version_code(__version__)), "--version-name", __version__]
        _run(command)
        _run(["aapt", "add", str(loose), "classes.dex"], folder)
        _run(["zipalign", "-f", "4", str(loose), str(aligned)])
        command = ["apksigner", "sign", "--ks", str(key), "--out", str(out)]
        command += ["--ks-key-alias", alias] if alias else []
        command += ["--ks-pass", f"env:{PASSWORD}"] if os.environ.get(PASSWORD) else []
        _run([*command, str(aligned)])
        out.with_suffix(".apk.idsig").unlink(missing_ok=True)


def version_code(version: str) -> int:
    """Number a version so that later ones are larger: 1.2.3 is 1002003."""
    parts = [int("".join(c for c in part if c.isdigit()) or 0) for part in version.split(".")[:3]]
    major, minor, patch = [*parts, 0, 0, 0][:3]
    return max(1, 1_000_000 * major + 1_000 * minor + patch)


def _write_resources(folder: Path) -> None:
    shutil.copytree(ROOT / "res", folder)
    for density, side in DENSITIES.items():
        (folder / f"drawable-{density}").mkdir()
        (folder / f"drawable-{density}" / "icon.png").write_bytes(draw_icon(side))


def _assemble(folder: Path) -> None:
    """Turn the classes into classes.dex; what types files have is told by `release.TYPES`."""
    sources = folder / "smali"
    sources.mkdir()
    lines = []
    for i, text in enumerate(word for pair in TYPES.items() for word in pair):
        lines += [f"    const/16 v0, {i:#x}", f'    const-string v1, "{text}"', "    aput-object v1, p0, v0"]
    for source in sorted((ROOT / "smali").glob("*.smali")):
        text = source.read_text("utf-8").replace("@@TYPES@@", "\n".join(lines))
        (sources / source.name).write_text(text.replace("@@COUNT@@", f"{2 * len(TYPES):#x}"), "utf-8")
    path = ":".join(str(jar) for jar in JARS if jar.is_file())
    command = ["java", "-cp", path, "org.jf.smali.Main", "assemble", "--api", str(LEAST_SDK)]
    _run([*command, "-o", str(folder / "classes.dex"), str(sources)])


def _run(command: Sequence[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise MedloupeError(f"{command[0]} {command[1]} failed:\n{done.stdout[-2000:]}", "Look at what it says.")


def main() -> None:
    """Build the package that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--alias", default="")
    parser.add_argument("--checkups", default="", help="names with commas; all that a browser answers where left out")
    parser.add_argument("--out", type=Path, default=Path("medloupe.apk"))
    asked = parser.parse_args()
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.web.device import build_device_release
    from medloupe.starter.shipped import EVERYDAY, list_shipped, load_shipped

    names = [n for n in asked.checkups.split(",") if n] or [n for n in list_shipped() if n != EVERYDAY]
    try:
        build_apk(
            build_device_release([CheckUp.of(load_shipped(n)) for n in names], server=False),
            asked.key,
            asked.out,
            alias=asked.alias,
        )
    except MedloupeError as e:
        sys.exit(str(e))
    print(f"{asked.out}: {asked.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
