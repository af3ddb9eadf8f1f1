"""Put the files of the web app together: its modules, the runtime, icons, and what each check-up needs.

All addresses are relative, so that the same files run below a server's /device/ and in any static folder:

    index.html  sw.js  manifest.webmanifest  icons/  release.json
    app/MARK/      modules, styles, words and the runtime; MARK changes with any of them
    blobs/SHA256   networks and numbers, by content

`release.json` lists all of them with sha256 and size, and holds the card of every check-up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from medloupe.ondevice.card import DeviceCheckUp
from medloupe.ondevice.icons import SIZES, draw_icon
from medloupe.ondevice.photographs import describe_finder
from medloupe.ondevice.runtime import FILES, find_runtime
from medloupe.utils.files import sha256_of
from medloupe.version import __version__

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self';"
    " img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; form-action 'none'; base-uri 'none'"
)
"""What the page may load. 'wasm-unsafe-eval' lets WebAssembly be compiled, and no script be made of text."""
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
"""Media types by suffix; blobs are application/octet-stream."""
_UNVERSIONED = ("index.html", "sw.js")
_MARK = 12  # hexadecimal digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """All files of the app as it is now.

    Attributes
    ----------
    files : mapping
        By path the bytes, or the file that holds them.
    index : mapping
        What release.json says.
    """

    files: Mapping[str, bytes | Path]
    index: Mapping[str, Any]

    @property
    def mark(self) -> str:
        """Of the modules, styles, words and the runtime."""
        return self.index["mark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A check-up that is not answered in a browser.

    because: as `card.withheld_because` tells it. words: its title by language. guide: by what a picture of its kind is
    known (`kinds.describe_guide`), with its blobs; None where it takes no part in choosing.
    """

    name: str
    because: str
    words: Mapping[str, str]
    guide: Mapping[str, Any] | None = None
    blobs: Mapping[str, bytes | Path] = field(default_factory=dict)


def build_release(
    checkups: Sequence[DeviceCheckUp],
    withheld: Sequence[Withheld],
    *,
    words: Mapping[str, Mapping[str, Any]],
    styles: Mapping[str, bytes],
    server: bool,
) -> Release:
    """Put the files together.

    Parameters
    ----------
    checkups, withheld
        What is answered there, and what is not.
    words
        By language the strings by dotted key.
    styles
        Style sheets by name that the pages of the server have, too.
    server
        Whether a server is behind the page, at the folder above.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    runtime = find_runtime()
    inside: dict[str, bytes | Path] = {**_read_static(), **styles, "words.json": _json(words)}
    inside["photographs.json"] = _json(describe_finder())
    if runtime is not None:
        inside |= {f"runtime/{name}": runtime / name for name in FILES}
    told = {name: _measure(data) for name, data in sorted(inside.items())}
    static = _read_unversioned()
    seen = json.dumps([told, {name: hashlib.sha256(data).hexdigest() for name, data in static.items()}])
    mark = hashlib.sha256(seen.encode()).hexdigest()[:_MARK]
    outside: dict[str, bytes | Path] = {
        "index.html": static["index.html"].replace(b"{{mark}}", mark.encode()).replace(b"{{policy}}", POLICY.encode()),
        "manifest.webmanifest": _json(_describe_app()),
        **{f"icons/icon-{size}.png": draw_icon(size) for size in SIZES},
        f"icons/maskable-{SIZES[-1]}.png": draw_icon(SIZES[-1], maskable=True),
    }
    app = [{"path": path, **_measure(data)} for path, data in outside.items()]
    app += [{"path": f"app/{mark}/{name}", **entry} for name, entry in told.items()]
    index: dict[str, Any] = {
        "medloupe": __version__,
        "mark": mark,
        "runtime": runtime is not None,
        "server": server,
        "app": app,
        "checkups": [c.card for c in checkups],
        "withheld": [
            {"name": w.name, "because": w.because, "words": dict(w.words), "guide": w.guide} for w in withheld
        ],
    }
    index["id"] = hashlib.sha256(_json(index)).hexdigest()
    everything: dict[str, bytes | Path] = {
        **outside,
        "sw.js": static["sw.js"],
        "release.json": _json(index),
        **{f"app/{mark}/{name}": data for name, data in inside.items()},
        **{f"blobs/{digest}": data for c in (*checkups, *withheld) for digest, data in c.blobs.items()},
    }
    return Release(files=everything, index=index)


def media_type(path: str) -> str:
    """Return the media type of one of the app's files."""
    return TYPES.get(Path(path).suffix, "application/octet-stream")


def _describe_app() -> dict[str, Any]:
    """Describe the app to the system that installs it (W3C, Web Application Manifest)."""
    icons = [{"src": f"icons/icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png"} for size in SIZES]
    size = SIZES[-1]
    icons.append(
        {"src": f"icons/maskable-{size}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": "maskable"}
    )
    return {
        "name": "medloupe",
        "short_name": "medloupe",
        "id": "./",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#fffefb",
        "theme_color": "#1b5e91",
        "icons": icons,
    }


@cache
def _read_static() -> dict[str, bytes]:
    folder = files("medloupe.ondevice") / "static"
    return {e.name: e.read_bytes() for e in folder.iterdir() if e.is_file() and e.name not in _UNVERSIONED}


@cache
def _read_unversioned() -> dict[str, bytes]:
    folder = files("medloupe.ondevice") / "static"
    return {name: (folder / name).read_bytes() for name in _UNVERSIONED}


def _measure(data: bytes | Path) -> dict[str, Any]:
    if isinstance(data, Path):
        return {"sha256": sha256_of(data), "bytes": data.stat().st_size}
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
