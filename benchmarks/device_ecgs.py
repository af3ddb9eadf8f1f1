"""Whether answers to ECGs worked out in a browser are Python's, how long they take, and what is fetched for them.

    python benchmarks/device_ecgs.py [--data ../shared/data] [--count 500]

A server hands out the app to headless Chromium, which keeps a check-up of pictures and both of ECGs; then its network
is cut. Recordings are answered in turn by the browser and by Python in one thread, with the same network: the WFDB
records of the two sets, and recordings of PTB-XL that are there as numbers, written as WFDB and as EDF. Milliseconds
are medians by the clock, of the same run, reading included; on a busy machine their ratio means more than they do, so
the load is printed with them. Megabytes are as they came over the wire, packed.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

import medloupe
from device import serve
from medloupe.ecg.files import gather_files
from medloupe.ecg.signal import TWELVE
from medloupe.starter.shipped import load_shipped

KEPT = ("pneumonia", "ecg12", "arrhythmia")
_ANSWER = """async ([name, files]) => {
  const home = document.querySelector("script[type=module]").src;
  const {current} = await import(new URL("keeper.js", home)), {Asking} = await import(new URL("asking.js", home));
  globalThis.asking ??= new Asking();
  globalThis.cards ??= Object.fromEntries((await current()).release.checkups.map((c) => [c.name, c]));
  const named = files.map(([name, data]) => new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));
  const {said, probabilities, timings, ecg} = await asking.answerEcg(cards[name], named, {});
  return {state: said.state, flagged: said.flagged, p: probabilities, timings, peaks: ecg.peaks.length};
}"""
_TITLE = """async (name) => {
  const {checkups} = await (await fetch("release.json")).json();
  return checkups.find((c) => c.name === name).words.en.title;
}"""

Files = Mapping[str, bytes]


def as_wfdb(samples: np.ndarray) -> Files:
    """Counts, int16 (12, n), 1,000 a millivolt, 100 Hz, as a WFDB record."""
    lines = [f"r.dat 16 1000(0)/mV 16 0 0 0 0 {name}" for name in TWELVE]
    header = "\n".join([f"r 12 100 {samples.shape[1]}", *lines, ""])
    return {"r.hea": header.encode(), "r.dat": samples.T.astype("<i2").tobytes()}


def as_edf(samples: np.ndarray) -> Files:
    """The same as EDF, in microvolts."""
    n = samples.shape[1]
    head = [("0", 8), ("", 80), ("", 80), ("01.01.26", 8), ("00.00.00", 8), (str(256 * 13), 8), ("", 44), ("1", 8)]
    head += [(str(n // 100), 8), ("12", 4)]
    fields: list[tuple[Iterable[str], int]] = [(TWELVE, 16), ([""] * 12, 80), (["uV"] * 12, 8), (["-32768"] * 12, 8)]
    fields += [(["32767"] * 12, 8), (["-32768"] * 12, 8), (["32767"] * 12, 8), ([""] * 12, 80), ([str(n)] * 12, 8)]
    fields.append(([""] * 12, 32))
    text = "".join(value.ljust(width) for value, width in head)
    text += "".join(value.ljust(width) for values, width in fields for value in values)
    return {"r.edf": text.encode() + samples.astype("<i2").tobytes()}


def judge(page: Any, name: str, recordings: Iterable[Files]) -> dict[str, Any]:
    """Answer recordings in the browser and in Python."""
    predictor = medloupe.predictor(load_shipped(name), network_threads=1)
    found: dict[str, Any] = {"n": 0, "states": 0, "most": 0.0, "beats": 0}
    device, python, parts = [], [], []
    for files in recordings:
        began = time.perf_counter()
        said = predictor.predict(files, heatmap=True)
        python.append(1000 * (time.perf_counter() - began))
        sent = [[file, base64.b64encode(data).decode()] for file, data in files.items()]
        answer = page.evaluate(_ANSWER, [name, sent])
        device.append(sum(answer["timings"].values()))
        parts.append(answer["timings"]["decode"])
        found["n"] += 1
        found["states"] += (answer["state"], answer["flagged"]) != (said.state, list(said.said.flagged))
        found["most"] = max(found["most"], *(abs(p - answer["p"][k]) for k, p in said.probabilities.items()))
        assert said.ecg is not None
        found["beats"] += abs(answer["peaks"] - len(said.ecg.peaks))
    medians = {"device": device, "read": parts, "python": python}
    return {**found, **{key: float(np.median(values)) for key, values in medians.items()}}


def keep_all(context: Any, page: Any) -> None:
    """Keep the check-ups, and print what each added over the wire."""
    wire = 0
    session = context.new_cdp_session(page)
    session.send("Network.enable")

    def add(event: dict[str, Any]) -> None:
        nonlocal wire
        wire += event["encodedDataLength"]

    session.on("Network.loadingFinished", add)
    print("| check-up | fetched for it, packed |\n|---|---|")
    for i, name in enumerate(KEPT):
        before, title = wire, page.evaluate(_TITLE, name)
        page.get_by_role("button", name=f"Keep {title}").click()
        page.get_by_role("button", name=f"Remove {title}").wait_for()
        page.wait_for_timeout(500)
        print(f"| {name}{'' if i else ', the first'} | {(wire - before) / 1e6:.2f} MB |", flush=True)


def run(context: Any, url: str, data: Path, count: int) -> None:
    page = context.new_page()
    page.goto(f"{url}/device/")
    page.wait_for_selector("html[data-ready]")
    keep_all(context, page)
    context.set_offline(True)
    with np.load(data / "ecg_12lead" / "ptbxl_100hz.npz") as stored:
        counts = stored["X"][: count or None].transpose(0, 2, 1)
    twelve, beats = (data / name / "wfdb" for name in ("ecg_12lead", "ecg_beats"))
    cases = (
        ("ecg12", "WFDB, the records", map(gather_files, sorted(twelve.glob("*.hea")))),
        ("ecg12", "WFDB, written", map(as_wfdb, counts)),
        ("ecg12", "EDF, written", map(as_edf, counts)),
        ("arrhythmia", "WFDB, half an hour", map(gather_files, sorted(beats.glob("*.hea")))),
        ("arrhythmia", "WFDB, twelve leads of 10 s", map(gather_files, sorted(twelve.glob("*.hea")))),
    )
    heads = ("check-up", "recordings", "how many", "largest difference of p", "other states or flags", "other beats")
    heads += ("device, ms", "of it reading", "Python, ms", "times", "load")
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, what, recordings in cases:
        r = judge(page, name, recordings)
        print(
            f"| {name} | {what} | {r['n']} | {r['most']:.0e} | {r['states']} | {r['beats']} | {r['device']:.0f} |"
            f" {r['read']:.0f} | {r['python']:.1f} | {r['device'] / r['python']:.1f} | {os.getloadavg()[0]:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=500)
    told = parser.parse_args()
    home = Path(tempfile.mkdtemp())
    os.environ["MEDLOUPE_HOME"] = str(home)
    process, url = serve(home)
    try:
        with sync_playwright() as started:
            options = ["--no-sandbox", "--disable-gpu"]
            browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=options)
            context = browser.new_context(locale="en")
            context.set_default_timeout(180_000)
            run(context, url, told.data, told.count)
            browser.close()
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
