"""The web app that answers on a device: its modules in the tests' browser, and folders behind a plain web server."""

from __future__ import annotations

import base64
import functools
import io
import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from medloupe.ondevice.folder import write_folder
from medloupe.ondevice.photographs import describe_finder
from medloupe.ondevice.release import TYPES
from medloupe.ondevice.runtime import COMMAND, find_runtime
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.device import build_device_release
from medloupe.starter.shipped import list_shipped, load_shipped
from places import ROOT

MODULES = ROOT / "src" / "medloupe" / "ondevice" / "static"
PICTURES = {  # which real sets each shipped check-up that a browser answers is asked about
    "brain-tumour": "brain_mri",
    "breast": "breast_ultrasound",
    "covid": "covid_cxr",
    "malaria": "malaria",
    "monkeypox": "monkeypox",
    "pneumonia": "chest_pneumonia",
    "retina": "fundus",
    "retina-referable": "fundus",
    "skin": "skin",
}
_MISSING = f"onnxruntime-web was not taken: {COMMAND} fetches it, as `make test` does"
_ANSWER = """async ([mark, card, data, mode]) => {
  const {Asking} = await import(`${location.origin}/app/${mark}/asking.js`);
  globalThis.asking ??= new Asking();
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  try { return await asking.answer(card, new Blob([bytes]), {mode}); }
  catch (e) { if (!e.unreadable) throw e; return {unreadable: e.unreadable}; }
}"""
_ANSWER_ECG = """async ([mark, card, files, request]) => {
  const {Asking} = await import(`${location.origin}/app/${mark}/asking.js`);
  globalThis.asking ??= new Asking();
  const named = files.map(([name, data]) => new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
  try {
    const answer = await asking.answerEcg(card, named, request), {signal, attention, ...ecg} = answer.ecg;
    const numbers = (values) => values && [...values].map((v) => (Number.isNaN(v) ? null : v));
    const drawn = {leads: signal.leads, samples: signal.samples.map(numbers), attention: numbers(attention)};
    return {...answer, ecg: {...ecg, ...drawn}};
  } catch (e) {
    if (!e.unreadable && e.name !== "Unreadable") throw e;
    return {unreadable: e.unreadable ?? e.code, values: e.values};
  }
}"""
_CHOOSE = """async ([mark, cards, withheld, data, mode, told]) => {
  const home = `${location.origin}/app/${mark}`, {Asking} = await import(`${home}/asking.js`);
  const {guidesOf} = await import(`${home}/keeper.js`), {chooseAnswer} = await import(`${home}/choosing.js`);
  globalThis.asking ??= new Asking();
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const given = await asking.choose(cards, guidesOf({withheld}), new Blob([bytes]), {mode});
  const opinions = given.opinions.map((one) => ({...one, card: cards.find((card) => card.name === one.name)}));
  const told_by = (one) => ({name: one.name, said: one.said, probabilities: one.probabilities, near: one.near});
  const {answers, ask} = chooseAnswer(opinions, told);
  return {answers: answers.map(told_by), ask, nobody: given.nobody, elsewhere: given.elsewhere, kinds: opinions.length};
}"""
_READ = """async ([origin, data, side]) => {
  const picture = await import(`${origin}/picture.js`), quality = await import(`${origin}/quality.js`);
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  try {
    const decoded = await picture.decode(bytes, side), fitted = picture.fit(decoded, side);
    let text = "";
    for (const v of fitted) text += String.fromCharCode(v);
    const measures = Object.entries(quality.measure(decoded)).map(([k, v]) => [k, Number.isNaN(v) ? null : v]);
    return {pixels: btoa(text), size: [decoded.width, decoded.height], measures: Object.fromEntries(measures)};
  } catch (e) { if (e.name !== "Unreadable") throw e; return {unreadable: e.code}; }
}"""

_STRAIGHTEN = """async ([origin, data, side, request, finder]) => {
  const photograph = await import(`${origin}/photograph.js`), {fit} = await import(`${origin}/picture.js`);
  const {measure} = await import(`${origin}/quality.js`);
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const picture = await photograph.straighten(bytes, side, request, finder);
  let text = "";
  for (const v of fit(picture, side)) text += String.fromCharCode(v);
  const measures = Object.entries(measure(picture)).map(([k, v]) => [k, Number.isNaN(v) ? null : v]);
  const {photo, width, height, facts} = picture, size = [width, height];
  return {pixels: btoa(text), photo: photo ?? null, size, facts, measures: Object.fromEntries(measures)};
}"""


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture as a file of that kind."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int) -> Image.Exif:
    """EXIF that says how a picture lies."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


class Hold:
    """Keeps a web server from answering for one path until it is released, for a minute at most."""

    def __init__(self, path: str):
        self.path = path
        self.asked, self.released = threading.Event(), threading.Event()


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **TYPES}  # noqa: RUF012

    def __init__(self, *args: Any, hold: Hold | None, **named: Any):
        self._hold = hold
        super().__init__(*args, **named)

    def do_GET(self) -> None:
        if self._hold is not None and self.path == self._hold.path:
            self._hold.asked.set()
            self._hold.released.wait(60)
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path, hold: Hold | None = None) -> Iterator[str]:
    """A folder behind a plain web server of this machine: its address. hold: a path for which it does not answer."""
    handler = functools.partial(_Handler, directory=str(folder), hold=hold)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def web_runtime() -> Path:
    """Where onnxruntime-web lies."""
    found = find_runtime()
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(_MISSING)
        pytest.skip(_MISSING)
    return found


class Browser:
    """The modules in a page. page: of Playwright. origin: where they lie."""

    def __init__(self, page: Any, origin: str):
        self.page, self.origin = page, origin

    def read(self, data: bytes, side: int = 224) -> Mapping[str, Any]:
        """A picture as the browser's code reads it: {pixels (bytes), size, measures} or {unreadable}."""
        read = self.page.evaluate(_READ, [self.origin, base64.b64encode(data).decode(), side])
        return {**read, "pixels": base64.b64decode(read["pixels"])} if "pixels" in read else read

    def straighten(self, data: bytes, mode: str, corners: Any = None, side: int = 224) -> Mapping[str, Any]:
        """A picture, perhaps cut out of a photograph: {pixels (bytes), photo, size, facts, measures}."""
        request = {"mode": mode, "corners": corners}
        sent = [self.origin, base64.b64encode(data).decode(), side, request, describe_finder()]
        read = self.page.evaluate(_STRAIGHTEN, sent)
        return {**read, "pixels": base64.b64decode(read["pixels"])}


@pytest.fixture(scope="module")
def modules(chromium: Any) -> Iterator[Browser]:
    """The modules alone, in a page."""
    with served(MODULES) as origin:
        page = chromium.new_page()
        page.goto(f"{origin}/device.css")
        yield Browser(page, origin)
        page.close()


def sample_pictures(folder: Path, count: int, seed: int) -> Sequence[Path]:
    """Some of a set's pictures that a browser reads, drawn at random."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))
    return random.Random(seed).sample(files, count)


def shipped_pictures() -> Sequence[str]:
    """The shipped check-ups that a browser answers, as far as they are installed."""
    return [name for name in PICTURES if name in list_shipped()]


@contextmanager
def choosing(chromium: Any, folder: Path, checkups: Sequence[CheckUp]) -> Iterator[Any]:
    """Lets pictures choose among check-ups in a page that a plain web server handed out.

    A function of bytes, photo and told: {answers, ask, nobody, elsewhere, kinds}.
    """
    release = build_device_release(checkups, server=False)
    write_folder(release, folder)
    cards, withheld = release.index["checkups"], release.index["withheld"]
    with served(folder) as origin:
        page = chromium.new_page()
        page.goto(f"{origin}/release.json")

        def choose(data: bytes, photo: str = "never", told: Mapping[str, str] | None = None) -> Any:
            sent = [release.mark, cards, withheld, base64.b64encode(data).decode(), photo, dict(told or {})]
            return page.evaluate(_CHOOSE, sent)

        yield choose
        page.close()


@contextmanager
def answering(chromium: Any, folder: Path, names: Sequence[str]) -> Iterator[Any]:
    """Asks shipped check-ups in a page that a plain web server handed out: a function of name, bytes and photo."""
    release = build_device_release([CheckUp.of(load_shipped(name)) for name in names], server=False)
    write_folder(release, folder)
    cards = {card["name"]: card for card in release.index["checkups"]}
    with served(folder) as origin:
        page = chromium.new_page()
        page.goto(f"{origin}/release.json")

        def ask(name: str, data: bytes, photo: str = "never") -> Any:
            return page.evaluate(_ANSWER, [release.mark, cards[name], base64.b64encode(data).decode(), photo])

        yield ask
        page.close()


@contextmanager
def answering_ecgs(chromium: Any, folder: Path, checkups: Sequence[CheckUp]) -> Iterator[Any]:
    """Asks check-ups of ECGs in a page that a plain web server handed out.

    A function of a name, files by name and what is told: {said, probabilities, ecg, timings} or {unreadable, values}.
    """
    release = build_device_release(checkups, server=False)
    write_folder(release, folder)
    cards = {card["name"]: card for card in release.index["checkups"]}
    with served(folder) as origin:
        page = chromium.new_page()
        page.goto(f"{origin}/release.json")

        def ask(name: str, files: Mapping[str, bytes], told: Mapping[str, Any] | None = None) -> Any:
            sent = [[file, base64.b64encode(data).decode()] for file, data in files.items()]
            return page.evaluate(_ANSWER_ECG, [release.mark, cards[name], sent, dict(told or {})])

        yield ask
        page.close()
