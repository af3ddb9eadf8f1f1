"""Damaged files by the thousand for all that reads bytes from elsewhere: `python benchmarks/fuzz.py [TARGET …]`.

Each target (tests/support/fuzzing.py lists them) gets --count files damaged from sound ones, the same for the same
--seed; fuzz_guided.py looks for others by coverage. Each runs in a process of its own whose memory is bounded. Each
prints one JSON line; the exit status is 1 where anything was raised that is not raised on purpose, a promise of what
was read is broken, or one took over 2 s of the processor or 400 MiB. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

MEMORY = 3 * 2**30  # bytes of address space of one target


def run_here(name: str, count: int, seed: int) -> int:
    """Give one target its files, in this process."""
    import fuzzing

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    fuzzing.hammer(name, 0, seed)  # what is imported when first needed is no burden
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = fuzzing.hammer(name, count, seed)
    said = {
        "target": name,
        "files": count,
        "seed": seed,
        "read": outcome.read,
        "refused": outcome.refused,
        "slowest_s": round(outcome.slowest, 3),
        "grown_MiB": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10,
        "faults": len(outcome.faults or ()),
        "first_faults": (outcome.faults or [])[:5],
    }
    print(json.dumps(said), flush=True)
    return bool(outcome.faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="of fuzzing.TARGETS; all without it")
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.here:
        raise SystemExit(run_here(told.targets[0], told.count, told.seed))
    import fuzzing

    names = told.targets or list(fuzzing.TARGETS)
    if unknown := set(names) - set(fuzzing.TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(fuzzing.TARGETS)}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    print(json.dumps({"commit": commit.strip(), "seed": told.seed, "count": told.count}))
    failed = []
    for name in names:
        options = ["--count", str(told.count), "--seed", str(told.seed), "--here"]
        done = subprocess.run([sys.executable, __file__, name, *options], env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode:
            failed.append(name)
            print(json.dumps({"target": name, "status": done.returncode}), flush=True)
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
