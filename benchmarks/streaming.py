"""Fit heads on features that memory does not hold: memory, passes, and a pass against the disk and the processor.

    python benchmarks/streaming.py make FILE --rows 2000000          14 GB of made-up float16 (N, 3584)
    python benchmarks/streaming.py fit FILE --most 6 --replicates 16 > table.md

Two labels, whose difference lies in few directions under noise, as in embeddings; five strengths of regularisation and
REPLICATES of a bootstrap over groups of four rows, all in the same passes. `fit` measures first what a pass costs that
only reads the file, its pages dropped from memory before, and what its two matrix products cost in memory; then it
fits, and compares with heads fitted in memory on some of the rows. With --most it fails where more memory was taken.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np

from medloupe.model.head import probabilities
from medloupe.training.heads.solver import Problem, solve
from medloupe.training.heads.streaming import PoissonWeights, measure_scales, sample_rows, solve_problems
from medloupe.utils.rowfile import RowFile

D, K = 3584, 2
BLOCK = 4096


def make(path: Path, rows: int) -> None:
    """A block of noise drawn once, its columns turned round for each block, with a shift by label."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (BLOCK, D)).astype(np.float32)
    scale = rng.uniform(0.05, 4, D).astype(np.float32)
    shift = (rng.normal(0, 0.06, D) * (rng.random(D) < 0.1)).astype(np.float32)
    with path.open("wb") as out:
        for start in range(0, rows, BLOCK):
            n = min(BLOCK, rows - start)
            turned = np.roll(noise[rng.permutation(BLOCK)[:n]], int(rng.integers(D)), 1)
            sign = np.where(labels_of(start, n) == 1, 1, -1).astype(np.float32)
            out.write(((turned + sign[:, None] * shift) * scale).astype(np.float16).tobytes())


def labels_of(start: int, n: int) -> np.ndarray:
    rows = np.arange(start, start + n, dtype=np.uint64)
    return ((rows * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(63)).astype(int)


def drop_pages(path: Path) -> None:
    with path.open("rb") as f:
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def time_reading(file: RowFile) -> float:
    drop_pages(file.path)
    began = time.perf_counter()
    for _ in file.blocks():
        pass
    return time.perf_counter() - began


def time_products(rows: int, columns: int) -> float:
    """Seconds that the two products of a pass take in memory, and turning halves into singles."""
    x = np.random.default_rng(0).normal(size=(2048, D)).astype(np.float16)
    u = np.ones((D, columns), np.float32)
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < 20:
        wide = x.astype(np.float32)
        _ = wide.T @ (wide @ u)
        done += len(x)
    return (time.perf_counter() - began) * rows / done


def fit(path: Path, replicates: int, most: float | None) -> None:
    file = RowFile(path, D, np.dtype(np.float16))
    n = len(file)
    y = np.eye(K, dtype=np.float32)[labels_of(0, n)]
    groups = np.arange(n) // 4
    read = time_reading(file)
    columns = (5 + replicates) * K
    products = time_products(n, columns)
    began = time.perf_counter()
    ((mean, scale),) = measure_scales(file, [np.ones(n, bool)])
    scales = time.perf_counter() - began
    base = np.ones(n, np.float32)
    cs = [c * 1000 / n for c in (1e-4, 4e-4, 1.6e-3, 6.4e-3, 2.5e-2)]
    problems = [Problem(weights=base, c=c, mean=mean, scale=scale) for c in cs]
    boots = [PoissonWeights(base, groups, 1 + b) for b in range(replicates)]
    problems += [Problem(weights=w, c=cs[2], mean=mean, scale=scale) for w in boots]
    passes: list[float] = []
    blocks = RowFile.blocks

    def counted(self: RowFile):
        passes.append(time.perf_counter())
        return blocks(self)

    RowFile.blocks = counted
    began = time.perf_counter()
    solved = solve_problems(file, y, problems, task="multiclass")
    took = time.perf_counter() - began
    RowFile.blocks = blocks
    each = np.diff([*passes, time.perf_counter()])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("| what | measured |\n|---|---|")
    print(f"| rows, on disk | {n:,} × {D:,} float16, {file.nbytes / 1e9:.1f} GB |")
    print(f"| heads at once | 5 strengths + {replicates} replicates, {columns} columns |")
    print(f"| most memory of the process | {peak:.2f} GiB |")
    print(f"| reading alone, pages dropped | {read:.0f} s, {file.nbytes / read / 1e9:.2f} GB/s |")
    print(f"| matrix products alone, in memory | {products:.0f} s |")
    shown = f"{np.median(each):.0f} s ({each.min():.0f}–{each.max():.0f})"
    limit = max(read, products)
    print(f"| a pass | {shown}: {np.median(each) / limit:.2f} of the slower of the two |")
    print(f"| passes, all | {len(passes)} in {took:.0f} s, after one of {scales:.0f} s for means and scales |")
    print(f"| load | {os.getloadavg()[0]:.0f} |")
    spread = np.std([s.weight[:, 1] - s.weight[:, 0] for s in solved[5:]], 0)
    print(f"| spread of a weight over replicates, median | {np.median(spread * scale):.1e} |")
    compare(file, y, problems[2], solved[2])
    if most is not None and peak > most:
        raise SystemExit(f"{peak:.2f} GiB were taken, more than {most:g}")


def compare(file: RowFile, y: np.ndarray, problem: Problem, streamed) -> None:
    """Heads of the first rows, in memory and streamed, tightly; and how good those of all rows are."""
    n = min(len(file), 40_000)
    part = RowFile(file.path, D, file.stored, rows=n)
    x = part[:]
    some = Problem(weights=np.ones(n, np.float32), c=problem.c * len(file) / n, mean=problem.mean, scale=problem.scale)
    told = {"task": "multiclass", "tolerance": 1e-6, "iterations": 1000}
    inside = solve(x, y[:n], [some], **told)[0]
    outside = solve_problems(part, y[:n], [some], **told)[0]
    p, q = (probabilities(x @ s.weight + s.bias, "multiclass") for s in (inside, outside))
    print(f"| largest difference of p, in memory and streamed, {n:,} rows | {np.abs(p - q).max():.1e} |")
    held = file[sample_rows(len(file))]
    right = (held @ streamed.weight + streamed.bias).argmax(1) == labels_of(0, len(file))[sample_rows(len(file))]
    print(f"| right among rows it was fitted on | {right.mean():.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "fit"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--replicates", type=int, default=16)
    parser.add_argument("--most", type=float)
    told = parser.parse_args()
    if told.what == "make":
        make(told.file, told.rows)
    else:
        fit(told.file, told.replicates, told.most)


if __name__ == "__main__":
    main()
