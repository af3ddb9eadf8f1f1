"""What each step of transfer learning buys: a linear head, tuned upper stages, the whole network, random weights.

    python benchmarks/finetuning.py [--data ../shared/data] [--sets skin,fundus] [--kinds tail,full,scratch]
                                    [--minutes M] [--homes FOLDER] > table.md

For each set `medloupe train --finetune KIND` runs in an empty home. Its card says what a linear head reaches on the
same folds, by patient or group, and how far apart the two are: a paired bootstrap over groups. Where the data brings
a test split, its AUC stands beside, with that of a linear head from a training without fine-tuning. With `scratch`
the same network is also trained from random weights (`--compare scratch`), on growing numbers of images a class, as
far as the minutes allow, and judged beside linear heads on the same images. --homes keeps the models, a home a set
(for precision.py); what lies there already is taken up, so that the seconds are then no longer those of an empty
home.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from accuracy import SETS, figure, medloupe


def trained(home: Path, data: Path, name: str, options: tuple[str, ...]) -> tuple[dict, float]:
    """The card, and the seconds of the whole command."""
    started = time.perf_counter()
    said, _ = medloupe(home, "train", str(data), "--name", name, "--json", *options)
    seconds = time.perf_counter() - started
    version = json.loads(said.splitlines()[-1])["version"]  # in a home that is kept, another may be in production
    return json.loads(medloupe(home, "models", "show", f"{name}@{version}", "--json")[0]), seconds


def row(data: Path, options: tuple[str, ...], kinds: list[str], minutes: float | None, homes: Path | None) -> None:
    """One line of the table for each kind."""
    limit = ("--minutes", f"{minutes:g}") if minutes else ()
    with tempfile.TemporaryDirectory() as temporary:
        home = homes / data.stem if homes else Path(temporary)
        plain, seconds = trained(home, data, "linear", options)
        test = figure(plain["metrics"]["auc"]) if plain["split"]["test"] else ""
        auc = plain["secondary"]["metrics"]["auc"] if plain["secondary"] else plain["metrics"]["auc"]
        print(f"| {data.stem} | linear, 5 folds | {figure(auc)} | | {test} | {seconds:.0f} | |", flush=True)
        for kind in kinds:
            if kind == "scratch":
                continue
            card, seconds = trained(home, data, kind, (*options, "--finetune", kind, *limit))
            said = card["finetuning"]
            linear = next(c for c in said["candidates"] if c["alpha"] == 0)
            print(f"| | linear, the same {said['folds']} folds | {figure(linear['auc'])} | | | | |")
            for c in said["candidates"]:
                if not c["alpha"]:
                    continue
                d = c["difference"]
                chosen = " **(ships)**" if c["alpha"] == said["alpha"] else ""
                test = figure(card["metrics"]["auc"]) if card["split"]["test"] and chosen else ""
                print(
                    f"| | {kind}, {c['alpha']:g} of the way{chosen} | {figure(c['auc'])} |"
                    f" {d['value']:+.3f} ({d['low']:+.3f} to {d['high']:+.3f}) | {test} |"
                    f" {seconds:.0f} | {said['recipe']['epochs']} |",
                    flush=True,
                )
        if "scratch" in kinds:
            card, seconds = trained(home, data, "scratch", (*options, "--compare", "scratch", *limit))
            found = card["few_images"]
            print(f"| | *{found['words']}* | | | | {seconds:.0f} | {found['epochs']} |", flush=True)
            for curve in found["curves"]:
                for point in curve["points"]:
                    print(f"| | {curve['name']}, {point['n']} a class | {figure(point['auc'])} | | | | |", flush=True)


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--sets", default="")
    parser.add_argument("--kinds", default="tail")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--homes", type=Path, metavar="FOLDER")
    told = parser.parse_args()
    print("| data | network and head | AUC by folds | gain over linear, paired | test split | seconds | epochs |")
    print("|---|---|---|---|---|---|---|")
    for name, options in SETS:
        if not told.sets or Path(name).stem in told.sets.split(","):
            row(told.data / name, options, told.kinds.split(","), told.minutes, told.homes)


if __name__ == "__main__":
    main()
