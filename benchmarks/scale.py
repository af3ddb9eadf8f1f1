"""What each part of a large run costs, by processor time: the rates from which docs/scale.md reckons.

    python benchmarks/scale.py FILES --count 300 > table.md

FILES: a folder of pictures (`benchmarks/scoring.py make`). Processor time of this process, one thread, so that what
else the machine does counts little; rows into PostgreSQL by the clock, on a server of its own that does not wait for
the disk (fsync off), so that they are what the processor allows and not a disk.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

COLUMNS = 50  # of the matrix product of a search: two labels, 25 problems
D = 3584


def timed(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def pictures(files: list[Path]) -> list[tuple[str, float, str]]:
    from medloupe.embed.cache import FACTS, FeatureCache
    from medloupe.embed.network import Network
    from medloupe.embed.registry import backbone
    from medloupe.errors import ImageError
    from medloupe.imaging.decode import load_measured
    from medloupe.inference.find import find_model
    from medloupe.inference.predictors import predictor
    from medloupe.scoring.rows import answer_row, answer_schema, table_bytes

    n = len(files)
    fitted: list[np.ndarray] = []

    def decode() -> None:
        for file in files:
            try:
                fitted.append(load_measured(file.read_bytes(), 224)[0])
            except ImageError:
                continue

    decoding = timed(decode)
    network = Network(backbone(), None, threads=1)
    some = np.stack(fitted)
    network.see(some[:4])
    seeing = timed(lambda: [network.see(some[i : i + 4]) for i in range(0, len(some), 4)])
    asked = predictor(find_model("pneumonia"), network_threads=1)
    answers: list[Any] = []

    def answer() -> None:
        for file in files:
            try:
                answers.append(asked.predict(file))
            except ImageError:
                continue

    answering = timed(answer)
    rows = [answer_row(a) for a in answers] * 3
    table_bytes(rows[:9], answer_schema())  # what is imported once
    writing = timed(lambda: table_bytes(rows[:500], answer_schema())) / len(rows[:500])
    size = len(table_bytes(rows[:500], answer_schema())) / len(rows[:500])
    with tempfile.TemporaryDirectory() as folder:
        cache = FeatureCache(Path(folder), D)
        digests = [secrets.token_bytes(32) for _ in range(640)]
        x, facts = np.ones((64, D), np.float32), np.zeros(64, FACTS)
        keeping = timed(lambda: [cache.append(digests[i : i + 64], x, facts) for i in range(0, 640, 64)]) / 640
        bytes_a_row = sum(f.stat().st_size for f in Path(folder).iterdir()) / 640
    return [
        ("decode and fit", decoding / n, f"{np.mean([f.stat().st_size for f in files]) / 1e3:.0f} kB a file"),
        ("network (Lite0), batches of 4", seeing / len(some), ""),
        ("answer: all of `predict`", answering / n, "decoding, network, head, refusal, quality, photograph"),
        ("feature cache, a row", keeping, f"{bytes_a_row / 1e3:.1f} kB"),
        ("table of answers, a row", writing, f"{size:.0f} bytes"),
    ]


def products() -> list[tuple[str, float, str]]:
    x = np.random.default_rng(0).normal(size=(2048, D)).astype(np.float16)
    u = np.ones((D, COLUMNS), np.float32)

    def work() -> None:
        for _ in range(10):
            wide = x.astype(np.float32)
            _ = wide.T @ (wide @ u)

    work()
    return [(f"a row of a pass of the solver, {COLUMNS} columns", timed(work) / (10 * len(x)), f"{2 * D} bytes read")]


def postgres(seconds: float) -> list[tuple[str, float, str]]:
    from medloupe.accounts.people import People
    from medloupe.serving.engine.journal import Journal
    from medloupe.store.database import open_engine
    from medloupe.store.tables import now
    from postgres import find_programs, running_server

    programs = find_programs()
    if programs is None:
        return []
    with running_server(programs) as server, tempfile.TemporaryDirectory() as folder:
        server.execute('CREATE DATABASE "scale" TEMPLATE template0')
        os.environ["MEDLOUPE_DATABASE"] = server.url("scale")
        engine = open_engine(Path(folder))
        person = People(engine).add("ana", "correct horse battery 9", "clinician")
        journal = Journal(engine, Path(folder) / "kept")
        done = 0

        def row() -> dict[str, Any]:
            answer = {"model": "lungs", "version": 2, "prediction": "flu", "probabilities": {"flu": 0.9}}
            made = {"id": secrets.token_hex(16), "at": now(), "user_id": person.id, "model": "lungs", "version": 2}
            return {**made, "answer": answer, "digest": "ab" * 32, "kept": None}

        async def write() -> float:
            nonlocal done
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                await asyncio.gather(*(journal.record([row()], []) for _ in range(64)))
                done += 64
            return time.perf_counter() - began

        took = asyncio.run(write())
        journal.close()
        engine.dispose()
        del os.environ["MEDLOUPE_DATABASE"]
    return [("a prediction in PostgreSQL, 64 clients at once", took / done, "by the clock")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path)
    parser.add_argument("--count", type=int, default=300)
    told = parser.parse_args()
    os.environ.update(MEDLOUPE_THREADS="1")
    files = sorted(f for f in told.files.rglob("*") if f.is_file())
    chosen = files[:: max(1, len(files) // told.count)][: told.count]
    print("| part | ms | a second and core | |\n|---|---|---|---|", flush=True)
    for measure in (lambda: pictures(chosen), products, lambda: postgres(20)):
        for name, seconds, about in measure():
            print(f"| {name} | {1000 * seconds:.3g} | {1 / seconds:,.0f} | {about} |", flush=True)
    print(f"\nLoad {os.getloadavg()[0]:.0f}.")


if __name__ == "__main__":
    main()
