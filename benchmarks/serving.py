"""medloupe's server beside Flask, gunicorn, bare FastAPI, LitServe and BentoML: same model, same JPEG files, one run.

    python -m venv others && others/bin/pip install flask gunicorn litserve bentoml fastapi "uvicorn[standard]" \\
        python-multipart onnxruntime pillow
    python benchmarks/serving.py --peers-python others/bin/python --out serving.json
    python benchmarks/serving.py --table serving.json          # the tables of an earlier run

A model is trained on generated pictures and exported to one ONNX file, which all peers run; all get the same generated
photographs as the multipart field `image`. Peers decode with Pillow, fit, run the file and answer probabilities;
medloupe serves the same model from its store and does all it always does (header checks, decoding in processes of its
own, heat map, refusal, the answer on record before it is given).

Every server is started once and stopped (SIGSTOP) while it is not its turn. A round takes every size and number of
clients in turn and asks every server for it, in an order that moves on with each round, so that ratios are of
neighbouring seconds. Each answer, also of the measured ones, must be 200 and within 0.05 of the probabilities that the
file gives in this process. Linux only.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from load import Job
from peers.work import answer, decode, labels
from servers import PEERS, Server, peer, versions
from servertables import tables

NAME = "shapes"
"""Of the check-up that is trained for the measurement."""

TOLERANCE = 0.05
"""Most that a probability may differ between servers, because decoding a large JPEG at a reduced size moves pixels."""

PICTURES = 12  # of each size
_WARM = 0.5  # seconds


def photograph(number: int, sick: bool, width: int, height: int) -> Image.Image:
    """Light falling off over soft texture, with grain; sick has bright discs. The same scene at every size."""
    rng = np.random.default_rng([number, int(sick)])
    tones = rng.uniform(40, 170, (2, 2, 3))
    texture = rng.normal(0, 18, (24, 32, 3))
    discs = rng.uniform((0.1, 0.1, 0.03), (0.9, 0.9, 0.08), (7, 3))  # x, y, radius as parts of the picture
    colours = rng.uniform(150, 250, (7, 3))
    small = np.asarray([_enlarged(t, width, height) for t in np.moveaxis(texture, 2, 0)])
    light = np.asarray([_enlarged(t, width, height) for t in np.moveaxis(tones, 2, 0)])
    pixels = np.moveaxis(small + light, 0, 2) + rng.normal(0, 4, (height, width, 1))
    yy, xx = np.mgrid[:height, :width]
    for (x, y, radius), colour in zip(discs[: 7 if sick else 2], colours, strict=False):
        far = np.hypot(xx - x * width, yy - y * height) / (radius * height)
        cover = np.clip((1 - far) * 8, 0, 1)[..., None]
        pixels = pixels * (1 - cover) + (colour if sick else 0.5 * colour) * cover
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _enlarged(values: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))


def write_pictures(folder: Path, width: int) -> list[Path]:
    """PICTURES files of width × 3/4 width, JPEG of quality 85 to 90, half of them sick."""
    folder.mkdir(parents=True)
    paths = []
    for i in range(PICTURES):
        paths.append(folder / f"{i:02}.jpg")
        photograph(1000 + i, i % 2 == 1, width, width * 3 // 4).save(paths[-1], quality=85 + i % 6)
    return paths


def train(home: Path, folder: Path, precision: str) -> Path:
    """A model NAME in the store of this home; the path of its one exported file, in single precision.

    With int8 the store also keeps the model in 8-bit integers, of which medloupe's server takes the faster.
    """
    for label, sick in (("clear", False), ("discs", True)):
        (folder / "data" / label).mkdir(parents=True)
        for i in range(24):
            photograph(i, sick, 640, 480).save(folder / "data" / label / f"{i:02}.jpg", quality=88)
    onnx = folder / f"{NAME}.onnx"
    wanted = [["train", str(folder / "data"), "--name", NAME], ["export", NAME, str(onnx)]]
    if precision == "int8":
        wanted.append(["export", NAME, str(folder / "int8.onnx"), "--precision", "int8"])
    for arguments in wanted:
        command = [sys.executable, "-m", "medloupe", *arguments]
        subprocess.run(command, env={**os.environ, "MEDLOUPE_HOME": str(home)}, check=True, stdout=sys.stderr)
    return onnx


def expected(onnx: Path, pictures: Sequence[Path]) -> list[dict[str, float]]:
    """What the exported file says of each picture, run in this process."""
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    names = labels(session)
    return [answer(session, names, decode(io.BytesIO(path.read_bytes())))["probabilities"] for path in pictures]


def check(server: str, body: str, truth: dict[str, float]) -> float:
    """How far the probabilities are from the true ones. Exits with a message where that is over TOLERANCE."""
    said = json.loads(body)
    if server == "medloupe" and not (said["heatmap"].keys() == truth.keys() and "refused" in said):
        sys.exit(f"{server} answers without heat map or refusal: {sorted(said)}")
    told = said["probabilities"]
    if told.keys() != truth.keys():
        sys.exit(f"{server} answers the labels {sorted(told)}; expected {sorted(truth)}")
    worst = max(abs(told[label] - p) for label, p in truth.items())
    best, second = sorted(truth.values(), reverse=True)[:2]
    another = max(told, key=lambda label: told[label]) != max(truth, key=lambda label: truth[label])
    # Between two labels that are closer than this the tolerance may decide.
    if worst > TOLERANCE or (another and best - second > 2 * TOLERANCE):
        sys.exit(f"{server} answers {told}; expected {truth}")
    return worst


class Loader:
    """The load generator's process."""

    def __init__(self) -> None:
        script = Path(__file__).with_name("load.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def run(self, job: Job) -> dict[str, Any]:
        """The measurements, see load.Run.measure; `error` where the server did not answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def turn(loader: Loader, server: Server, job: Job, truth: Sequence[dict[str, float]], **cell: int) -> dict[str, Any]:
    """One server's turn at one size and number of clients: a row of the result."""
    server.wake()
    result = loader.run(job)
    memory = server.memory()
    server.rest()
    if result.get("error") or result["failed"]:
        sys.exit(f"{server.name}: {result.get('error') or result['failed']}\n{server.log_end()}")
    worst = max(check(server.name, body, truth[picture]) for picture, body in result["answers"])
    n, seconds = result["requests"], result["seconds"]
    return {
        **cell,
        "server": server.name,
        "requests": n,
        "rate": n / seconds,
        "cpu_ms": 1000 * result["cpu"] / n,
        "elsewhere": result["elsewhere"],
        "latencies_ms": result["latencies"],
        "difference": worst,
        **memory,
    }


def measure(told: argparse.Namespace) -> dict[str, Any]:
    """The whole run."""
    cores = len(os.sched_getaffinity(0))
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="serving-")))
        onnx = train(folder / "home", folder, told.precision)
        pictures = {size: write_pictures(folder / f"{size}", size) for size in told.sizes}
        truth = {size: expected(onnx, paths) for size, paths in pictures.items()}
        loader = stack.enter_context(Loader())
        servers = []
        for name in told.servers:
            print(f"starting {name}", file=sys.stderr)
            server = stack.enter_context(peer(name, onnx, folder, NAME, told.peers_python, cores))
            for size in told.sizes:
                job = Job(server.port, server.path, [str(p) for p in pictures[size]], 1, 0.5, 0, server.pid)
                server.wait(loader, job)
            server.rest()
            servers.append(server)
        for r in range(told.rounds):
            for i, (size, clients) in enumerate((s, c) for s in told.sizes for c in told.clients):
                shift = (r + i) % len(servers)
                for server in servers[shift:] + servers[:shift]:
                    job = Job(
                        port=server.port,
                        path=server.path,
                        pictures=[str(p) for p in pictures[size]],
                        clients=clients,
                        seconds=told.seconds,
                        warm=_WARM,
                        root=server.pid,
                    )
                    rows.append(turn(loader, server, job, truth[size], round=r, size=size, clients=clients))
            print(f"round {r + 1} of {told.rounds}", file=sys.stderr)
        kilobytes = {str(size): round(np.mean([p.stat().st_size for p in ps]) / 1000) for size, ps in pictures.items()}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": cores, "architecture": platform.machine(), "system": platform.system()},
        "versions": versions(told.peers_python, told.servers),
        "precision": told.precision,
        "rounds": told.rounds,
        "seconds": told.seconds,
        "kilobytes": kilobytes,
        "rows": rows,
    }


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def program(name: str) -> str:
    """Its whole path; servers are started in another folder. Not resolved: a venv's python is a link."""
    return str(Path(shutil.which(name) or name).absolute())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", type=program, default=sys.executable, help="the python that has the peers")
    parser.add_argument("--servers", type=lambda s: s.split(","), default=list(PEERS), help=", ".join(PEERS))
    parser.add_argument("--sizes", type=numbers, default=[640, 1920], help="widths of the pictures")
    parser.add_argument("--clients", type=numbers, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of measuring in each turn, after a warm-up")
    parser.add_argument("--precision", choices=("fp32", "int8"), default="fp32", help="that medloupe may answer by")
    parser.add_argument("--out", type=Path, help="every turn as JSON")
    parser.add_argument("--table", type=Path, help="no run: the tables of this JSON file")
    told = parser.parse_args()
    if unknown := set(told.servers) - set(PEERS):
        parser.error(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if told.table:
        print(tables(json.loads(told.table.read_text())))
        return
    started = time.perf_counter()
    result = measure(told)
    if told.out:
        told.out.write_text(json.dumps(result, indent=1) + "\n")
    print(tables(result))
    print(f"{time.perf_counter() - started:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
