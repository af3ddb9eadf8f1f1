"""What starting costs: `python benchmarks/startup.py CHECKOUT [OTHER]`.

import    seconds that `import medloupe` takes in a fresh process
cpu       seconds of the processor in it, which a busy machine moves less
start     MiB private to the server's own process (USS: what nobody else has) once it is ready and at rest
answered  the same after each check-up of pictures has answered one generated picture, with heat map
tree      the same, with the processes that decode

With two checkouts they take turns (A B A B …), and the ratio is of each pair. Give one twice to see the noise. Each is
a folder with src/medloupe in it; both are run by this Python. A server is measured at its second start in a home, when
its networks lie optimised there, and each in a home of its own: the same server takes 1 % more in some homes than in
others. Median, and the smallest and largest in brackets. With --limit the exit status is 1 where a median ratio is
above it; that of `import` is left out, as it measures the neighbours too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import psutil
from PIL import Image

import fixed_pictures
from live import Live, running

MIB = 2**20
REST = 1.5  # seconds, after which a server has nothing left to do
_IMPORT = """
import time
began, busy = time.perf_counter(), time.process_time()
import medloupe
print(time.perf_counter() - began, time.process_time() - busy, medloupe.__file__)
"""
Figures = dict[str, float]


def environment(checkout: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(checkout / "src"), "MEDLOUPE_STARTERS": "all"}


def _said(checkout: Path, *arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment(checkout)}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{checkout}: {' '.join(arguments)[:80]} failed:\n{done.stderr}")
    return done.stdout


def imported(checkout: Path) -> Figures:
    """Seconds that the import statement takes."""
    took, cpu, found = _said(checkout, "-c", _IMPORT).split(maxsplit=2)
    if not Path(found.strip()).is_relative_to(checkout):
        sys.exit(f"{found.strip()} was imported, not what lies in {checkout}.")
    return {"import": float(took), "cpu": float(cpu)}


def private(*processes: psutil.Process) -> float:
    """MiB."""
    return sum(process.memory_full_info().uss for process in processes) / MIB


def tree(live: Live) -> list[psutil.Process]:
    server = psutil.Process(live.process.pid)
    return [server, *server.children(recursive=True)]


def served(checkout: Path, scratch: Path, names: Sequence[str], picture: bytes) -> Figures:
    """Private memory of a server of that checkout; its home lies in scratch while it is measured."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        home = Path(folder) / "home"
        with running(home, **environment(checkout)):
            pass
        return _measured(checkout, home, names, picture)


def _measured(checkout: Path, home: Path, names: Sequence[str], picture: bytes) -> Figures:
    with running(home, **environment(checkout)) as live:
        time.sleep(REST)
        started = private(tree(live)[0])
        for name in names:
            reply = live.ask(name, picture, heatmap="true")
            if reply.status_code != 200 or reply.json()["model"] != name:
                sys.exit(f"{checkout}: {name} answered {reply.status_code}: {reply.text[:300]}")
        time.sleep(REST)
        everybody = tree(live)
        return {"start": started, "answered": private(everybody[0]), "tree": private(*everybody)}


def in_turn(measures: Sequence[Callable[[], Figures]], rounds: int) -> list[list[Figures]]:
    """By measure, its figures of each round."""
    made: list[list[Figures]] = [[] for _ in measures]
    for _ in range(rounds):
        for measure, figures in zip(measures, made, strict=True):
            figures.append(measure())
    return made


def shown(values: Sequence[float], form: str) -> str:
    low, middle, high = (format(v, form) for v in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({low}–{high})"


def rows(made: Sequence[Sequence[Figures]], form: str) -> dict[str, float]:
    """Print a line a figure; the median ratio by figure, where there are two checkouts."""
    ratios: dict[str, float] = {}
    for figure in made[0][0]:
        series = [[one[figure] for one in figures] for figures in made]
        cells = [shown(values, form) for values in series]
        if len(series) == 2:
            pairs = [b / a for a, b in zip(*series, strict=True)]
            cells.append(shown(pairs, ".3f"))
            ratios[figure] = statistics.median(pairs)
        print(f"| {figure:8} | {' | '.join(f'{cell:25}' for cell in cells)} |", flush=True)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT")
    parser.add_argument("--imports", type=int, default=31, help="rounds of imports (default: 31)")
    parser.add_argument("--servers", type=int, default=5, help="rounds of servers (default: 5)")
    parser.add_argument("--limit", type=float, help="the largest ratio that passes, such as 1.03")
    told = parser.parse_args()
    checkouts = [path.resolve() for path in told.checkouts]
    if len(checkouts) > 2:
        parser.error("One checkout or two can be measured.")
    for path in checkouts:
        if not (path / "src" / "medloupe").is_dir():
            parser.error(f"{path} holds no src/medloupe.")
    shipped = map(json.loads, _said(checkouts[0], "-m", "medloupe", "starters", "list", "--json").splitlines())
    names = [line["name"] for line in shipped if line["things"] == "images"]
    file = io.BytesIO()
    Image.fromarray(fixed_pictures.fundus()).save(file, "PNG")

    for path in checkouts:
        imported(path)  # leaves its bytecode
    ratio = ["ratio"] * (len(checkouts) == 2)
    print(f"| s, MiB   | {' | '.join(f'{head!s:25}' for head in (*checkouts, *ratio))} |")
    print(f"|----------|{'|'.join(['-' * 27] * (len(checkouts) + len(ratio)))}|", flush=True)
    ratios = rows(in_turn([lambda path=path: imported(path) for path in checkouts], told.imports), ".4f")
    with tempfile.TemporaryDirectory(prefix="medloupe-startup-") as folder:
        servers = [lambda path=path: served(path, Path(folder), names, file.getvalue()) for path in checkouts]
        ratios |= rows(in_turn(servers, told.servers), ".1f")
    print(f"\n{len(names)} check-ups asked: {', '.join(names)}. {told.imports} and {told.servers} rounds.")
    if told.limit and (
        over := [figure for figure, value in ratios.items() if figure != "import" and value > told.limit]
    ):
        sys.exit(f"over {told.limit:g}: {', '.join(over)}")


if __name__ == "__main__":
    main()
