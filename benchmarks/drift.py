"""How soon a change of site is noticed by the pictures alone, and how often an alarm is false: replayed.

    python benchmarks/drift.py [--data ../shared/data] [--seeds 5] > table.md

Of each set a check-up's reference is fitted on three fifths of the groups (patients, copies); the others arrive patient
after patient, in ten orders, and no alarm may come: each that does is false, counted by windows of 100 pictures. Then
100 of them are followed by pictures of the same disease from elsewhere, of which it counts how many come before the
alarm; also with only every second picture from elsewhere, and, as shorter steps, by the set's own remaining pictures as
another device would give them (medloupe.imaging.corruptions). *Mix*: only one class of the set's own arrives, which is
no change of site.

*By training*: against what the model file keeps of the training. *By the first 200*: as check-ups of before are
watched, which have no such thing; the 200 are held-out pictures too, so that only sets with enough of them can be
replayed. Statistic, batches and limit were chosen on the pairs marked "chosen on". Embeddings are cached in
MEDLOUPE_HOME.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

import medloupe
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.imaging.corruptions import CORRUPTIONS
from medloupe.imaging.decode import decode
from medloupe.metrics.drift import BATCH, DriftReference, watch_batches
from medloupe.model.drift import fit_reference, watch_features
from medloupe.model.gaussian import Gaussian
from medloupe.model.novelty import AXES
from medloupe.model.sketch import sketch_many

MOST = 1400  # pictures of a set
WINDOW, BEFORE, FOUND_WITHIN = 100, 100, 200  # pictures
ORDERS = 10
FIRST = 200
Pick = Callable[[dict[str, str]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A set, or those of its rows that are of one hospital."""

    folder: str
    part: str = ""
    pick: Pick = lambda row: True


def of(folder: str, column: str, value: str, part: str) -> Source:
    """Rows in which a column contains a text."""
    return Source(folder=folder, part=part, pick=lambda row: value in row.get(column, ""))


CHILD, NIH, COVID = Source(folder="chest_pneumonia"), Source(folder="chest_findings"), Source(folder="covid_cxr")
RSNA = of("chest_adult", "label", "normal", "normal, RSNA")
TB = of("chest_adult", "label", "tuberculosis", "tuberculosis")
COLOUR, GREY = Source(folder="malaria_colour"), Source(folder="malaria")
ODIR, IDRID = Source(folder="fundus"), Source(folder="fundus_idrid")
OCT, OCT8 = of("oct", "source", "kermany", "Kermany"), of("oct", "source", "c8", "OCT-C8")
BREAST, SKIN = Source(folder="breast_ultrasound"), Source(folder="skin")
PAIRS = (
    (CHILD, RSNA, True),
    (CHILD, COVID, True),
    (COLOUR, GREY, True),
    (ODIR, IDRID, True),
    (OCT, OCT8, True),
    (NIH, TB, True),
    (RSNA, COVID, False),
    (RSNA, TB, False),
    (NIH, COVID, False),
    (NIH, CHILD, False),
    (GREY, COLOUR, False),
    (IDRID, ODIR, False),
    (TB, RSNA, False),
)
CHANGED = ("jpeg-30", "gamma", "darker", "blur-mild", "noise-mild")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Sketches (N, W), groups (N,), one-hot targets (N, K) and where the pictures lie."""

    z: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    data: medloupe.Dataset


@lru_cache(maxsize=1)
def _levels() -> tuple[int, ...]:
    return backbone().card.levels


def _embedded(data: medloupe.Dataset) -> Pictures:
    features = embed(scan_dataset(data), backbone())
    groups = np.array([r.patient or r.id for r in features.data.records])
    z = sketch_many(features.embeddings, _levels())
    return Pictures(z=z, groups=groups, targets=features.data.targets, data=features.data)


@cache
def load(root: Path, source: Source) -> Pictures:
    """Embed at most MOST pictures of a source, whole groups of them."""
    with (root / source.folder / "labels.csv").open(encoding="utf-8") as f:
        rows = {row["file"]: row for row in csv.DictReader(f)}
    data = medloupe.read(root / source.folder)
    by_group: dict[str, list[medloupe.Record]] = {}
    for record in data.records:
        if source.pick(rows.get(record.id, {})):
            by_group.setdefault(record.patient or record.id, []).append(record)
    names = sorted(by_group)
    np.random.default_rng(0).shuffle(names)
    chosen: list[medloupe.Record] = []
    for name in names:
        if len(chosen) >= MOST:
            break
        chosen += by_group[name]
    return _embedded(replace(data, records=tuple(chosen)))


def change(own: Pictures, rows: np.ndarray, name: str) -> np.ndarray:
    """Embed pictures as another device gives them: sketches (n, W)."""
    act = next(c for c in CORRUPTIONS if c.name == name)
    records = [own.data.records[i] for i in rows]
    changed = tuple(replace(r, id=f"{i:05}", image=act(decode(r.image)), patient=None) for i, r in enumerate(records))
    return _embedded(replace(own.data, records=changed)).z


def arrive(groups: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order rows patient after patient."""
    names = np.unique(groups[rows])
    rank = dict(zip(names.tolist(), rng.permutation(len(names)).tolist(), strict=True))
    return rows[np.argsort([rank[g] for g in groups[rows].tolist()], kind="stable")]


def alarms(reference: DriftReference, features: np.ndarray) -> list[int]:
    """Numbers of pictures seen when alarms begin."""
    p = [reference.p_value(features[i : i + BATCH]) for i in range(0, len(features) - BATCH + 1, BATCH)]
    found, before = [], False
    for i, state in enumerate(watch_batches(p)):
        if state.alarm and not before:
            found.append((i + 1) * BATCH)
        before = state.alarm
    return found


@dataclass(slots=True)
class Tally:
    """What was counted for one source."""

    windows: int = 0
    false: int = 0
    mix_windows: int = 0
    mix_false: int = 0


def delays(reference: DriftReference, before: np.ndarray, after: np.ndarray) -> float:
    """Pictures from elsewhere until the alarm; infinite where there was none within FOUND_WITHIN."""
    later = [n - len(before) for n in alarms(reference, np.concatenate([before, after[:FOUND_WITHIN]]))]
    return next((float(n) for n in later if n > 0), float("inf"))


def replay(
    own: Pictures, others: dict[str, np.ndarray], seed: int, first: bool, tally: Tally
) -> Iterator[tuple[str, float]]:
    """Replay one split of a source; gives how long each change took."""
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.unique(own.groups))
    train = np.isin(own.groups, names[: round(0.6 * len(names))])
    axes = max(1, min(AXES, len(np.unique(own.groups[train])) // 4))  # as Novelty.fit has them
    gaussian = Gaussian.fit(own.z[train], axes)
    reference = fit_reference(own.z[train], own.groups[train], own.targets[train], gaussian, seed)
    held = np.flatnonzero(~train)
    for turn in range(ORDERS):
        order = arrive(own.groups, held, rng)
        seen = watch_features(gaussian, own.z[order])
        if first:
            if len(order) < FIRST + BEFORE:
                return
            reference, seen = DriftReference.of_first(seen[:FIRST], seed), seen[FIRST:]
        if reference is None:
            return
        tally.windows += len(seen) // WINDOW
        tally.false += len(alarms(reference, seen))
        for k in range(own.targets.shape[1]):
            rows = order[FIRST * first :]
            one = seen[own.targets[rows, k] == 1]
            if len(one) >= WINDOW and own.targets.shape[1] > 1:
                tally.mix_windows += len(one) // WINDOW
                tally.mix_false += len(alarms(reference, one))
        if turn:
            continue
        for name, z in others.items():
            after = watch_features(gaussian, z)
            yield name, delays(reference, seen[:BEFORE], after)
            if not name.startswith("own"):
                most = min(FOUND_WITHIN // 2, len(after))
                some = seen[rng.integers(0, len(seen), most)]
                half = np.stack([after[:most], some], 1).reshape(-1, seen.shape[1])
                yield f"{name}, half", delays(reference, seen[:BEFORE], half)


def say_change(source: Source, own: Pictures, name: str, took: list[float], half: list[float]) -> str:
    """Write the row of one change."""
    size = f"{len(own.z)} / {len(np.unique(own.groups))}"
    return f"| {_name(source)} | {size} | {name} | {_found(took)} | {_say(took)} | {_say(half)} |"


def say_false(name: str, tally: Tally) -> str:
    """Write the row of a source's false alarms."""
    rate = 100 * tally.false / max(1, tally.windows)
    return f"| {name} | {tally.windows} | {tally.false} ({rate:.2f}) | {tally.mix_windows} | {tally.mix_false} |"


def replay_all(data: Path, seeds: int, first: bool) -> None:
    """Print the tables of one way of watching."""
    sources: dict[Source, list[Source]] = {}
    for a, b, _ in PAIRS:
        sources.setdefault(a, []).append(b)
    chosen_on = {(a, b) for a, b, chosen in PAIRS if chosen}
    print(f"\n### {'By the first 200' if first else 'By training'}\n")
    print("| learned from | pictures / groups | then | found within 200 | pictures until the alarm | half of them |")
    print("|---|---|---|---|---|---|")
    falses: list[str] = []
    total = Tally()
    for source, others in (sources | {BREAST: [], SKIN: []}).items():
        print(f"{source.folder} {source.part}", file=sys.stderr, flush=True)
        own, tally, rng = load(data, source), Tally(), np.random.default_rng(99)
        later: dict[str, np.ndarray] = {}
        for other in others:
            found = load(data, other)
            mark = " (chosen on)" if (source, other) in chosen_on else ""
            later[_name(other) + mark] = found.z[arrive(found.groups, np.arange(len(found.z)), rng)]
        if not others:
            some = rng.permutation(len(own.z))[:FOUND_WITHIN]
            later |= {f"own, {name}": change(own, some, name) for name in CHANGED}
        took: dict[str, list[float]] = {}
        for seed in range(seeds):
            for name, n in replay(own, later, seed, first, tally):
                took.setdefault(name, []).append(n)
        for name in (n for n in later if n in took):
            print(say_change(source, own, name, took[name], took.get(f"{name}, half", [])), flush=True)
        if tally.windows:
            falses.append(say_false(_name(source), tally))
            total.windows, total.false = total.windows + tally.windows, total.false + tally.false
            total.mix_windows += tally.mix_windows
            total.mix_false += tally.mix_false
    print("\n| learned from | windows of 100 | false alarms (in 100) | windows of one class alone | alarms |")
    print("|---|---|---|---|---|")
    print("\n".join([*falses, say_false("**all**", total)]), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    for first in (False, True):
        replay_all(options.data, options.seeds, first)


def _name(source: Source) -> str:
    return f"{source.folder} ({source.part})" if source.part else source.folder


def _found(n: list[float]) -> str:
    return f"{sum(x <= FOUND_WITHIN for x in n)} of {len(n)}"


def _say(n: list[float]) -> str:
    if not n:
        return ""
    low, middle, high = (np.sort(n)[i] for i in (0, (len(n) - 1) // 2, -1))
    return ", ".join("none" if np.isinf(x) else f"{x:.0f}" for x in (middle, low, high))


if __name__ == "__main__":
    main()
