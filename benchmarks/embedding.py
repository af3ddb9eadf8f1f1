"""How close embedding a folder comes to the bare network, and how its memory grows.

    python benchmarks/embedding.py [--data ../shared/data/chest_pneumonia] [--images 600] [--rounds 7]

Each round times, in turn: a bare ONNX Runtime loop over arrays that lie ready in memory (default session, all cores,
batches of 8, output `embedding`), and `features.embed` from files on disk into an empty cache (read, hash, decode, fit,
network, thumbnails, checksums, cache on disk). The ratio is of images a second, round by round. With --memory the peak
resident memory of a whole `train` process is measured at 1,000 and at 4,000 images (generated, 64 px).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

import medloupe
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.imaging.decode import load


def bare(arrays: np.ndarray, session: onnxruntime.InferenceSession) -> float:
    """Images a second."""
    started = time.perf_counter()
    for i in range(0, len(arrays), 8):
        session.run(["embedding"], {"image": arrays[i : i + 8]})
    return len(arrays) / (time.perf_counter() - started)


def ours(data: medloupe.Dataset) -> float:
    """Images a second, from files, into an empty cache."""
    home = tempfile.mkdtemp()
    os.environ["MEDLOUPE_HOME"] = home
    try:
        started = time.perf_counter()
        features = embed(scan_dataset(data), backbone())
        seconds = time.perf_counter() - started
        assert features.decoded
        return features.decoded / seconds
    finally:
        shutil.rmtree(home)


def speed(folder: Path, images: int, rounds: int) -> None:
    data = medloupe.read(folder)
    step = max(1, len(data) // images)
    data = type(data)(
        name=data.name,
        root=data.root,
        records=data.records[::step][:images],
        labels=data.labels,
        task=data.task,
        reader=data.reader,
    )
    arrays = np.stack([load(r.image, 224) for r in data.records])
    session = onnxruntime.InferenceSession(str(backbone().path), providers=["CPUExecutionProvider"])
    bare(arrays[:32], session)
    ratios, rates = [], []
    for _ in range(rounds):
        a, b = bare(arrays, session), ours(data)
        ratios.append(b / a)
        rates.append((a, b))
        print(f"bare {a:6.1f}/s   embed {b:6.1f}/s   ratio {b / a:.3f}", flush=True)
    low, middle, high = np.quantile(ratios, (0, 0.5, 1))
    print(
        f"{folder.name}, {len(arrays)} images: ratio median {middle:.3f}, {low:.3f} to {high:.3f} over {rounds} rounds"
    )


def generated(folder: Path, n: int) -> None:
    """n small pictures of two classes; the first k are the same whatever n is."""
    rng = np.random.default_rng(0)
    for i in range(n):
        label = ("dark", "light")[i % 2]
        (folder / label).mkdir(parents=True, exist_ok=True)
        pixels = np.clip(rng.normal(100 + 20 * (i % 2), 40, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / label / f"{i:05d}.png")


def memory() -> None:
    peaks = {}
    for n in (1000, 4000):
        with tempfile.TemporaryDirectory() as temporary:
            generated(Path(temporary) / "data", n)
            program = (
                "import resource, sys, medloupe\n"
                "medloupe.train(medloupe.read(sys.argv[1]), name='m')\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
            )
            environment = {**os.environ, "MEDLOUPE_HOME": f"{temporary}/home"}
            command = [sys.executable, "-c", program, f"{temporary}/data"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            peaks[n] = int(done.stdout.split()[-1]) * 1024
            print(f"{n} images: peak {peaks[n] / 2**20:.0f} MiB", flush=True)
    features = 3000 * 4 * backbone().card.dimension
    print(
        f"growth {(peaks[4000] - peaks[1000]) / 2**20:.0f} MiB; 3,000 more rows of features: {features / 2**20:.0f} MiB"
    )


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data" / "chest_pneumonia")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    told = parser.parse_args()
    if told.memory:
        memory()
    else:
        speed(told.data, told.images, told.rounds)


if __name__ == "__main__":
    main()
