"""Whether other browsers answer on the device as Python does: Chromium, Debian's Firefox ESR and WebKitGTK.

    python benchmarks/browsers.py [--data ../shared/data] [--count 12] [--only pneumonia,breast]

Each browser is started as people start it, without a driver; WebKitGTK as MiniBrowser in Xvfb. Its page keeps the
check-ups; then the server hands out nothing more, and real pictures and photographs of them (made by
medloupe.imaging.rephotograph, screens and films in turn) are answered from what was kept. They are held against Python
with the same network in one thread, photographs found by themselves: corners, fitted pixels, probabilities and states.
Milliseconds are medians of the same run, the first answer left out.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from anybrowser import Job, answer_elsewhere, installed_browsers
from device import NEAR, SETS, near_a_line, pictures
from medloupe.imaging.decode import decode, decode_picture
from medloupe.imaging.photo import AUTO
from medloupe.imaging.rephotograph import photograph_light_box, photograph_screen
from medloupe.inference.pictures import Predictor
from medloupe.model.decision import Decision
from medloupe.ondevice.folder import write_folder
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.device import build_device_release
from medloupe.starter.shipped import load_shipped

SECONDS = 500


def photographed(path: Path, number: int) -> bytes:
    take = photograph_light_box if number % 2 else photograph_screen
    out = io.BytesIO()
    Image.fromarray(take(decode(path), np.random.default_rng([22, number]))).save(out, "JPEG", quality=85)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--only", default="pneumonia,breast")
    told = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    names = told.only.split(",")
    release = build_device_release([CheckUp.of(load_shipped(name)) for name in names], server=False)
    jobs: list[Job] = []
    for name in names:
        for k, path in enumerate(pictures(told.data / SETS[name], told.count)):
            jobs += [Job(name, path.read_bytes()), Job(name, photographed(path, k))]
    predictors = {name: Predictor(load_shipped(name), network_threads=1) for name in names}
    expected, python = [], []
    for job in jobs:
        began = time.perf_counter()
        expected.append(predictors[job.name].predict(job.data, photo=AUTO))
        python.append(1000 * (time.perf_counter() - began))
    heads = "browser | kept, net cut | answers | photographs found, Python / browser | other corners | other pixels |"
    print(f"| {heads} largest difference of p | other states | of these near a line | ms | Python, ms |")
    print("|" + 11 * "---|")
    for browser in installed_browsers():
        folder = Path(tempfile.mkdtemp()) / "web"
        write_folder(release, folder)
        try:
            made = answer_elsewhere(browser, release, folder, jobs, SECONDS)
        except (TimeoutError, RuntimeError) as e:
            print(f"| {browser} | {str(e).splitlines()[0]} |", flush=True)
            continue
        pixels = corners = states = near = 0
        most = 0.0
        for job, said, answer in zip(jobs, expected, made["found"], strict=True):
            picture = decode_picture(job.data, min_side=224, photo=AUTO)
            pixels += base64.b64decode(answer["pixels"]) != picture.fit(224).tobytes()
            own, there = picture.photo and picture.photo.corners, answer["photo"] and answer["photo"]["corners"]
            corners += (own is None) != (there is None) or bool(
                own and there and np.abs(np.array(own) - np.array(there)).max() > NEAR
            )
            most = max(most, *(abs(p - answer["probabilities"][n]) for n, p in said.probabilities.items()))
            if answer["said"]["state"] != said.state:
                states += 1
                near += near_a_line(said.probabilities, Decision.from_card(load_shipped(job.name).card))
        whole = [sum(a["timings"].values()) for a in made["found"]][1:]
        found = sum(s.photo is not None for s in expected), sum(a["photo"] is not None for a in made["found"])
        agent = made["agent"].split(") ")[-1]
        print(
            f"| {browser} ({agent}) | {'yes' if made['kept'] else 'no'} | {len(jobs)} | {found[0]} / {found[1]} |"
            f" {corners} | {pixels} | {most:.0e} | {states} | {near} | {np.median(whole):.0f} |"
            f" {np.median(python[1:]):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
