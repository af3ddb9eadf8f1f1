"""Files that coverage leads to, for all that reads bytes from elsewhere: `python benchmarks/fuzz_guided.py [TARGET …]`.

    pip install atheris
    python benchmarks/fuzz_guided.py --seconds 3600 --out build/fuzz --cases ../shared/cases --idle
    python benchmarks/fuzz_guided.py --table build/fuzz

Each target (tests/support/fuzzing.py lists them) runs in a process of its own, all side by side, for as many seconds of
the processor as told, or until --clock seconds have passed. It begins with sound files made on the spot, with what
--cases makes, and with what an earlier run into the same folder kept; words of its format are put in (fuzztokens.py),
and members of archives and chunks of PNGs are changed below their checksums. A fault is whatever is raised that is not
raised on purpose, a broken promise of what was read, a file read otherwise the second time, over 2 s of the processor,
over 400 MiB of memory, or the end of the process: its file is kept in OUT/faults, of each kind the first, and the exit
status is 1. Figures are added up over the runs in OUT/TARGET.json. Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

MEMORY = 3 * 2**30  # bytes of address space of one target
LONGEST = 200_000  # bytes of a file
_TOLD_EACH = 10.0  # seconds between two writings of the figures
_PROGRESS = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


class Guided:
    """One target's run, in this process."""

    def __init__(self, name: str, told: argparse.Namespace):
        import fuzzing

        self.name, self.target, self.outcome, self._try = (
            name,
            fuzzing.TARGETS[name],
            fuzzing.Outcome(),
            fuzzing.try_one,
        )
        self._limit = told.seconds
        self._out: Path = told.out
        self._file = told.out / f"{name}.run.json"
        self._began, self._told, self.files, self.kinds = time.process_time(), 0.0, 0, set[str]()

    def one(self, data: bytes) -> None:
        """Try one file; ends the process when its time is over."""
        self.files += 1
        before = len(self.outcome.faults or ())
        self._try(self.target, data, self.outcome, "guided", again=zlib.crc32(data) % 4 == 0)
        for fault in (self.outcome.faults or ())[before:]:
            kind = re.sub(r"[0-9]+|'[^']*'", "…", fault)[:100]
            if kind not in self.kinds:
                self.kinds.add(kind)
                keep_fault(self._out, self.name, data, fault)
        if time.monotonic() - self._told > _TOLD_EACH:
            self.tell()
            if time.process_time() - self._began > self._limit:
                sys.stderr.flush()
                os._exit(0)

    def tell(self) -> None:
        """Write the figures of this run so far."""
        self._told = time.monotonic()
        said = {
            "files": self.files,
            "read": self.outcome.read,
            "refused": self.outcome.refused,
            "processor_s": round(time.process_time() - self._began, 1),
            "slowest_s": round(self.outcome.slowest, 3),
            "grown_MiB": self.outcome.largest,
            "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            "faults": len(self.kinds),
        }
        self._file.write_text(json.dumps(said))


def keep_fault(out: Path, name: str, data: bytes, what: str) -> None:
    """Keep a file that a target fails at, and what it failed with beside it."""
    folder = out / "faults"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(f"{what}\n")
    print(json.dumps({"target": name, "fault": what, "file": str(path)}), flush=True)


def run_here(name: str, told: argparse.Namespace) -> NoReturn:
    """Let atheris look for files that a target fails at, in this process."""
    import atheris

    import fuzztokens

    folder = told.out / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["medloupe", *fuzztokens.PACKAGES.get(name, ())]):
        import fuzzing
        import mutations

        run = Guided(name, told)
        for data in fuzzing.warm(fuzzing.TARGETS[name]):  # what is imported when first needed is instrumented here
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    words = told.out / f"{name}.dict"
    words.write_text("\n".join(fuzztokens.dictionary(name)) + "\n")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def change(data: bytes, most: int, seed: int) -> bytes:
        return mutations.change_below_checksums(data, seed, lambda part: atheris.Mutate(part, most))[:most]

    options = [
        *(
            f"-max_total_time={told.clock}",
            f"-seed={told.seed + 1}",
            "-timeout=600",
            "-report_slow_units=600",
            f"-rss_limit_mb={MEMORY >> 20}",
        ),
        *(f"-dict={words}", f"-artifact_prefix={told.out}/faults/{name}-died-", f"-max_len={LONGEST}"),
    ]
    (told.out / "faults").mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], *options, str(folder)], run.one, custom_mutator=change)
    atheris.Fuzz()
    run.tell()
    os._exit(0)


def make_cases(cases: Path, into: Path) -> None:
    """Let every case of a folder make its files (make.py OUT)."""
    for script in sorted(cases.glob("*/make.py")):
        made = into / script.parent.name
        done = subprocess.run([sys.executable, script, made], capture_output=True, text=True, timeout=300)
        if done.returncode:
            print(json.dumps({"case": script.parent.name, "made": False, "said": done.stderr[-200:]}))


def share_out(files: Path, out: Path, names: list[str], each: int = 30) -> None:
    """Give each target the smallest files of its suffixes, of each case's sub-folder one or two."""
    import fuzzing

    for name in names:
        folder = out / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        found = [p for p in files.rglob("*") if p.suffix.lower() in fuzzing.TARGETS[name].suffixes and p.is_file()]
        taken: dict[Path, int] = {}
        for path in sorted(found, key=lambda p: (p.stat().st_size, p)):
            taken[path.parent] = taken.get(path.parent, 0) + 1
            if taken[path.parent] <= 2 and path.stat().st_size < LONGEST / 2 and len(taken) <= each:
                data = path.read_bytes()
                (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


def add_up(out: Path, name: str, commit: str, status: int) -> dict[str, Any]:
    """Add the figures of the run that has ended to those of the earlier ones."""
    run, whole = out / f"{name}.run.json", out / f"{name}.json"
    new = json.loads(run.read_text()) if run.exists() else {}
    old = json.loads(whole.read_text()) if whole.exists() else {}
    told = {k: old.get(k, 0) + new.get(k, 0) for k in ("files", "read", "refused", "processor_s", "faults")}
    told |= {k: max(old.get(k, 0), new.get(k, 0)) for k in ("slowest_s", "grown_MiB", "peak_MiB")}
    told |= {k: old[k] for k in ("edges", "features", "kept") if k in old}
    progress = _PROGRESS.findall((out / f"{name}.log").read_text(errors="replace"))
    if progress:
        told |= dict(zip(("edges", "features", "kept"), map(int, progress[-1]), strict=True))
    told["ends"] = [*old.get("ends", []), [commit, status]]
    whole.write_text(json.dumps(told, indent=1))
    run.unlink(missing_ok=True)
    return {"target": name, **told}


def table(out: Path) -> str:
    """Write the figures in a folder as a table."""
    lines = [
        "| reader | processor, min | files | read | edges | slowest, s | most grown by one, MiB | peak, MiB | faults |"
    ]
    lines.append("|---" * 9 + "|")
    for path in sorted(p for p in out.glob("*.json") if not p.name.endswith(".run.json")):
        told = json.loads(path.read_text())
        cells = (
            *(path.stem, f"{told['processor_s'] / 60:.1f}", f"{told['files']:,}", f"{told['read']:,}"),
            *(told.get("edges", "?"), told["slowest_s"], told["grown_MiB"], told["peak_MiB"], told["faults"]),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def run_all(names: list[str], told: argparse.Namespace) -> int:
    """Run the targets side by side; 1 where one failed at something."""
    told.out.mkdir(parents=True, exist_ok=True)
    if told.cases:
        with tempfile.TemporaryDirectory() as made:
            make_cases(told.cases, Path(made))
            share_out(Path(made), told.out, names)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    running = {}
    for name in names:
        options = ["--here", *(f"--{k}={getattr(told, k)}" for k in ("seconds", "clock", "seed", "out"))]
        with (told.out / f"{name}.log").open("wb") as log:
            running[name] = subprocess.Popen(
                [sys.executable, __file__, name, *options],
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                preexec_fn=_be_idle if told.idle else None,
            )
    failed = False
    for name, process in running.items():
        status = process.wait()
        said = add_up(told.out, name, commit.strip(), status)
        failed |= bool(status or said["faults"])
        print(json.dumps(said), flush=True)
    return int(failed)


def _be_idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="of fuzzing.TARGETS; all without it")
    parser.add_argument("--seconds", type=float, default=3600, help="of the processor for each target")
    parser.add_argument("--clock", type=int, default=86_400, help="seconds by the clock, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "fuzz", help="corpora, faults, figures and logs")
    parser.add_argument("--cases", type=Path, help="a folder whose */make.py make further files to begin with")
    parser.add_argument("--idle", action="store_true", help="only while the processor has nothing else to do")
    parser.add_argument("--table", type=Path, metavar="OUT", help="no run: the figures of the runs into this folder")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.table:
        print(table(told.table))
        return
    if told.here:  # before anything of medloupe is imported, or it would not be instrumented
        run_here(told.targets[0], told)
    import fuzzing

    names = told.targets or list(fuzzing.TARGETS)
    if unknown := set(names) - set(fuzzing.TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(fuzzing.TARGETS)}")
    raise SystemExit(run_all(names, told))


if __name__ == "__main__":
    main()
