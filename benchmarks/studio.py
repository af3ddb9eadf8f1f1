"""The studio, measured: `python benchmarks/studio.py WHAT [--count N]`, WHAT one or several of

journey       from "new check-up" to one that answers, with 4 × 30 generated pictures in a headless Chromium; the
              browser is closed while it trains (default 3 times): seconds and clicks
phone         the same in the viewport of a phone, the pictures photographed by Chromium's fake camera, which shows the
              generated ones class by class: the shutter of the class that is seen is held; until it answers (1)
uploads       servers killed (signal 9) in the middle of uploads (20)
trainings     in the middle of trainings (20)
publications  in the middle of publications (20); trains first
pictures      seconds for 1,000 pictures, one by one and as one archive (1)

Each prints one JSON line; the exit status is 1 where something was lost or came twice. Linux only.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import marks
import studio_client
from browsing import CHROMIUM, PHONE
from live import running
from studio_drills import ROLES, kill_publications, kill_trainings, kill_uploads, pack
from studio_journey import (
    Clicks,
    add_classes,
    bring,
    fake_camera,
    make,
    photograph,
    publish,
    try_out,
    wait_for_audit,
    wait_for_training,
)

COUNTS = {"journey": 3, "phone": 1, "uploads": 20, "trainings": 20, "publications": 20, "pictures": 1}
PICTURES = 1000


def measure_journey(scratch: Path, count: int) -> dict[str, Any]:
    """Seconds and clicks, each journey on a home of its own."""
    from playwright.sync_api import sync_playwright

    folder = marks.folders(scratch / "marks")
    picture = scratch / "new.png"
    picture.write_bytes(marks.mark("rings", 99))
    seconds, clicked = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for number in range(count):
            with running(scratch / f"home{number}") as live:
                began = time.monotonic()
                context = browser.new_context(base_url=live.url, locale="en")
                clicks = Clicks(context.new_page())
                make(clicks, "Marks in tissue", "tissue")
                bring(clicks, folder, 120)
                clicks.press("Train")
                clicks.page.get_by_role("button", name="Stop").wait_for()
                where = clicks.page.url
                context.close()
                context = browser.new_context(base_url=live.url, locale="en")
                clicks = Clicks(context.new_page(), clicks.count)
                clicks.page.goto(where)
                wait_for_training(clicks.page)
                try_out(clicks, picture)
                publish(clicks)
                clicks.follow("Open the check-up")
                seconds.append(round(time.monotonic() - began, 1))
                clicked.append(clicks.count)
                context.close()
        browser.close()
    return {"seconds": seconds, "clicks": max(clicked)}


def measure_phone(scratch: Path, count: int) -> dict[str, Any]:
    """Seconds and clicks by a phone's camera, each journey on a home of its own."""
    from playwright.sync_api import sync_playwright

    picture = scratch / "new.png"
    picture.write_bytes(marks.mark("rings", 99))
    film = fake_camera(scratch / "film.y4m", marks.CLASSES)
    seconds, published, clicked, taken, answers = [], [], [], [], []
    twice = 0
    with sync_playwright() as playwright:
        for number in range(count):
            options = ["--no-sandbox", "--disable-gpu", *film]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
            with running(scratch / f"home{number}") as live:
                began = time.monotonic()
                context = browser.new_context(base_url=live.url, locale="en", permissions=["camera"], **PHONE)
                clicks = Clicks(context.new_page())
                make(clicks, "Marks by phone", "tissue")
                add_classes(clicks, marks.CLASSES)
                photograph(clicks, marks.CLASSES, 30)
                where = clicks.page.url
                wait_for_audit(clicks.page)
                clicks.press("Train")
                clicks.page.get_by_role("button", name="Stop").wait_for()
                context.close()
                context = browser.new_context(base_url=live.url, locale="en", **PHONE)
                clicks = Clicks(context.new_page(), clicks.count)
                clicks.page.goto(where)
                wait_for_training(clicks.page)
                try_out(clicks, picture)
                publish(clicks)
                seconds.append(round(time.monotonic() - began, 1))
                published.append(clicks.count - 2)
                clicks.follow("Open the check-up")
                clicked.append(clicks.count)
                with live.client() as client:
                    items = client.get(f"/api/v1/datasets/{where.rpartition('/')[2]}/items").json()["items"]
                taken.append(len(items))
                twice += len(items) - len({item["digest"] for item in items})
                answers.append(live.ask("marks-by-phone", picture.read_bytes()).json()["prediction"])
            browser.close()
    return {
        "seconds": seconds,
        "clicks_until_it_answers": max(published),
        "clicks_with_a_try_out_and_opening_it": max(clicked),
        "pictures": taken,
        "same_frame": twice,
        "answers": answers,
    }


def measure_pictures(scratch: Path, count: int) -> dict[str, Any]:
    """Seconds until 1,000 pictures are taken in."""
    told = [(kind, n) for kind in ROLES for n in range(PICTURES // len(ROLES))]
    files = {(kind, n): marks.mark(kind, n) for kind, n in told}
    with running(scratch / "home", "--no-worker") as live, live.client() as client:
        one = studio_client.new(client, "One by one", ROLES)
        began = time.monotonic()
        for (kind, n), data in files.items():
            studio_client.send(client, one, f"{kind}/{n}.png", data, kind)
        singly = time.monotonic() - began
        whole = studio_client.new(client, "An archive", ROLES)
        packed = pack(told)
        began = time.monotonic()
        upload = studio_client.send_in_chunks(client, whole, "all.zip", packed, 2 * 2**20)
        studio_client.settled(client, whole, upload, 600)
        archived = time.monotonic() - began
        seen = [client.get(f"/api/v1/datasets/{id}").json()["pictures"] for id in (one, whole)]
    return {"one_by_one": round(singly, 1), "archive": round(archived, 1), "lost": 2 * PICTURES - sum(seen), "twice": 0}


def main() -> int:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=COUNTS)
    parser.add_argument("--count", type=int)
    told = parser.parse_args()
    drills: dict[str, Callable[[Path, int], Any]] = {
        "journey": measure_journey,
        "phone": measure_phone,
        "uploads": lambda scratch, n: asdict(kill_uploads(scratch / "home", n)),
        "trainings": lambda scratch, n: asdict(kill_trainings(scratch / "home", n)),
        "publications": lambda scratch, n: (
            kill_trainings(scratch / "home", 2),
            asdict(kill_publications(scratch / "home", n)),
        )[1],
        "pictures": measure_pictures,
    }
    bad = False
    for what in told.what:
        with tempfile.TemporaryDirectory() as scratch:
            said = drills[what](Path(scratch), told.count or COUNTS[what])
        bad |= bool(said.get("lost") or said.get("twice"))
        print(json.dumps({"what": what, **said}), flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
