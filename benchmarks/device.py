"""Whether answers worked out in a browser are Python's, how long they take, and what has to be fetched for them.

    python benchmarks/device.py [--data ../shared/data] [--count 200] [--only pneumonia,skin]

A server hands out the app to headless Chromium, which keeps all check-ups; then its network is cut. Real pictures of
each check-up's own kind, and a tenth as many of another kind, are answered in turn by the browser and by Python in one
thread, with the same network; then each picture chooses among all of them, in the browser and in Python. Milliseconds
are medians by the clock, of the same run; on a busy machine their ratio means more than they do, so the load is printed
with them. Megabytes are as they came over the wire, packed. A start is a new page, network cut, up to its first answer:
once with the first check-up alone, once with all among which the app chooses.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from medloupe.imaging.decode import decode_picture
from medloupe.imaging.photo import AUTO, NEVER
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.pictures import Predictor
from medloupe.model.decision import Decision
from medloupe.starter.shipped import list_shipped, load_shipped

SETS = {
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
FOREIGN = ("cats_dogs", "polyp_boxes")  # that no check-up knows
NEAR = 1e-3  # of a line, where a state may differ
STARTS = 5
_ANSWER = """async ([name, data]) => {
  const {current} = await import(new URL("keeper.js", document.querySelector("script[type=module]").src));
  const {Asking} = await import(new URL("asking.js", document.querySelector("script[type=module]").src));
  globalThis.asking ??= new Asking();
  globalThis.cards ??= Object.fromEntries((await current()).release.checkups.map((c) => [c.name, c]));
  return asking.answer(cards[name], new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]));
}"""
_CHOOSE = """async ([names, data]) => {
  const home = document.querySelector("script[type=module]").src, take = (name) => import(new URL(name, home));
  const [{current}, {Asking}, {chooseAnswer}] = await Promise.all(["keeper.js", "asking.js", "choosing.js"].map(take));
  globalThis.asking ??= new Asking();
  const all = (await current()).release.checkups, cards = names.map((name) => all.find((c) => c.name === name));
  const given = await asking.choose(cards, [], new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]));
  const opinions = given.opinions.map((one) => ({...one, card: cards.find((card) => card.name === one.name)}));
  const {main} = chooseAnswer(opinions, {}), {timings} = given;
  return {name: main?.name ?? "", state: main?.said.state ?? given.nobody.state, p: main?.probabilities ?? {}, timings};
}"""
_TITLE = """async (name) => {
  const {checkups} = await (await fetch("release.json")).json();
  return checkups.find((c) => c.name === name).words.en.title;
}"""
_PIXELS = """async ([data, side]) => {
  const {decode, fit} = await import(new URL("picture.js", document.querySelector("script[type=module]").src));
  const fitted = fit(await decode(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), side), side);
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", fitted)));
}"""


def pictures(folder: Path, count: int) -> list[Path]:
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))
    return random.Random(22).sample(files, min(count, len(files)))


def serve(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    log = home / "serve.log"
    with log.open("wb") as err:
        command = [sys.executable, "-m", "medloupe", "serve", "--port", "0"]
        process = subprocess.Popen(command, env={**os.environ, "MEDLOUPE_HOME": str(home)}, stderr=err)
    until = time.monotonic() + 180
    while time.monotonic() < until:
        if told := re.search(r"http://\S+:(\d+)/", log.read_text("utf-8")):
            return process, f"http://localhost:{told[1]}"
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def near_a_line(p: Mapping[str, float], decision: Decision) -> bool:
    lines = [line for n in p if (line := decision.line(n)) is not None]
    lines += [v for v in (decision.rule.unclear_from,) if v is not None]
    values = [*p.values(), float(decision.rule.finding(np.array(list(p.values()))))]
    order = sorted(p.values(), reverse=True)
    return any(abs(v - line) <= NEAR for v in values for line in lines) or order[0] - order[1] <= NEAR


def judge(page: Any, name: str, files: list[Path]) -> dict[str, Any]:
    model = load_shipped(name)
    predictor, decision = Predictor(model, network_threads=1), Decision.from_card(model.card)
    found: dict[str, Any] = dict.fromkeys(("pixels", "states", "near", "auto"), 0)
    device, python, most = [], [], 0.0
    for path in files:
        data = path.read_bytes()
        began = time.perf_counter()
        said = predictor.predict(path, photo=NEVER)
        python.append(1000 * (time.perf_counter() - began))
        text = base64.b64encode(data).decode()
        answer = page.evaluate(_ANSWER, [name, text])
        device.append(answer["timings"])
        most = max(most, *(abs(p - answer["probabilities"][n]) for n, p in said.probabilities.items()))
        if answer["said"]["state"] != said.state:
            found["near" if near_a_line(said.probabilities, decision) else "states"] += 1
        found["auto"] += predictor.predict(path, photo=AUTO).state != said.state
        fitted = decode_picture(path, min_side=224).fit(224)
        found["pixels"] += bytes(page.evaluate(_PIXELS, [text, 224])) != hashlib.sha256(fitted.tobytes()).digest()
    whole = np.array([sum(t.values()) for t in device])
    parts = {k: float(np.median([t[k] for t in device])) for k in ("decode", "network", "answer")}
    found |= {"n": len(files), "most": most, "device": float(np.median(whole)), "python": float(np.median(python))}
    return {**found, **parts}


def judge_choosing(page: Any, auto: AutoPredictor, names: list[str], files: list[Path]) -> dict[str, Any]:
    """Let pictures choose among check-ups, in the browser and in Python."""
    found: dict[str, Any] = {"n": len(files), "main": 0, "states": 0, "most": 0.0}
    device, python = [], []
    for path in files:
        began = time.perf_counter()
        said = auto.predict(path)
        python.append(1000 * (time.perf_counter() - began))
        answer = page.evaluate(_CHOOSE, [names, base64.b64encode(path.read_bytes()).decode()])
        device.append(sum(answer["timings"].values()))
        found["main"] += answer["name"] != said.model
        found["states"] += answer["state"] != said.state
        if answer["name"] == said.model:
            found["most"] = max(found["most"], *(abs(p - answer["p"][n]) for n, p in said.probabilities.items()), 0.0)
    return {**found, "device": float(np.median(device)), "python": float(np.median(python))}


def start_up(context: Any, url: str, picture: Path) -> list[float]:
    """Open the page anew, and hand it a picture as soon as it takes one: seconds up to the answer on it."""
    starts = []
    for _ in range(STARTS):
        page = context.new_page()
        began = time.perf_counter()
        page.goto(f"{url}/device/")
        page.wait_for_selector("html[data-ready]")
        page.locator("[data-files]").set_input_files(picture)
        page.locator("[data-list] > li[data-state]:not([data-state=''])").wait_for()
        starts.append(time.perf_counter() - began)
        page.close()
    return starts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--only", default="")
    told = parser.parse_args()
    names = [n for n in SETS if n in list_shipped() and (not told.only or n in told.only.split(","))]
    home = Path(tempfile.mkdtemp())
    os.environ["MEDLOUPE_HOME"] = str(home)
    process, url = serve(home)
    try:
        with sync_playwright() as started:
            options = ["--no-sandbox", "--disable-gpu"]
            browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=options)
            context = browser.new_context(locale="en")
            context.set_default_timeout(120_000)
            run(context, url, names, told.data, told.count)
            browser.close()
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)


def run(context: Any, url: str, names: list[str], data: Path, count: int) -> None:
    page = context.new_page()
    wire = 0
    session = context.new_cdp_session(page)
    session.send("Network.enable")

    def add(event: dict[str, Any]) -> None:
        nonlocal wire
        wire += event["encodedDataLength"]

    session.on("Network.loadingFinished", add)
    page.goto(f"{url}/device/")
    page.wait_for_selector("html[data-ready]")
    print("| check-up | fetched for it, packed |\n|---|---|")
    order = sorted(names, key=lambda n: load_shipped(n).tail is not None)
    first = pictures(data / SETS[order[0]], 1)[0]
    for i, name in enumerate(order):
        before = 0 if i == 0 else wire
        title = page.evaluate(_TITLE, name)
        page.get_by_role("button", name=f"Keep {title}").click()
        page.get_by_role("button", name=f"Remove {title}").wait_for()
        page.wait_for_timeout(500)
        kind = " (fine-tuned)" if load_shipped(name).tail else ""
        print(f"| {name}{kind}{', the first' if i == 0 else ''} | {(wire - before) / 1e6:.2f} MB |", flush=True)
        if i == 0:
            context.set_offline(True)
            alone = start_up(context, url, first)
            context.set_offline(False)
    context.set_offline(True)
    for what, starts in (("one check-up kept", alone), ("all kept, the app chooses", start_up(context, url, first))):
        told = f"median {np.median(starts):.2f} s ({min(starts):.2f} to {max(starts):.2f})"
        print(f"\nStart to first answer, {what}: {told}; load {os.getloadavg()[0]:.1f}")
    page.close()
    page = context.new_page()
    page.goto(f"{url}/device/")
    page.wait_for_selector("html[data-ready]")
    print()
    heads = ("check-up", "pictures", "other pixels", "largest difference of p", "other states", "of these near a line")
    heads += ("device, ms", "of it decoding / network / rest", "Python, ms", "times", "other states with `photo=auto`")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in names:
        other = "skin" if SETS[name] != "skin" else "brain_mri"
        files = pictures(data / SETS[name], count) + pictures(data / other, count // 10)
        r = judge(page, name, files)
        print(
            f"| {name} | {r['n']} | {r['pixels']} | {r['most']:.0e} | {r['states'] + r['near']} | {r['near']} |"
            f" {r['device']:.0f} | {r['decode']:.0f} / {r['network']:.0f} / {r['answer']:.0f} | {r['python']:.1f} |"
            f" {r['device'] / r['python']:.1f} | {r['auto']} |",
            flush=True,
        )
    auto = AutoPredictor([load_shipped(name) for name in names], network_threads=1)
    auto.photo = NEVER
    heads = ("pictures of", "pictures", "other main answer", "other states", "largest difference of p")
    heads += ("device, ms", "Python, ms", "times")
    print(f"\nThe app chooses, load {os.getloadavg()[0]:.1f}:\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for of in dict.fromkeys([*(SETS[name] for name in names), *FOREIGN]):
        r = judge_choosing(page, auto, names, pictures(data / of, max(4, count // 4)))
        print(
            f"| {of} | {r['n']} | {r['main']} | {r['states']} | {r['most']:.0e} | {r['device']:.0f} |"
            f" {r['python']:.1f} | {r['device'] / r['python']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
