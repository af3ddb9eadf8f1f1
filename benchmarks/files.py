"""What it costs that data lie in object storage: training from there against training from a folder, in one run.

    python benchmarks/files.py [--each 150] [--side 256] [--runs 3] [--keys 100000]

The server is moto's, on the same machine: what is measured is the work of both, not a network. Each run trains in a new
home: from the folder, from the bucket, and from the bucket with the copies of the run before. Then the listing of so
many keys is noted in processes of their own, whose largest memory is told.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from PIL import Image

import generated
from medloupe.store.models import Store
from medloupe.utils.remote.address import parse_address
from medloupe.utils.remote.delivery import upload_folder
from medloupe.utils.remote.objects import Bucket
from objectstorage import free_port, run_moto, wait_for_port

_MANY = """
import sys
from moto.server import ThreadedMotoServer
from moto.s3.models import s3_backends
from moto.core import DEFAULT_ACCOUNT_ID
backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
backend.create_bucket("many", "us-east-1")
for i in range(int(sys.argv[2])):
    backend.put_object("many", f"set/{i % 100:02}/{i:08}.png", b"x")
ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False).start()
import threading; threading.Event().wait()
"""
_LIST = """
import resource, sqlite3, sys, tempfile, time
from pathlib import Path
from medloupe.utils.remote.address import parse_address
from medloupe.utils.remote.cache import FilesCache
from medloupe.utils.remote.mirror import _SCHEMA, Mirror
from medloupe.utils.remote.objects import Bucket
address = parse_address("s3://many/set")
with tempfile.TemporaryDirectory() as name:
    cache = FilesCache(Path(name), 1 << 40)
    with cache.hold(address) as entry, sqlite3.connect(entry.folder / "index.sqlite") as index:
        index.execute(_SCHEMA)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        files = Mirror(Bucket(address), cache, entry)._list(index).files
        print(files, time.monotonic() - began, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def train(data: str, home: Path) -> tuple[float, bytes, Any]:
    """Seconds; the head's bytes; the figures."""
    command = [sys.executable, "-m", "medloupe", "train", data, "--name", "x", "--json", "--field", "none"]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MEDLOUPE_HOME": str(home)})
    seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    head = Store(home).get("x", report=False).head
    return seconds, head.weight.tobytes() + head.bias.tobytes(), json.loads(done.stdout.splitlines()[-1])["metrics"]


def measure_training(root: Path, each: int, side: int, runs: int) -> dict[str, Any]:
    data = generated.folders(root / "data" / "set", each)
    for path in data.rglob("*.png"):
        Image.open(path).resize((side, side)).save(path)
    size = sum(p.stat().st_size for p in data.rglob("*.png"))
    with run_moto() as server:
        os.environ.update(server.environment)
        address = f"{server.bucket('files')}/set"
        began = time.monotonic()
        upload_folder(data, Bucket(parse_address(address)))
        uploading = time.monotonic() - began
        seconds: dict[str, list[float]] = {"folder": [], "bucket, cold": [], "bucket, warm": []}
        for run in range(runs):
            homes = {way: root / f"{run}-{i}" for i, way in enumerate(seconds)}
            made = {}
            for way, home in homes.items():
                if way == "bucket, warm":
                    shutil.copytree(homes["bucket, cold"] / "cache" / "files", home / "cache" / "files")
                made[way] = train(str(data) if way == "folder" else address, home)
                seconds[way].append(made[way][0])
            assert len({head for _, head, _ in made.values()}) == 1, "not the same head"
            assert all(figures == made["folder"][2] for _, _, figures in made.values()), "not the same figures"
    return {
        "pictures": 2 * each,
        "MB": round(size / 1e6, 1),
        "upload s": round(uploading, 1),
        **{f"{way} s": [round(s, 1) for s in sorted(v)] for way, v in seconds.items()},
        "overhead cold": round(statistics.median(seconds["bucket, cold"]) / statistics.median(seconds["folder"]), 3),
        "overhead warm": round(statistics.median(seconds["bucket, warm"]) / statistics.median(seconds["folder"]), 3),
    }


def measure_listing(keys: int) -> dict[str, Any]:
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", _MANY, str(port), str(keys)], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, server, 1800)
        environment = {**os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true"}
        done = subprocess.run([sys.executable, "-c", _LIST], capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(done.stderr)
    finally:
        server.kill()
        server.wait()
    files, seconds, before, most = map(float, done.stdout.split())
    assert files == keys
    return {"keys": keys, "s": round(seconds, 1), "MB before": round(before / 1024), "MB at most": round(most / 1024)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("each", 150), ("side", 256), ("runs", 3), ("keys", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measure_training(Path(name), told.each, told.side, told.runs)), flush=True)
    for keys in (told.keys // 10, told.keys):
        print(json.dumps(measure_listing(keys)), flush=True)


if __name__ == "__main__":
    main()
