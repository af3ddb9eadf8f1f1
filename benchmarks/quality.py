"""The quality gate: good pictures stopped, and what becomes of pictures spoilt on purpose.

    python benchmarks/quality.py [--data ../shared/data] [--each 60] [--seed 0] > quality.md

Three times a third of every set's groups (patients; where none are named, identical files) is put aside, each group
once: limits are learned on the others and asked about the third, as it is and spoilt (imaging/corruptions.py). What is
not stopped is answered by the shipped check-up, which was trained on the same pictures unspoilt: shares answered
rightly are of that check-up as it is, and too good for new patients. Right is: flagged where there is a finding and
only there; where no label is sought, the right label.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from medloupe.data.contents import digest_image, read_content
from medloupe.data.records import Record
from medloupe.imaging import corruptions
from medloupe.imaging.decode import decode
from medloupe.imaging.quality import MEASURES, Limits, Measures, find_fault
from medloupe.inference.pictures import Predictor
from medloupe.metrics.weighted import wilson
from medloupe.model.decision import Decision
from medloupe.starter import shipped
from medloupe.training.pipeline.quality import fit_limits, measure_records

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from starters import STARTERS, Starter

TURNS = 3
LEARNT = 1500  # pictures at most that limits are learned from, as in training
Spoil = Callable[[np.ndarray, np.random.Generator], np.ndarray]
SPOILT: Mapping[str, Spoil] = {
    "dark (×.3)": lambda p, _: corruptions.change_exposure(p, 0.3),
    "darker (×.55)": lambda p, _: corruptions.change_exposure(p, 0.55),
    "bright (×2.5)": lambda p, _: corruptions.change_exposure(p, 2.5),
    "brighter (×1.4)": lambda p, _: corruptions.change_exposure(p, 1.4),
    "veil (contrast ×.25)": lambda p, _: corruptions.lower_contrast(p, 0.25),
    "blur (1.2 %)": lambda p, _: corruptions.blur(p, 0.012),
    "blur (3 %)": lambda p, _: corruptions.blur(p, 0.03),
    "glare": lambda p, rng: corruptions.add_glare(p, 0.15, rng),
    "cut (15 % a side)": lambda p, _: corruptions.crop_margins(p, 0.15),
    "small (×.2)": lambda p, _: corruptions.lower_resolution(p, 0.2),
}
SETS = ("pneumonia", "covid", "skin", "retina-referable", "breast", "brain-tumour", "malaria", "monkeypox")


def groups_of(records: tuple[Record, ...]) -> np.ndarray:
    """int (N,): of patients, else of identical files."""
    keys = [r.patient or digest_image(read_content(r.picture)).hex() for r in records]
    return np.unique(np.array(keys), return_inverse=True)[1]


def turns_of(groups: np.ndarray, seed: int) -> np.ndarray:
    """int (N,): in which turn a picture is put aside."""
    return (np.random.default_rng(seed).permutation(groups.max() + 1) % TURNS)[groups]


def outcome(predictor: Predictor, decision: Decision, record: Record, pixels: np.ndarray) -> str:
    """What becomes of one picture: a code of quality, "refused", "right" or "wrong"."""
    said = predictor.predict(pixels)
    if said.state == "unusable":
        assert said.said.why is not None
        return said.said.why.code
    if said.state == "refused":
        return "refused"
    truth = {name for name, v in record.labels.items() if v == 1}
    sought = {name for name in decision.labels if decision.roles.of(name) == "sought"}
    right = (
        bool(truth & sought) == bool(said.flagged)
        if sought and sought < {*decision.labels}
        else said.prediction in truth
    )
    return "right" if right else "wrong"


def judged(one: Starter, data: Path, each: int, seed: int) -> Iterator[tuple[str, Counter[str], int]]:
    """For the pictures as they are, and for each way to spoil them, what becomes of how many."""
    records = one.read(data).records
    model = shipped.load_shipped(one.name)
    decision, size = Decision.from_card(model.card), model.backbone.card.input_size
    values, groups = measure_records(records, size), groups_of(records)
    turn, rng = turns_of(groups, seed), np.random.default_rng(seed)
    good: Counter[str] = Counter()
    spoilt: dict[str, Counter[str]] = {name: Counter() for name in ("as it is", *SPOILT)}
    for t in range(TURNS):
        others = rng.permutation(np.flatnonzero(turn != t))[:LEARNT]
        entry = fit_limits(values[others], groups[others], seed)
        limits, aside = Limits.from_json(entry), np.flatnonzero(turn == t)
        for i in aside:
            fault = find_fault(Measures(**dict(zip(MEASURES, values[i].tolist(), strict=True))), limits)
            good[fault.code if fault else "used"] += 1
        predictor = Predictor(replace(model, card={**model.card, "quality": entry}))
        for i in rng.permutation(aside)[: each // TURNS]:
            pixels = decode(records[i].picture)
            for name, found in spoilt.items():
                asked = pixels if name == "as it is" else SPOILT[name](pixels, rng)
                found[outcome(predictor, decision, records[i], asked)] += 1
    yield "good", good, len(records)
    for name, found in spoilt.items():
        yield name, found, found.total()


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--each", type=int, default=60, help="pictures of each set that are spoilt")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    os.environ["MEDLOUPE_STARTERS"] = "all"
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.setdefault("MEDLOUPE_HOME", temporary)
        starters = {s.name: s for s in STARTERS}
        rows = {name: list(judged(starters[name], told.data, told.each, told.seed)) for name in SETS}
    print("| check-up | good pictures | stopped | 95 % | as |\n|---|---|---|---|---|")
    for name, found in rows.items():
        _, good, n = found[0]
        stopped = n - good["used"]
        low, high = wilson(stopped, n)
        why = ", ".join(f"{code.replace('_', ' ')} {k}" for code, k in good.most_common() if code != "used") or "–"
        print(f"| {name} | {n:,} | {stopped / n:.2%} | {low:.2%}–{high:.2%} | {why} |")
    print("\nStopped / refused as foreign / answered rightly / wrongly, of 100:\n")
    print("| check-up | " + " | ".join(("as it is", *SPOILT)) + " |\n|---|" + "---|" * (len(SPOILT) + 1))
    for name, found in rows.items():
        cells = []
        for _, counts, n in found[1:]:
            known = {k: counts[k] for k in ("refused", "right", "wrong")}
            each = (n - sum(known.values()), *known.values())
            cells.append(" / ".join(f"{100 * k / n:.0f}" for k in each))
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\nOf those stopped, by the code that fits what was done:\n\n| done | codes |\n|---|---|")
    for k, change in enumerate(SPOILT):
        codes: Counter[str] = Counter()
        for found in rows.values():
            codes += Counter({c: v for c, v in found[k + 2][1].items() if c not in ("refused", "right", "wrong")})
        print(f"| {change} | {', '.join(f'{c} {v}' for c, v in codes.most_common())} |")


if __name__ == "__main__":
    main()
