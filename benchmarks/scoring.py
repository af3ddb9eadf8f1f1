"""How fast many files are scored, by threads, by processes and by Ray; and whether each comes once whatever is killed.

    python benchmarks/scoring.py make FILES --data ../shared/data --count 20000
    python benchmarks/scoring.py rates FILES --count 2000 --rounds 3 --cores 1,2   > table.md
    python benchmarks/scoring.py whole FILES --workers 2 --out OUT
    python benchmarks/scoring.py kills FILES --count 4000 --times 20 --out OUT      (or nodes, or drivers, of it)

`make` writes pictures of many sizes: of the data, repeated with changes of size, crop, brightness and quality, and made
up, with broken files among them. `rates` runs plain threads (`Predictor.predict_many`), the local engine and Ray in
turn, each in processes bound to as many cores as it has workers, and counts from the first shards done to the last:
starting is not counted. Files a second say little where others use the machine too; files a second of processor time,
of all processes together, say what each way costs. `whole` scores all files by both engines and compares the two
folders byte by byte. `kills` scores on a Ray cluster of two nodes of which workers and whole nodes are killed, so
often each, then kills drivers, with `local` and `ray`, and runs them again; each time the folder must hold the bytes of
a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image, ImageEnhance

SHARD = 100  # files, so that short runs have many


def make(folder: Path, data: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    sets = ("chest_pneumonia", "brain_mri", "malaria", "breast_ultrasound", "oct", "skin", "cats_dogs")
    files = [f for name in sets for f in sorted((data / name).rglob("*")) if f.suffix.lower() in (".jpg", ".png")]
    rng.shuffle(files)  # pyright: ignore[reportArgumentType]
    source = cycle(files)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        path = folder / f"{i // 1000:03}" / f"{i:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        kind = rng.random()
        if kind < 0.004:
            path.write_bytes(rng.bytes(500) if kind < 0.002 else b"")
            continue
        if kind < 0.1:
            side = int(rng.integers(64, 700))
            small = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
            picture = Image.fromarray(small).resize((side, int(side * rng.uniform(0.6, 1.4))), Image.Resampling.BICUBIC)
        else:
            with Image.open(next(source)) as opened:
                picture = opened.convert("RGB")
            w, h = picture.size
            left, top = int(rng.uniform(0, 0.06) * w), int(rng.uniform(0, 0.06) * h)
            factor = rng.choice([1.0, 1.0, 1.0, 2.0, 4.0])
            picture = picture.crop((left, top, w, h)).resize((int((w - left) * factor), int((h - top) * factor)))
            picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.8, 1.2))
        if i % 9 == 0:
            picture.save(path.with_suffix(".png"))
        else:
            picture.save(path, quality=int(rng.integers(60, 96)))


def files_of(folder: Path, count: int | None = None) -> list[Path]:
    return list(islice((f for f in sorted(folder.rglob("*")) if f.is_file()), count))


def write_list(folder: Path, count: int, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{f.absolute()}\n" for f in files_of(folder, count)))
    return path


def spent() -> float:
    """Processor seconds of this process and all that it started, those of Ray included."""
    import psutil

    total = 0.0
    for process in (me := psutil.Process(), *me.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def run_arm(arm: str, listed: Path, workers: int, out: Path) -> tuple[float, float]:
    """Score a list; files a second and files a processor second, from the first shards done to the last."""
    marks: list[tuple[float, float, int]] = []
    if arm == "threads":
        from medloupe.inference.find import find_model, make_looks_like
        from medloupe.inference.predictors import predictor

        model = find_model("pneumonia", composed=True)
        asked = predictor(model, network_threads=1, looks_like=make_looks_like(model.backbone.sha256))
        files = [Path(line) for line in listed.read_text().splitlines()]
        for done, (_, answer) in enumerate(asked.predict_many(files), 1):
            getattr(answer, "as_json", str)()
            if done % SHARD == 0:
                marks.append((time.perf_counter(), spent(), done))
    else:
        from medloupe.scoring.run import score

        def note(done: int, total: int) -> None:
            marks.append((time.perf_counter(), spent(), done))

        score("pneumonia", str(listed), out, engine=arm, workers=workers, rows=SHARD, progress=note)
        marks = [m for m in marks if m[2]]
    # Workers begin at once and end their shards together: the first round of shards is where the clock starts.
    first, last = marks[workers - 1], marks[-1]
    return (last[2] - first[2]) / (last[0] - first[0]), (last[2] - first[2]) / (last[1] - first[1])


def measure(arm: str, listed: Path, workers: int, work: Path) -> tuple[float, float]:
    """Run an arm in a process of its own, bound to the first cores."""
    out = work / f"{arm}-{workers}"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, "arm", str(listed), "--arm", arm, "--workers", str(workers), "--out", str(out)]
    ran = subprocess.run(
        command,
        env={**os.environ, "MEDLOUPE_THREADS": str(workers), "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers]),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    clock, processor = ran.stdout.split()[-2:]
    return float(clock), float(processor)


def rates(folder: Path, count: int, rounds: int, cores: list[int], work: Path) -> None:
    listed = write_list(folder, count, work / "list.txt")
    arms = ("threads", "local", "ray")
    print("| cores | round | threads | local | Ray | local / threads | Ray / local | the same by the clock | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    for n in cores:
        ratios = []
        for k in range(rounds):
            order = arms if k % 2 == 0 else arms[::-1]
            seen = {arm: measure(arm, listed, n, work) for arm in order}
            clock, cost = ({arm: seen[arm][i] for arm in arms} for i in (0, 1))
            ratios.append([f(by) for by in (cost, clock) for f in (local_to_threads, ray_to_local)])
            shown = " | ".join(f"{clock[arm]:.1f}/s, {cost[arm]:.1f}/CPU s" for arm in arms)
            (a, b, c, d), load = ratios[-1], os.getloadavg()[0]
            print(
                f"| {n} | {k + 1} | {shown} | {a:.2f} | {b:.2f} | {c:.2f}, {d:.2f} | {load:.1f} |",
                flush=True,
            )
        a, b, c, d = (f"{median(v):.2f} ({min(v):.2f}–{max(v):.2f})" for v in zip(*ratios, strict=True))
        print(f"| {n} | median | | | | {a} | {b} | {c}, {d} | |", flush=True)


def local_to_threads(rates: dict[str, float]) -> float:
    return rates["local"] / rates["threads"]


def ray_to_local(rates: dict[str, float]) -> float:
    return rates["ray"] / rates["local"]


def command_of(engine: str, listed: Path | str, out: Path, workers: int, rows: int) -> list[str]:
    told = ["--out", str(out), "--engine", engine, "--workers", str(workers), "--rows", str(rows), "--json"]
    return [sys.executable, "-m", "medloupe", "score", "pneumonia", str(listed), *told]


def same(a: Path, b: Path) -> bool:
    """Whether two folders hold the same files, byte by byte."""
    names = sorted(str(f.relative_to(a)) for f in files_of(a))
    return names == sorted(str(f.relative_to(b)) for f in files_of(b)) and not any(
        filecmp.cmpfiles(a, b, names, shallow=False)[1:]
    )


def whole(folder: Path, workers: int, out: Path) -> None:
    for engine in ("local", "ray"):
        began = time.perf_counter()
        ran = subprocess.run(command_of(engine, folder, out / engine, workers, 500), stdout=subprocess.PIPE, text=True)
        print(engine, f"{time.perf_counter() - began:.0f} s", ran.stdout.strip(), flush=True)
    print("the same bytes:", same(out / "local", out / "ray"))


def grow(out: Path, seconds: float = 600) -> Callable[[int], int]:
    """Give what waits until so many entries are there, or the run is complete."""

    def until(count: int) -> int:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            there = len(list((out / "entries").glob("*.json"))) if out.exists() else 0
            if there >= count or (out / "manifest.json").exists():
                return there
            time.sleep(0.05)
        raise TimeoutError(f"{out} does not grow")

    return until


def kills(folder: Path, count: int, times: int, out: Path, what: str = "kills") -> None:
    listed = write_list(folder, count, out / "list.txt")
    rows = 20
    subprocess.run(command_of("local", listed, out / "calm", 2, rows), check=True, stdout=subprocess.PIPE)
    if what != "drivers":
        kill_parts(listed, count, 2 * times, out, rows)
    for engine in ("local", "ray") if what != "nodes" else ():
        ended = kill_drivers(engine, listed, count, times, out / f"driver-{engine}", rows)
        print(f"{engine}: driver killed {ended} times, the same bytes: {same(out / 'calm', out / f'driver-{engine}')}")


def kill_drivers(engine: str, listed: Path, count: int, times: int, out: Path, rows: int) -> int:
    """Kill a run again and again by signal 9, at shares of the work spread over it, and run it to its end."""
    ended = 0
    shards = -(-count // rows)
    for k in range(times):
        driver = subprocess.Popen(command_of(engine, listed, out, 2, rows), stdout=subprocess.DEVNULL)
        grow(out)((k + 1) * shards // (times + 1))
        time.sleep(random.Random(k).uniform(0, 0.5))
        if driver.poll() is None:
            driver.send_signal(signal.SIGKILL)
            ended += 1
        driver.wait()
    subprocess.run(command_of(engine, listed, out, 2, rows), check=True, stdout=subprocess.PIPE)
    return ended


def kill_parts(listed: Path, count: int, times: int, out: Path, rows: int) -> None:
    """Kill workers and nodes of a cluster of two in turn while it scores; the next node comes before the next kill."""
    import psutil
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    target = out / "killed"
    until = grow(target)
    shards = -(-count // rows)
    workers = nodes = 0
    command = command_of("ray", listed, target, 2, rows)
    driver = subprocess.Popen(
        command, env={**os.environ, "RAY_ADDRESS": cluster.address}, stdout=subprocess.PIPE, text=True
    )
    for k in range(times):
        until((k + 1) * shards // (times + 2))
        if (target / "manifest.json").exists():
            break
        if k % 2:
            cluster.remove_node(second, allow_graceful=False)
            second = cluster.add_node(num_cpus=1)
            nodes += 1
            continue
        raylets = [node.all_processes["raylet"][0].process.pid for node in cluster.list_all_nodes()]
        alive = [p for r in raylets for p in psutil.Process(r).children() if "RayWorker" in " ".join(p.cmdline())]
        if alive:
            alive[k // 2 % len(alive)].kill()
            workers += 1
    said = driver.communicate()[0].strip()
    cluster.shutdown()
    print(
        f"ray: {workers} workers and {nodes} nodes killed of {count} files, exit {driver.returncode}, {said},"
        f" the same bytes: {same(out / 'calm', target)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "rates", "whole", "kills", "nodes", "drivers", "arm"])
    parser.add_argument("files", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", default="1,2")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--arm")
    parser.add_argument("--out", type=Path, default=Path("/tmp/medloupe-scoring"))
    told = parser.parse_args()
    if told.what == "make":
        make(told.files, told.data, told.count)
    elif told.what == "rates":
        rates(told.files, told.count, told.rounds, [int(n) for n in told.cores.split(",")], told.out)
    elif told.what == "whole":
        whole(told.files, told.workers, told.out)
    elif told.what in ("kills", "nodes", "drivers"):
        kills(told.files, told.count, told.times, told.out, told.what)
    else:
        print(*run_arm(told.arm, told.files, told.workers, told.out))


if __name__ == "__main__":
    main()
