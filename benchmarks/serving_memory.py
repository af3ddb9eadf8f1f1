"""What a running server takes of the memory: `python benchmarks/serving_memory.py [WHAT …]`, WHAT of

shared    1 and 100 check-ups on the backbone that all share
whole     30 self-contained models, each with a network of its own
budget    300 such models with --memory 256MB, asked in random order by four clients
swaps     1,000 promotions by turns of four versions, three of them with networks of their own

Real servers with their decoders; every check-up is asked, with heat maps. Figures in MiB from /proc/PID/smaps_rollup:
RSS; PSS, where pages shared with others count in part; private-dirty, which nobody else has and no file has either.
The networks are the shipped backbone with perturbed weights under a trained head, so of real size (14 MiB as they run).
A home for 300 of them takes 6 GB under --scratch while it is measured. The exit status is 1 where a limit is passed.
Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import psutil

import drills
from drills import NAME
from faults_serving import trained
from live import Live, running
from medloupe.graphs.optimised import ensure_optimised
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import build
from medloupe.store.models import Store
from medloupe.utils.files import sha256_of

MIB = 2**20
SHARED, WHOLE, MANY, SWAPS = 100, 30, 300, 1000
BUDGET = 256  # MiB


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of one process, or of several together."""

    rss: float
    pss: float
    dirty: float

    @classmethod
    def of(cls, *processes: psutil.Process) -> Memory:
        sums = dict.fromkeys(("Rss", "Pss", "Private_Dirty"), 0)
        for process in processes:
            for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]:
                key, _, value = line.partition(":")
                if key in sums:
                    sums[key] += int(value.split()[0])
        return cls(*(kib / 1024 for kib in sums.values()))

    def __str__(self) -> str:
        return f"{self.rss:6.1f} | {self.pss:6.1f} | {self.dirty:6.1f}"


def server(live: Live) -> psutil.Process:
    return psutil.Process(live.process.pid)


def tree(live: Live) -> list[psutil.Process]:
    return [server(live), *server(live).children(recursive=True)]


def settled(live: Live) -> tuple[Memory, Memory]:
    """Of the server's own process, and with its decoders, once it has nothing to do."""
    time.sleep(1.5)
    return Memory.of(server(live)), Memory.of(*tree(live))


def ask(live: Live, names: Sequence[str], clients: int = 2) -> None:
    """Each once, with heat map."""
    image, turn = drills.picture(), iter(names)

    async def client() -> None:
        async with drills.Line(live.port) as line:
            for name in turn:
                reply = await line.ask(drills.post(f"/api/v1/models/{name}/predict?heatmap=true", image))
                assert reply is not None and reply.status == 200 and reply.json()["model"] == name, reply

    async def all_of_them() -> None:
        await asyncio.gather(*(client() for _ in range(clients)))

    asyncio.run(all_of_them())


def link(store: Store) -> Callable[[Path, Model], None]:
    """The file for people is the blob itself, to spare the disk."""

    def write_files(folder: Path, made: Model) -> None:
        sha256 = sha256_of(made.backbone.path)
        os.link(store.home / "blobs" / sha256[:2] / sha256[2:], folder / "model.onnx")

    return write_files


def add_heads(home: Path, count: int) -> list[str]:
    """So many check-ups, each with a head of its own on the shared backbone."""
    import numpy as np

    store = Store(home)
    first = store.get(NAME, 1)
    names = []
    for i in range(count):
        shape = first.head.weight.shape
        noise = np.random.default_rng(i).normal(1, 0.1, shape).astype(np.float32)
        head = Head(weight=first.head.weight * noise, bias=first.head.bias, task=first.head.task)
        names.append(f"head-{i}")
        store.add(replace(first, head=head, card={**first.card, "name": names[-1]}), write_files=link(store))
    return names


def add_networks(home: Path, names: Sequence[str]) -> None:
    """A self-contained model under each of the names, in their order; each with another network."""
    store = Store(home)
    first = store.get(NAME, 1)
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        scratch = Path(folder)
        for i, name in enumerate(names):
            backbone = drills.perturbed(first.backbone, scratch, 100 + i)
            path = scratch / "whole.onnx"
            path.write_bytes(
                build(replace(first, backbone=backbone, card={**first.card, "name": name})).SerializeToString()
            )
            made = store.add(load(path), write_files=link(store))
            kept = store.get(name, made.version).backbone
            ensure_optimised(kept.path, kept.sha256, home / "cache" / "graphs")
            backbone.path.unlink()


def row(what: str, memory: Memory) -> None:
    print(f"| {what:58} | {memory} |", flush=True)


def shared(home: Path) -> bool:
    with running(home) as live:
        ask(live, [NAME] * SHARED)
        one, one_tree = settled(live)
    names = [NAME, *add_heads(home, SHARED - 1)]
    with running(home) as live:
        ask(live, names)
        many, many_tree = settled(live)
    row("1 check-up", one)
    row("the same, with decoders", one_tree)
    row(f"{SHARED} check-ups on one backbone", many)
    row("the same, with decoders", many_tree)
    ratios = [b / a for a, b in ((one.rss, many.rss), (one.pss, many.pss), (one.dirty, many.dirty))]
    print(f"\n{SHARED} check-ups take {', '.join(f'{r:.3f}' for r in ratios)} of one (RSS, PSS, private-dirty).\n")
    return max(ratios) <= 1.1


def whole(home: Path) -> bool:
    with running(home) as live:
        ask(live, [NAME] * WHOLE)
        none = settled(live)[0]
    names = [f"whole-{i}" for i in range(WHOLE)]
    add_networks(home, names)
    with running(home, "--memory", "1GB") as live:
        ask(live, names)
        own, everything = settled(live)
        held = figure(live, "medloupe_networks")
    row("no such model, but the shared backbone", none)
    row(f"{WHOLE} self-contained models, all held", own)
    row("the same, with decoders", everything)
    added = own.dirty - none.dirty
    print(f"\n{held:.0f} networks were held; the {WHOLE} add {added:.1f} MiB private-dirty.\n")
    return added <= 100 and held >= WHOLE


def budget(home: Path) -> bool:
    names = [f"many-{i}" for i in range(MANY)]
    add_networks(home, names)
    alone = Path(f"{home}-alone")
    Store(alone).sweep()
    with running(alone, "--memory", f"{BUDGET}MB") as live:
        ask(live, ["imagenet"] * 20)
        empty = settled(live)[0]
        held = figure(live, "medloupe_network_bytes") / MIB
    base = empty.rss - held
    most, counted = 0.0, 0.0
    began = time.monotonic()
    with running(home, "--memory", f"{BUDGET}MB") as live:
        started = time.monotonic() - began
        order = random.Random(1).choices(names, k=3 * MANY)
        for at in range(0, len(order), 20):
            with Sampler(live) as seen:
                ask(live, order[at : at + 20], clients=4)
            most = max(most, seen.rss)
            counted = max(counted, figure(live, "medloupe_network_bytes") / MIB)
        after = settled(live)[0]
        evictions = figure(live, "medloupe_network_evictions")
    row("a server without models (the shipped network is held)", empty)
    row(f"{MANY} self-contained models, --memory {BUDGET}MB, at the end", after)
    growth = most - base
    print(
        f"\n{len(order)} requests in random order, {evictions:.0f} evictions, ready after {started:.0f} s."
        f" The networks held are counted as {counted:.0f} MiB at most; resident memory was at most {most:.0f} MiB,"
        f" {growth:.0f} MiB ({growth / BUDGET:.2f} of the budget) over a server without any network.\n"
    )
    return counted <= BUDGET and growth <= 1.1 * BUDGET


class Sampler:
    """The server's largest RSS, in MiB, while the block runs."""

    def __init__(self, live: Live):
        self._process = server(live)
        self.rss = 0.0

    def __enter__(self) -> Sampler:
        import threading

        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.rss = max(self.rss, self._process.memory_info().rss / MIB)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def swaps(home: Path) -> bool:
    add_networks(home, [NAME] * 3)
    image = drills.picture()

    async def change(live: Live, times: int) -> None:
        async with drills.Line(live.port) as line, drills.Line(live.port) as other:
            for i in range(times):
                version = (i + 1) % 4 + 1
                wish = {"version": version, "force": True, "reason": "measuring memory"}
                reply = await line.ask(drills.post_json(f"/api/v1/models/{NAME}/promote", wish))
                assert reply is not None and reply.status == 200, reply
                asked = await other.ask(drills.post(f"/api/v1/models/{NAME}/predict?heatmap=true", image))
                assert asked is not None and asked.json()["version"] == version, asked

    with running(home, "--memory", "50MB") as live:  # two networks of the four fit in
        asyncio.run(change(live, SWAPS // 10))
        before = settled(live)[0]
        asyncio.run(change(live, SWAPS))
        after = settled(live)[0]
        evictions = figure(live, "medloupe_network_evictions")
    row(f"after {SWAPS // 10} swaps", before)
    row(f"after {SWAPS} more", after)
    print(
        f"\n{evictions:.0f} networks were given up; resident memory is {after.rss / before.rss:.3f} of what it was.\n"
    )
    return after.rss <= 1.05 * before.rss


def figure(live: Live, name: str) -> float:
    with live.client() as client:
        lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


PARTS = {"shared": shared, "whole": whole, "budget": budget, "swaps": swaps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="WHAT", help="default: all of them")
    parser.add_argument("--home", type=Path, help=f"a home with a trained model {NAME!r}, which is copied")
    parser.add_argument("--scratch", type=Path, help="a folder with room (default: the system's)")
    told = parser.parse_args()
    if wrong := set(told.what) - set(PARTS):
        parser.error(f"{wrong.pop()!r} is none of {', '.join(PARTS)}")
    print(f"| {'MiB':58} |    RSS |    PSS |  dirty |\n|{'-' * 60}|-------:|-------:|-------:|")
    failed = []
    for what in told.what or PARTS:
        with tempfile.TemporaryDirectory(prefix="medloupe-memory-", dir=told.scratch) as folder:
            if not PARTS[what](trained(Path(folder), told.home)):
                failed.append(what)
    if failed:
        sys.exit(f"over the limit: {', '.join(failed)}")


if __name__ == "__main__":
    main()
