"""Faults of a running server, counted: `python benchmarks/faults_serving.py WHAT [--count N]`, WHAT one or several of

swaps     versions exchanged over HTTP and from another process under 8 clients (default 500)
sigterm   servers told to end with requests in flight: 8 clients, half of the time with pauses that leave connections
          idle, or 48 with light requests (20)
sigkill   servers killed in the middle of predictions, feedback and promotions (100)
overload  seconds of requests at ten times the server's capacity (10)
databases seconds for which SQLite is locked, and PostgreSQL stopped, under 8 clients (10)

Each prints one JSON line; the exit status is 1 where something was lost, mixed, wrong or, in the median, later than
its aim. The drills are those of the test suite (tests/support/drills.py, which says what each figure means), in full.
A model is trained on generated pictures first, or taken from --home, which is copied. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import drills
import generated
import waits
from drills import NAME, percentile
from live import running, start
from medloupe.model.bundle import Model
from medloupe.store.models import Store
from postgres import MISSING, find_programs, running_server

COUNTS = {"swaps": 500, "sigterm": 20, "sigkill": 100, "overload": 10, "databases": 10}


def trained(scratch: Path, given: Path | None) -> Path:
    """A home with one model in it, trained on pictures made up here; or a copy of the given one."""
    home = scratch / "home"
    if given is not None:
        shutil.copytree(given, home)
    else:
        data = generated.folders(scratch / "data", 16)
        command = [sys.executable, "-m", "medloupe", "train", str(data), "--name", NAME]
        environment = {**os.environ, "MEDLOUPE_HOME": str(home)}
        subprocess.run(command, env=environment, check=True, capture_output=True)
    return home


def latencies(values: list[float], name: str) -> dict[str, float]:
    return {f"{name}_{label}_ms": round(percentile(values, q), 1) for label, q in (("p50", 0.5), ("p99", 0.99))}


def swaps(home: Path, models: dict[int, Model], count: int) -> tuple[dict[str, Any], bool]:
    image = drills.picture()
    oracle = drills.Oracle.of(models, image)
    with running(home) as live:
        steps = drills.changes(live, Store(home), count)
        seen = asyncio.run(drills.swapping(live.port, oracle, image, steps, quiet=min(20.0, count / 10)))
        assert live.stop() == 0
    figures = {
        "swaps": seen.swaps,
        "by": seen.by,
        "answers": seen.answers,
        "failed": seen.failed,
        "mixed": seen.mixed,
        "stale": seen.stale,
        "delay_p50_s": round(percentile(seen.delays, 0.5), 3),
        "delay_max_s": round(max(seen.delays), 3),
        **latencies(seen.quiet, "quiet"),
        **latencies(seen.busy, "swapping"),
    }
    return figures, not (seen.failed or seen.mixed or seen.stale or max(seen.delays) > 1)


def sigterm(home: Path, models: dict[int, Model], count: int) -> tuple[dict[str, Any], bool]:
    total = drills.Leaving()
    for i in range(count):
        live = start(home)
        light = i % 4 == 3  # so many small requests that some are on their way at any moment
        seen = asyncio.run(
            drills.leaving(
                live.port,
                drills.get("/healthz") if light else drills.ask_for(drills.picture()),
                lambda live=live: live.process.send_signal(signal.SIGTERM),
                lambda live=live: live.process.poll() is not None,
                clients=48 if light else 8,
                idle=0.01 if light else 0.1 * (i % 2),
            )
        )
        assert live.process.returncode == 0
        total.answered += seen.answered
        total.lost_fresh += seen.lost_fresh
        total.lost_kept += seen.lost_kept
        total.seconds = max(total.seconds, seen.seconds)
        for status, n in seen.other.items():
            total.other[status] = total.other.get(status, 0) + n
    figures = {
        "sigterms": count,
        "answered": total.answered,
        "lost_on_a_new_connection": total.lost_fresh,
        "lost_on_a_kept_connection": total.lost_kept,
        "other": total.other,
        "longest_s": round(total.seconds, 2),
    }
    return figures, not (total.lost or total.other)


def sigkill(home: Path, models: dict[int, Model], count: int) -> tuple[dict[str, Any], bool]:
    rng = random.Random(count)
    told = drills.Told(versions={Store(home).production()[NAME][0]})
    lost = orphans = surprises = 0
    for _ in range(count):
        live = start(home, "--keep-images")
        surprises += drills.in_production(live) not in told.versions
        told.versions = {drills.in_production(live)}
        asyncio.run(drills.until_killed(live.port, drills.picture(), rng.uniform(0.05, 0.6), live.process.kill, told))
        live.process.wait()
        lost += drills.lost(home, told)
    drills.age(home)
    with running(home, "--keep-images") as live:  # which sweeps what the killed ones left
        surprises += drills.in_production(live) not in told.versions
        orphans = drills.orphans(home)
        assert live.ask(NAME, drills.picture()).status_code == 200
    figures = {
        "kills": count,
        "predictions": len(told.answers),
        "feedback": len(told.feedback),
        "lost": lost,
        "orphans": orphans,
        "wrong_version": surprises,
    }
    return figures, not (lost or orphans or surprises)


def overload(home: Path, models: dict[int, Model], count: int) -> tuple[dict[str, Any], bool]:
    image = drills.picture()
    with running(home, "--queue", "8") as live:
        seen = asyncio.run(
            drills.overload(live.port, drills.Oracle.of(models, image), image, seconds=float(count), calm=5.0)
        )
        assert live.stop() == 0
    figures = {
        "capacity_per_s": round(seen.capacity, 1),
        "offered_per_s": round(seen.offered, 1),
        "rejected": len(seen.rejected),
        "accepted": len(seen.accepted),
        "wrong": len(seen.wrong),
        **latencies(seen.rejected, "rejected"),
        **latencies(seen.accepted, "accepted"),
        **latencies(seen.health, "health"),
        **latencies(seen.late, "generator_late"),
    }
    # Most places wait for a worker: nobody waits longer than for the requests before, many times over.
    figures["aims_p50_ms"] = aims = {"rejected": 50, "health": 50, "accepted": round(20 * 1000 * 8 / seen.capacity)}
    if seen.wrong:
        figures["first_wrong"] = seen.wrong[0]
    return figures, not seen.wrong and all(percentile(getattr(seen, kind), 0.5) < aim for kind, aim in aims.items())


def databases(home: Path, models: dict[int, Model], count: int) -> tuple[dict[str, Any], bool]:
    programs = find_programs()
    if programs is None:
        sys.exit(MISSING)
    figures: dict[str, Any] = {"held_s": count}
    fine = True

    def drill(kind: str, home: Path, holding: AbstractContextManager[None]) -> None:
        nonlocal fine
        seen = waits.Held()
        with running(home) as live:
            asyncio.run(waits.hold(live.port, drills.picture(), holding, count, seen))
            assert live.stop() == 0
        missing = drills.lost(home, seen.told, kept=False)
        figures[kind] = {
            "answered": len(seen.answered),
            "refused": len(seen.refused),
            "wrong": len(seen.wrong),
            "lost": missing,
            "longest_wait_ms": round(max(seen.answered + seen.refused)),
            "health_max_ms": round(max(seen.health), 1),
            **latencies(seen.health, "health"),
            "back_after_s": round(seen.back, 2),
        }
        fine = fine and bool(seen.back) and not (seen.wrong or missing) and drills.percentile(seen.health, 0.5) < 250

    drill("sqlite", home, waits.locked(home / "medloupe.sqlite"))
    with running_server(programs) as server:
        server.execute("CREATE DATABASE held TEMPLATE template0")
        os.environ["MEDLOUPE_DATABASE"] = server.url("held")
        try:
            other = home.parent / "postgres"
            waits.take_in(other, home / "models" / NAME / "1" / "model.onnx")
            drill("postgresql", other, server.paused())
        finally:
            del os.environ["MEDLOUPE_DATABASE"]
    return figures, fine


DRILLS = {"swaps": swaps, "sigterm": sigterm, "sigkill": sigkill, "overload": overload, "databases": databases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=list(DRILLS))
    parser.add_argument("--count", type=int, help="instead of the defaults above")
    parser.add_argument("--home", type=Path, help=f"a home with one version of a model {NAME!r}, which is copied")
    told = parser.parse_args()
    fine = True
    with tempfile.TemporaryDirectory(prefix="medloupe-faults-") as folder:
        home = trained(Path(folder), told.home)
        models = drills.add_versions(home, Path(folder))
        for what in told.what:
            began = time.monotonic()
            figures, passed = DRILLS[what](home, models, told.count or COUNTS[what])
            print(json.dumps({"drill": what, **figures, "seconds": round(time.monotonic() - began, 1)}), flush=True)
            fine = fine and passed
    sys.exit(not fine)


if __name__ == "__main__":
    main()
