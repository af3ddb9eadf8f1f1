"""Answers of the web app in whatever browser can be started: a page answers what it is handed, and posts what it found.

No driver is needed, so that Firefox and WebKitGTK of a distribution run as people start them. The page keeps its
check-ups by the service worker first; then this server hands out nothing more, and what is asked is answered from what
was kept.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from medloupe.ondevice.release import TYPES, Release

_WEBKIT = "/usr/lib/*/webkit2gtk-4*/MiniBrowser"
_PREFERENCES = {
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
_PAGE = """<!doctype html><html lang="en"><title>answers</title><script type="module">
const post = (what, body) => fetch(`/${what}`, {method: "POST", body: JSON.stringify(body)});
try {
  const {mark, jobs} = await (await fetch("jobs.json")).json(), app = `./app/${mark}/`;
  const release = await (await fetch("release.json")).json();
  const files = await Promise.all(jobs.map(async ({file}) => (await fetch(file)).arrayBuffer()));
  const finder = await (await fetch(`${app}photographs.json`)).json();
  const {Asking} = await import(`${app}asking.js`), {fit} = await import(`${app}picture.js`);
  const {straighten} = await import(`${app}photograph.js`);
  const {canKeep, keep, startWorker} = await import(`${app}keeper.js`), workers = navigator.serviceWorker;
  let kept = canKeep();
  if (kept) {
    await startWorker();
    await workers.ready;
    if (!workers.controller) await new Promise((done) => (workers.oncontrollerchange = done));
    await keep(release, [...new Set(jobs.map((j) => j.name))]);
    await post("cut", {});
    kept = (await fetch("./")).ok;
  }
  const asking = new Asking(), found = [], began = performance.now();
  for (const [i, {name, photo}] of jobs.entries()) {
    const card = release.checkups.find((c) => c.name === name);
    const {said, probabilities, photo: where, timings} = await asking.answer(card, new Blob([files[i]]), {mode: photo});
    const pixels = fit(await straighten(new Uint8Array(files[i]), card.size, {mode: photo}, finder), card.size);
    let text = "";
    for (const v of pixels) text += String.fromCharCode(v);
    found.push({said, probabilities, photo: where, timings, pixels: btoa(text), since: performance.now() - began});
  }
  await post("done", {kept, agent: navigator.userAgent, found});
} catch (e) { await post("done", {error: `${e}\\n${e.stack}`}); }
</script></html>
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A picture to be answered by a check-up. photo: "auto", "never" or "always"."""

    name: str
    data: bytes
    photo: str = "auto"


@dataclass(slots=True)
class _Posted:
    """What the page told."""

    body: dict[str, Any] = field(default_factory=dict)
    cut: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012

    def __init__(self, *args: Any, posted: _Posted, **named: Any):
        self._posted = posted
        super().__init__(*args, **named)

    def do_GET(self) -> None:
        if self._posted.cut.is_set():
            self.close_connection = True  # the net is gone: no answer at all
            return
        super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
        if self.path == "/cut":
            self._posted.cut.set()
        else:
            self._posted.body = json.loads(body)
            self._posted.done.set()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def installed_browsers() -> Sequence[str]:
    """Which browsers there are here: "chromium", "firefox", "webkit"."""
    there = {"chromium": shutil.which("chromium"), "firefox": _firefox()}
    there["webkit"] = _mini_browser() and shutil.which("xvfb-run")
    return [name for name, found in there.items() if found]


def answer_elsewhere(
    browser: str, release: Release, folder: Path, jobs: Sequence[Job], seconds: float
) -> Mapping[str, Any]:
    """Answer jobs in a browser: {kept, agent, found: [as answer.js gives it, with pixels as base64]}.

    Parameters
    ----------
    browser : str
        Of `installed_browsers`.
    release, folder : Release, Path
        The app, and where it was written.
    jobs : sequence of Job
        What is asked.
    seconds : float
        How long the browser has.

    Raises
    ------
    TimeoutError
        The page told nothing in time.
    RuntimeError
        It told that something failed.
    """
    for i, job in enumerate(jobs):
        (folder / f"job{i}").write_bytes(job.data)
    told = [{"name": job.name, "photo": job.photo, "file": f"job{i}"} for i, job in enumerate(jobs)]
    (folder / "jobs.json").write_text(json.dumps({"mark": release.mark, "jobs": told}))
    (folder / "asked.html").write_text(_PAGE)
    home = folder.parent / f"{folder.name}-{browser}"
    posted = _Posted()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder), posted=posted)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process = _start(browser, f"http://127.0.0.1:{server.server_port}/asked.html", home)
        try:
            if not posted.done.wait(seconds):
                raise TimeoutError(f"{browser} told nothing in {seconds} s")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            server.shutdown()
            shutil.rmtree(home, ignore_errors=True)
    if "error" in posted.body:
        raise RuntimeError(f"{browser}: {posted.body['error']}")
    return posted.body


def _start(browser: str, address: str, home: Path) -> subprocess.Popen[bytes]:
    """Start a browser in a process group of its own, with a home of its own."""
    profile = home / "profile"
    profile.mkdir(parents=True)
    environment = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    if browser == "firefox":
        lines = [f'user_pref("{name}", {json.dumps(value)});' for name, value in _PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        command = [str(_firefox()), "--headless", "--no-remote", "--profile", str(profile), address]
    elif browser == "webkit":
        command = ["xvfb-run", "-a", str(_mini_browser()), address]
        # Its sandbox needs namespaces of users, which containers lack.
        environment |= {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "LIBGL_ALWAYS_SOFTWARE": "1"}
    else:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
        command = ["chromium", *options, address]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)


def _firefox() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


def _mini_browser() -> Path | None:
    return next(iter(sorted(Path("/").glob(_WEBKIT.removeprefix("/")))), None)
