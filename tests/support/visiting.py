"""Pages asked for as a browser without scripts does."""

from __future__ import annotations

import io
import re

import httpx
from PIL import Image

import generated
from live import Live


def png(number: int = 3, sick: bool = True) -> bytes:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(number, sick)).save(out, "PNG")
    return out.getvalue()


def browser(live: Live, **headers: str) -> httpx.Client:
    return live.client(headers={"Accept": "text/html,*/*", "Origin": live.url, **headers})


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text[:500]
    return found[1]


def ask(
    client: httpx.Client, *pictures: tuple[str, bytes], path: str = "/checkups/spots", **headers: str
) -> httpx.Response:
    """Send the form, and follow to the answer."""
    csrf = token(client.get(path))
    files = [("image", picture) for picture in pictures]
    return client.post(path, data={"csrf": csrf}, files=files, headers=headers, follow_redirects=True)
