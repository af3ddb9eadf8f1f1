"""Whether pictures shrunk in the browser before they are sent are answered as the whole ones are.

    python benchmarks/shrinking.py [--data ../shared/data] [--only pneumonia,skin] [--pictures 60] [--of N] [--own]
    python benchmarks/shrinking.py --net [--times 5]

Pictures that each check-up learned from are rendered with a longer side of 4,000 pixels: enlarged with the noise of a
sensor, as JPEG ("export"), and as photographs of a screen, film or print by field_family.py, with mild faults
("photograph"). Each is answered as it is and as the page's own modules shrink it in headless Chromium, both by the way
of the server, which finds photographs by itself. Heads fitted without the picture's group answer, on the test split
that the data brings where it was judged on one; tuned stages have seen these pictures, so that there only differences
hold. Differences are shrunk less whole, with a bootstrap over groups. "Withheld" are answers that are not given, as the
picture is foreign, poor, or beyond a limit of quality. With --of the set is thinned to so many pictures first, from
which the heads learn: levels are lower then, differences are as honest. With --own the check-up itself answers, which
takes a hundredth of the time and flatters levels: then only differences hold.

With --net: a server, and a Chromium of a phone's size at 20 kB a second each way and 50 ms, from a chosen photograph of
12 megapixels to the answer on the page, with shrinking and without; and what was asked of the server in between, since
each of these takes bytes and round trips from the picture.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import field_family
from device import pictures as sample
from device import serve
from medloupe.data.contents import read_content
from medloupe.data.records import Dataset
from medloupe.embed.network import Network
from medloupe.evaluation.heldout import HeldOutPanel, assemble_panel
from medloupe.evaluation.judges import make_own_judge
from medloupe.imaging.decode import decode, decode_picture
from medloupe.imaging.photo import AUTO
from medloupe.imaging.quality import MEASURES, Limits, as_numbers
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Ranking
from medloupe.model.alignment import align_targets
from medloupe.model.bundle import Model
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.sending import SendingLimits, sending_limits
from medloupe.starter import shipped
from medloupe.training.pipeline.quality import are_stopped
from starters import STARTERS

LONGER = 4000
PHOTOGRAPHED = 1280  # pixels at which a photograph is made before it is enlarged: to make one of 4000 takes 20 s
FORMS = ("export", "photograph")
RATE = 20_000
_SHRINK = """async ([data, limits]) => {
  globalThis.worker ??= new Worker("/shrinker.js", {type: "module"});
  const file = new Blob([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))]), began = performance.now();
  const {made} = await new Promise((done) => {
    worker.onmessage = ({data}) => done(data);
    worker.postMessage({id: 1, file, limits});
  });
  const spent = performance.now() - began;
  if (!made) return {spent};
  let text = "";
  for (const v of new Uint8Array(await made.blob.arrayBuffer())) text += String.fromCharCode(v);
  return {spent, data: btoa(text)};
}"""


class _Quiet(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}  # noqa: RUF012

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Shrinker:
    """The page's modules in a browser."""

    def __init__(self, browser: Any, folder: Path):
        for package in ("medloupe.ondevice", "medloupe.serving.web"):
            for module in (files(package) / "static").iterdir():
                if module.name.endswith(".js"):
                    (folder / module.name).write_bytes(module.read_bytes())
        (folder / "index.html").write_text("<!doctype html><title>shrinking</title>")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._page = browser.new_page()
        self._page.goto(f"http://127.0.0.1:{self._server.server_port}/")

    def shrink(self, data: bytes, limits: SendingLimits) -> tuple[bytes, float]:
        """Shrink a file: what is sent, and the milliseconds."""
        made = self._page.evaluate(_SHRINK, [base64.b64encode(data).decode(), limits.as_json()])
        return (base64.b64decode(made["data"]) if "data" in made else data), made["spent"]


def render(image: np.ndarray, form: str, rng: np.random.Generator) -> bytes:
    """Render a picture as a file with a longer side of LONGER pixels."""
    if form == "photograph":
        scene = field_family.SCENES[int(rng.integers(len(field_family.SCENES)))]
        image, _ = field_family.photograph(image, rng, scene, field_family.SEVERITIES[0], longer=PHOTOGRAPHED)
    h, w = image.shape[:2]
    scale = LONGER / max(h, w)
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    large = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
    tile = rng.normal(0, 2.5, (256, 256, 1)).astype(np.float32)  # sensor noise, one tile laid out over the picture
    repeats = (size[1] // 256 + 1, size[0] // 256 + 1, 1)
    noisy = large + np.tile(tile, repeats)[: size[1], : size[0]]
    out = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def own_panel(model: Model, data: Dataset, count: int) -> HeldOutPanel:
    """Choose pictures of a set, as many of each label as there are, that the check-up itself answers."""
    rng = np.random.default_rng(22)
    targets = align_targets(model, data)
    chosen: list[int] = []
    for of in (targets == 1).T:
        rows = np.flatnonzero(of)
        chosen += rng.choice(rows, min(len(rows), count // len(model.labels)), replace=False).tolist()
    rows = np.array(sorted(set(chosen)))
    return HeldOutPanel(
        records=tuple(data.records[i] for i in rows),
        targets=targets[rows],
        groups=np.arange(len(rows)),
        judges=[make_own_judge(model, np.arange(len(rows)))],
        judged="model",
        of=len(data.records),
        fitted=0,
        left_out={},
    )


def thin_out(data: Dataset, most: int) -> Dataset:
    """Keep at most so many pictures, as many of each label and of each split as there are."""
    rng = np.random.default_rng(22)
    kinds: dict[tuple[object, ...], list[int]] = {}
    for i, record in enumerate(data.records):
        kinds.setdefault((record.split, *sorted(record.labels.items())), []).append(i)
    each = max(1, most // len(kinds))
    rows = sorted(i for of in kinds.values() for i in rng.permutation(of)[:each].tolist())
    return replace(data, records=tuple(data.records[i] for i in rows))


def judge(name: str, data: Path, count: int, shrinker: Shrinker, *, own: bool, of: int) -> None:
    """Print the rows of one check-up."""
    starter = next(s for s in STARTERS if s.name == name)
    model = shipped.load_shipped(name)
    limits = sending_limits(CheckUp.of(model))
    if limits is None:
        print(f"<!-- {name}: sent as it is -->")
        return
    read = starter.read(data)
    read = thin_out(read, of) if of else read
    panel = own_panel(model, read, count) if own else assemble_panel(model, read, count, 0, lambda *_: None)
    network, size = Network(model.backbone, model.tail, threads=1), model.backbone.card.input_size
    judges = {int(i): j for j in panel.judges for i in j.rows}
    bounds = Limits.from_json(model.card.get("quality"))
    n = len(panel.records)
    for form in FORMS:
        p = np.zeros((2, n, len(model.labels)), np.float32)
        withheld, heavy, spent = np.zeros((2, n), bool), np.zeros((2, n)), []
        for i, record in enumerate(panel.records):
            rng = np.random.default_rng([22, i])
            whole = render(decode(read_content(record.picture)), form, rng)
            small, ms = shrinker.shrink(whole, limits)
            spent.append(ms)
            for k, sent in enumerate((whole, small)):
                picture = decode_picture(sent, min_side=size, photo=AUTO)
                seen = network.see(picture.fit(size)[None])
                p[k, i] = judges[i].head.probabilities(seen.embedding)[0]
                novelty = judges[i].novelty
                foreign = novelty is not None and (
                    novelty.score(seen.shared)[0] > 1 or novelty.too_poor(seen.shared)[0]
                )
                measures = np.array([as_numbers(picture.measure())]).reshape(1, len(MEASURES))
                withheld[k, i] = foreign or (bounds is not None and are_stopped(measures, bounds)[0])
                heavy[k, i] = len(sent)
        aucs = [weighted.average([Ranking(s, t).auc for s, t in zip(v.T, panel.targets.T, strict=True)]) for v in p]
        told = weighted.bootstrap_intervals(
            {"whole": aucs[0], "shrunk": aucs[1], "difference": lambda w, a=aucs: a[1](w) - a[0](w)}, panel.groups
        )
        d = told["difference"]
        far = np.abs(p[0] - p[1]).max(1)
        print(
            f"| {name} | {form} | {n} | {told['whole']['value']:.3f} | {told['shrunk']['value']:.3f} |"
            f" {d['value']:+.3f} ({d['low']:+.3f} to {d['high']:+.3f}) |"
            f" {np.median(far):.3f} / {np.quantile(far, 0.95):.3f} |"
            f" {withheld[0].sum()} / {withheld[1].sum()} / {(withheld[0] != withheld[1]).sum()} |"
            f" {np.median(heavy[0]) / 1e3:.0f} / {np.median(heavy[1]) / 1e3:.0f} / {heavy[1].max() / 1e3:.0f} |"
            f" {np.median(spent):.0f} |",
            flush=True,
        )


def time_the_net(data: Path, times: int, browser: Any) -> None:
    """Print the seconds from a chosen photograph to the answer, at RATE bytes a second."""
    home = Path(tempfile.mkdtemp())
    os.environ["MEDLOUPE_HOME"] = str(home)
    process, url = serve(home)
    whole = home / "photograph.jpg"
    source = decode(sample(data / "chest_pneumonia", 1)[0])
    whole.write_bytes(render(source, "photograph", np.random.default_rng(22)))
    print(f"{whole.stat().st_size / 1e3:.0f} kB, {RATE / 1e3:.0f} kB/s, 50 ms")
    try:
        for shrunk in (True, False):
            tries = [
                _answer_once(browser, url, whole, shrunk=shrunk) for _ in range(times if shrunk else min(times, 2))
            ]
            seconds, sent, came = ([t[k] for t in tries] for k in range(3))
            spread = f"median {np.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"
            wire = f"{np.median(sent) / 1e3:.1f} kB there and {np.median(came) / 1e3:.1f} kB back"
            alone = f"which take {(np.median(sent) + np.median(came)) / RATE:.2f} s by themselves"
            print(f"{'shrunk' if shrunk else 'whole'}: {spread}; {wire}, {alone}", flush=True)
            for one, t in zip(tries, seconds, strict=True):
                print(f"  {t:.2f} s: {', '.join(one[3])}")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home)


def _answer_once(browser: Any, url: str, whole: Path, *, shrunk: bool) -> tuple[float, int, int, list[str]]:
    """Answer once: seconds, bytes sent and received in them, and what was asked when."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    context.set_default_timeout(300_000)
    page = context.new_page()
    page.goto(f"{url}/checkups/pneumonia")
    page.wait_for_load_state("networkidle")
    if not shrunk:
        page.locator("[data-shrink]").uncheck()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    rates = {"downloadThroughput": RATE, "uploadThroughput": RATE}
    session.send("Network.emulateNetworkConditions", {"offline": False, "latency": 50, **rates})
    moved = {"sent": 0, "came": 0}
    asked: list[str] = []

    def count_sent(event: dict[str, Any]) -> None:
        moved["sent"] += int({k.lower(): v for k, v in event["headers"].items()}.get("content-length", 0))

    def count_came(event: dict[str, Any]) -> None:
        moved["came"] += int(event["encodedDataLength"])

    def note_request(event: dict[str, Any]) -> None:
        path = event["request"]["url"].removeprefix(url).split("?")[0][:80]  # a data URL is as long as its picture
        asked.append(f"{event['request']['method']} {path} at {time.perf_counter() - began:.2f}")

    session.on("Network.requestWillBeSent", note_request)
    session.on("Network.requestWillBeSentExtraInfo", count_sent)
    session.on("Network.loadingFinished", count_came)
    began = time.perf_counter()
    page.locator("input[type=file]").first.set_input_files(whole)
    page.locator("[data-submit]").click()
    page.locator("[data-says]").wait_for()
    spent = time.perf_counter() - began
    context.close()
    return spent, moved["sent"], moved["came"], asked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--of", type=int, default=0)
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--net", action="store_true")
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        if asked.net:
            time_the_net(asked.data, asked.times, browser)
            return
        shrinker = Shrinker(browser, Path(tempfile.mkdtemp()))
        print("| check-up | rendered | pictures | AUC whole | AUC shrunk | difference | of p, median / 95 % |", end="")
        print(" withheld whole / shrunk / other state | kB whole / shrunk / most | ms to shrink |\n|" + 10 * "---|")
        names = [s.name for s in STARTERS if s.kind != "ECG" and not s.finds]
        for name in names:
            if not asked.only or name in asked.only.split(","):
                judge(name, asked.data, asked.pictures, shrinker, own=asked.own, of=asked.of)
        browser.close()


if __name__ == "__main__":
    main()
