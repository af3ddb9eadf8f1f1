"""Embeds a folder in a process of its own, which tests kill, starve or run twice.

python feature_worker.py FOLDER [--slow SECONDS] [--rows ROWS_A_WRITE] [--limit BYTES a file may have]
Prints one line for every batch, and at the end the peak memory in KiB and how many images were decoded.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import tiny
from medloupe.data.scan import scan_dataset
from medloupe.embed import features
from medloupe.errors import MedloupeError
from synthetic import of_files

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--slow", type=float, default=0)
parser.add_argument("--rows", type=int, default=features.ROWS_A_WRITE)
parser.add_argument("--limit", type=int)
told = parser.parse_args()

features.ROWS_A_WRITE = told.rows
backbone = tiny.backbone(Path(tempfile.mkdtemp()))
if told.limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (told.limit, told.limit))


def progress(done: int, total: int) -> None:
    print(done, flush=True)
    time.sleep(told.slow)


def peak() -> int:
    """KiB; of this program alone, unlike ru_maxrss, which starts from the process it was forked from."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


try:
    found = features.embed(scan_dataset(of_files(told.folder)), backbone, progress)
except MedloupeError as e:
    print(f"{type(e).__name__}: {e}", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
else:
    print("peak", peak(), "decoded", found.decoded, flush=True)
