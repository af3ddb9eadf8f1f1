"""How many planted near copies an index finds among very many pictures, and in what time.

    python benchmarks/near_copies.py --count 1000000 --copies 5000 [--exact 20000] > table.md

Made-up embeddings and thumbnails of few kinds of picture that look alike (tests/support/crowds.py), of which some are
near copies of others: moved a little, brighter, every third with other texture, as after saving again. A planted
pair counts where it agrees as much as a near copy must when it is measured; the recall is of these. With --exact the
pairs are also compared with those that a look at all pairs finds, among as many pictures.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from crowds import crowd
from medloupe.training.audit import duplicates, neighbours
from medloupe.training.audit.duplicates import find
from synthetic import features


class Many:
    """Stands for a data set of so many records: the search asks how many, and for boxes."""

    cropped = None

    def __init__(self, n: int):
        self._n = n

    def __len__(self) -> int:
        return self._n


Pairs = set[tuple[int, int]]


def look(n: int, copies: int, dimension: int, *, index: bool) -> tuple[Pairs, float, float]:
    """Near copies found, seconds by the clock and of the processor."""
    made = crowd(n, copies, dimension)
    held = features(Many(n), made.embeddings, made.facts)  # pyright: ignore[reportArgumentType]
    neighbours.ALL_PAIRS = 0 if index else n
    clock, processor = time.perf_counter(), time.process_time()
    found = find(held)
    took = time.perf_counter() - clock, time.process_time() - processor
    return {(int(a), int(b)) for a, b in found.near}, *took


def agreeing(n: int, copies: int, dimension: int) -> Pairs:
    """Planted pairs that are near copies when they are measured: those found where nothing else is looked at."""
    made = crowd(n, copies, dimension)
    own = duplicates.propose_pairs
    duplicates.propose_pairs = lambda *told, **more: made.planted
    neighbours.ALL_PAIRS = 0
    held = features(Many(n), made.embeddings, made.facts)  # pyright: ignore[reportArgumentType]
    near = find(held).near
    duplicates.propose_pairs = own
    return {(int(a), int(b)) for a, b in near}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--copies", type=int, default=5_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--exact", type=int)
    told = parser.parse_args()
    print(
        "| pictures | looked for | planted, near when measured | recall | near copies | minutes | processor minutes |"
    )
    print("|---|---|---|---|---|---|---|")
    for n, ways in ((told.exact, (True, False)), (told.count, (True,))):
        if not n:
            continue
        copies = told.copies * n // told.count if n != told.count else told.copies
        true = agreeing(n, copies, told.dimension)
        found: dict[bool, Pairs] = {}
        for index in ways:
            found[index], clock, processor = look(n, copies, told.dimension, index=index)
            recall = len(found[index] & true) / max(len(true), 1)
            how = "by the index" if index else "among all pairs"
            row = [f"{len(true):,} of {copies:,}", f"{recall:.4f}", f"{len(found[index]):,}"]
            row += [f"{clock / 60:.1f}", f"{processor / 60:.1f}"]
            print(f"| {n:,} | {how} | {' | '.join(row)} |", flush=True)
        if len(found) == 2:
            share = len(found[True] & found[False]) / len(found[False])
            print(f"\nOf all near copies among {n:,} pictures the index finds {share:.4f}.\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nMost memory {peak:.1f} GiB, the made-up pictures with it; load {os.getloadavg()[0]:.0f}.")


if __name__ == "__main__":
    main()
