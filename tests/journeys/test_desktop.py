"""The double-click starters: they install on first use, serve, open the browser, and say why when they cannot."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = ROOT / "deploy" / "desktop"
STARTERS = ("start.py", "medloupe-start.sh", "medloupe-start.command", "medloupe-start.bat")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="tried by hand on Windows: there is no sh")

# Stands for medloupe: a package that needs nothing, and answers as a server does that is ready.
STAND_IN = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

assert sys.argv[1:4] == ["serve", "--host", "127.0.0.1"], sys.argv

class Ready(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ready", "broken": []}')

HTTPServer(("127.0.0.1", int(sys.argv[5])), Ready).serve_forever()
"""


def wheel(folder: Path, version: str) -> Path:
    """A wheel of the stand-in."""
    path = folder / f"medloupe-{version}-py3-none-any.whl"
    info = f"medloupe-{version}.dist-info"
    meta = f"Metadata-Version: 2.1\nName: medloupe\nVersion: {version}\nProvides-Extra: ecg\n"
    files = {
        "medloupe/__init__.py": f'__version__ = "{version}"\n',
        "medloupe/__main__.py": STAND_IN,
        f"{info}/METADATA": meta,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The archive as a person unpacks it: a folder with a blank in its name, the starters and a wheel."""
    folder = tmp_path / "medloupe by hand"
    folder.mkdir()
    for name in STARTERS:
        shutil.copy2(DESKTOP / name, folder)
    wheel(folder, "7.1")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """A clean environment with a browser that writes down what it was told to open."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >>"{tmp_path}/opened"\n')
    browser.chmod(0o755)
    return {
        "PATH": f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "BROWSER": str(browser),
        "MEDLOUPE_APP": str(tmp_path / "app"),
        "PYTHONWARNINGS": "ignore",
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def started(starter: Path, port: int, settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A starter that runs, in a group of its own as a terminal gives it."""
    process = subprocess.Popen(
        [str(starter), "--port", str(port)],
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout
        process.stdout.close()


def opened(folder: Path, times: int) -> list[str]:
    """What the browser was told to open, once it was so often."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        told = (folder / "opened").read_text().split() if (folder / "opened").is_file() else []
        if len(told) >= times:
            return told
        time.sleep(0.1)
    pytest.fail("the browser was not opened")


@pytest.mark.parametrize("name", ["medloupe-start.sh", "medloupe-start.command"])
def test_a_double_click_installs_serves_and_opens_the_browser(
    unpacked: Path, settings: dict[str, str], tmp_path: Path, name: str
) -> None:
    """The first start installs; the next finds it running; after that one it starts at once; Ctrl-C ends it all."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with started(unpacked / name, port, settings) as first:
        assert opened(tmp_path, 1) == [url]
        with started(unpacked / name, port, settings) as second:
            assert second.wait(30) == 0
            assert second.stdout and f"medloupe runs already: {url}" in second.stdout.read()
        assert opened(tmp_path, 2) == [url, url]
        os.killpg(first.pid, signal.SIGINT)
        assert first.wait(30) == 0
        assert first.stdout and "Installing medloupe into" in first.stdout.read()
    with pytest.raises(OSError):
        urllib.request.urlopen(url + "readyz", timeout=2)
    with started(unpacked / name, port, settings) as third:
        assert opened(tmp_path, 3)
        os.killpg(third.pid, signal.SIGINT)
        third.wait(30)
        assert third.stdout and "Installing" not in third.stdout.read()


@pytest.mark.slow
def test_a_newer_wheel_beside_it_is_installed(unpacked: Path, settings: dict[str, str], tmp_path: Path) -> None:
    def version(times: int) -> str:
        with started(unpacked / "medloupe-start.sh", free_port(), settings) as process:
            opened(tmp_path, times)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30)
        python = Path(settings["MEDLOUPE_APP"]) / "bin" / "python"
        told = [str(python), "-c", "import medloupe; print(medloupe.__version__)"]
        return subprocess.run(told, env=settings, capture_output=True, text=True, check=True).stdout.strip()

    assert version(1) == "7.1"
    newer = wheel(unpacked, "7.2")
    os.utime(newer, (time.time() + 60,) * 2)
    assert version(2) == "7.2"


def run(folder: Path, settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(folder / "medloupe-start.sh"), *arguments]
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_what_hinders_it_is_said(unpacked: Path, settings: dict[str, str], tmp_path: Path) -> None:
    """Another program on the port; nothing to install; no Python that is new enough."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        taken = run(unpacked, settings, "--port", str(port))
    assert (taken.returncode, f"--port {port + 1}" in taken.stderr) == (1, True)

    (unpacked / "medloupe-7.1-py3-none-any.whl").unlink()
    bare = run(unpacked, settings, "--port", str(free_port()))
    assert (bare.returncode, "Unpack the whole archive" in bare.stderr) == (1, True)

    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("sh", "dirname"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    old = folder / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # as one does that is too old, or has no venv
    old.chmod(0o755)
    without = run(unpacked, {**settings, "PATH": str(folder)})
    assert (without.returncode, "Python 3.11 or newer" in without.stderr) == (1, True)


@pytest.mark.slow
def test_a_failed_installation_is_said_and_taken_up_again(
    unpacked: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    good = (unpacked / "medloupe-7.1-py3-none-any.whl").read_bytes()
    (unpacked / "medloupe-7.1-py3-none-any.whl").write_bytes(good[:100])
    failed = run(unpacked, settings, "--port", str(free_port()))
    assert (failed.returncode, "Start again to go on" in failed.stderr) == (1, True)
    (unpacked / "medloupe-7.1-py3-none-any.whl").write_bytes(good)
    with started(unpacked / "medloupe-start.sh", free_port(), settings):
        assert opened(tmp_path, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="the menu of Linux desktops")
def test_the_menu_of_a_linux_desktop_gets_an_entry(unpacked: Path, settings: dict[str, str], tmp_path: Path) -> None:
    done = run(unpacked, settings, "--menu")
    entry = tmp_path / ".local" / "share" / "applications" / "medloupe.desktop"
    assert done.returncode == 0 and str(entry) in done.stdout
    assert f'Exec="{unpacked}/medloupe-start.sh"\n' in entry.read_text("utf-8")
    if validator := shutil.which("desktop-file-validate"):
        told = subprocess.run([validator, str(entry)], capture_output=True, text=True)
        assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
def test_each_system_has_its_place(platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start: dict[str, Any] = runpy.run_path(str(DESKTOP / "start.py"))
    for name in ("MEDLOUPE_APP", "LOCALAPPDATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", platform)
    inside = {
        "win32": ("AppData", "Local"),
        "darwin": ("Library", "Application Support"),
        "linux": (".local", "share"),
    }[platform]
    assert start["folder"]() == tmp_path.joinpath(*inside, "medloupe-app")


def test_in_a_checkout_the_checkout_is_installed_with_the_tested_versions() -> None:
    start: dict[str, Any] = runpy.run_path(str(DESKTOP / "start.py"))
    assert start["source"](DESKTOP) == (f"medloupe[ecg] @ {ROOT.as_uri()}", ROOT / "constraints.txt")


def test_starters_are_as_their_systems_want_them() -> None:
    """Windows: lines end in CR LF, in ASCII, both ways to find Python. Unix: executable, and nothing of bash."""
    batch = (DESKTOP / "medloupe-start.bat").read_bytes()
    assert batch.count(b"\r\n") == batch.count(b"\n") > 5
    text = batch.decode("ascii")
    assert "\r\npause\r\n" in text
    for python in ("py -3", "python"):
        assert f'\r\n{python} -c "import sys; sys.exit(sys.version_info < (3, 11))" >nul 2>nul\r\n' in text
        assert f'    {python} "%~dp0start.py" %*\r\n' in text
    for name in ("medloupe-start.sh", "medloupe-start.command"):
        path = DESKTOP / name
        assert path.stat().st_mode & 0o111
        assert b"\r" not in path.read_bytes()
        subprocess.run(["sh", "-n", str(path)], check=True)
