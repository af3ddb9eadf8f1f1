"""Start medloupe on a computer of one's own and open it in the browser; install it first where it is not there.

    python start.py [--port 8000] [--no-browser] [--menu]

The three starters beside this file, one for each system, do nothing but find a Python and run it. Needs the standard
library only. medloupe goes into a folder of its own and nothing else is changed; to be rid of it, delete that folder.
Installed is the wheel that lies beside this file, or the checkout that it is in, with the tested versions of
what it needs (constraints.txt beside either).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
import webbrowser
from pathlib import Path

HERE = Path(__file__).resolve().parent
OLDEST = (3, 11)
PATIENCE = 180.0  # seconds until the server must answer: the first start writes what later ones read
EXTRAS = "[ecg]"


class StartError(Exception):
    """Why it cannot start, and what to do about it."""


def folder() -> Path:
    """Name the folder that medloupe is installed in: the system's own place for a user's programs."""
    if told := os.environ.get("MEDLOUPE_APP"):
        return Path(told)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "medloupe-app"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "medloupe-app"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "medloupe-app"


def source(here: Path) -> tuple[str, Path | None]:
    """Find what to install: a wheel in `here`, or the checkout around it; and its constraints, if any."""
    wheels = sorted(here.glob("medloupe-*.whl"), key=lambda path: path.stat().st_mtime)
    checkout = next((above for above in here.parents[:2] if (above / "src" / "medloupe").is_dir()), None)
    if not wheels and checkout is None:
        raise StartError(
            f"There is nothing to install: no medloupe-….whl beside {here / 'start.py'}.\n"
            "Unpack the whole archive into one folder and start it from there."
        )
    found, place = (wheels[-1], here) if wheels else (checkout, checkout)
    constraints = Path(str(place)) / "constraints.txt"
    return f"medloupe{EXTRAS} @ {Path(str(found)).as_uri()}", constraints if constraints.is_file() else None


def program() -> list[str]:
    """Find the command `medloupe`: one that the user installed (pipx), else our own, made or renewed where needed."""
    if there := shutil.which("medloupe"):
        return [there]
    wanted, constraints = source(HERE)
    place = folder()
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = place / "installed.txt"
    if not (python.is_file() and stamp.is_file() and stamp.read_text("utf-8") == wanted):
        print(f"Installing medloupe into {place}. This takes some minutes, once; about 150 MB are loaded.", flush=True)
        stamp.unlink(missing_ok=True)
        venv.create(place, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "--quiet"]
        command += ["--constraint", str(constraints)] if constraints else []
        if subprocess.run([*command, wanted], check=False).returncode:
            raise StartError("Installing failed. Is there a connection to the internet? Start again to go on.")
        stamp.write_text(wanted, "utf-8")
    return [str(python), "-m", "medloupe"]


def answers(url: str) -> bool:
    """Tell whether a medloupe at this address is ready for questions."""
    try:
        with urllib.request.urlopen(url + "readyz", timeout=2) as answer:
            return answer.status == 200 and b'"broken"' in answer.read(65_536)
    except (OSError, urllib.error.URLError):
        return False


def free(port: int) -> bool:
    """Tell whether nothing listens on a port of this computer."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) != 0


def start(port: int, *, browser: bool) -> int:
    """Serve until the window is closed; open the page once it answers. Returns the server's exit status."""
    url = f"http://127.0.0.1:{port}/"
    if answers(url):
        print(f"medloupe runs already: {url}", flush=True)
        if browser:
            webbrowser.open(url)
        return 0
    if not free(port):
        raise StartError(f"Another program uses port {port}. Close it, or start with --port {port + 1}.")
    server = subprocess.Popen([*program(), "serve", "--host", "127.0.0.1", "--port", str(port)])
    try:
        until = time.monotonic() + PATIENCE
        while not answers(url):
            if server.poll() is not None:
                raise StartError("The server ended at once; the lines above say why.")
            if time.monotonic() > until:
                raise StartError(f"The server did not answer within {PATIENCE:.0f} seconds.")
            time.sleep(0.2)
        print(f"medloupe answers at {url}. Close this window (or press Ctrl-C) to end it.", flush=True)
        if browser:
            webbrowser.open(url)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait()


def add_to_menu() -> Path:
    """Write an entry for the menu of a Linux desktop, which starts this very file; returns where it lies."""
    if sys.platform in ("win32", "darwin"):
        raise StartError(
            "--menu is for Linux. On Windows and macOS double-click the starter, or make a shortcut to it."
        )
    starter = str(HERE / "medloupe-start.sh")
    quoted = "".join("\\\\" + letter if letter in '"`$\\' else letter for letter in starter).replace("%", "%%")
    entry = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "applications/medloupe.desktop"
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text(
        "[Desktop Entry]\nType=Application\nName=medloupe\nComment=Start medloupe and open it in the browser\n"
        f'Exec="{quoted}"\nIcon=applications-science\nTerminal=true\nCategories=Science;\n',
        "utf-8",
    )
    return entry


def main() -> int:
    """Start from the command line; say in words why it does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--menu", action="store_true", help="Linux: add medloupe to the desktop's menu, and end")
    told = parser.parse_args()
    try:
        if sys.version_info < OLDEST:
            raise StartError(
                f"This is Python {sys.version.split()[0]}; 3.11 or newer is needed: https://www.python.org/"
            )
        if told.menu:
            print(f"medloupe is in the menu now: {add_to_menu()}")
            return 0
        return start(told.port, browser=not told.no_browser)
    except StartError as error:
        print(f"\n{error}", file=sys.stderr)
        if sys.stdin.isatty():
            input("Press Enter to close this window.")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
