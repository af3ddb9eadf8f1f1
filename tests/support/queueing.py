"""What waits in a browser to be sent, and what the server was told in the end."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

WAIT = 120_000  # milliseconds, on a busy machine
LEFT = """async () => {
  const found = {caches: await caches.keys(), session: Object.keys(sessionStorage), databases: {}};
  for (const {name, version} of await indexedDB.databases()) {
    const database = await new Promise((done) => {
      indexedDB.open(name, version).onsuccess = (e) => done(e.target.result);
    });
    for (const store of database.objectStoreNames)
      found.databases[`${name}/${store}`] = await new Promise((done) => {
        database.transaction(store).objectStore(store).count().onsuccess = (e) => done(e.target.result);
      });
    database.close();
  }
  return found;
}"""


def large(path: Path, pixels: np.ndarray, side: int = 1600) -> Path:
    """A picture saved as a JPEG with many pixels."""
    Image.fromarray(pixels).resize((side, side * 3 // 4), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def choose_and_send(page: Any, *files: Path) -> None:
    """Choose pictures on a check-up's page, and send them."""
    page.locator("input[type=file]").first.set_input_files([*files])
    page.locator("[data-submit]").click()


def count_answers(client: httpx.Client) -> Counter[str]:
    """How often the server gave each answer: all of its journal, by number."""
    found: Counter[str] = Counter()
    before = ""
    while True:
        page = client.get("/api/v1/predictions", params={"limit": 200, **({"before": before} if before else {})})
        told = page.json()["predictions"]
        if not told:
            return found
        found.update(entry["id"] for entry in told)
        before = f"{told[-1]['at']}_{told[-1]['id']}"


def wait_for_answers(page: Any, client: httpx.Client, wanted: int, seconds: float = 240) -> int:
    """Wait until the journal has so many answers; how many it has. page: goes on meanwhile."""
    until = time.monotonic() + seconds
    while (found := len(count_answers(client))) < wanted and time.monotonic() < until:
        page.wait_for_timeout(300)
    return found
