"""How often a detector marks a place where there is nothing: asked about pictures of another set that show none.

    python benchmarks/healthy_marks.py MODEL FOLDER LABEL [--most 200] [--seed 0]
    python benchmarks/healthy_marks.py brain_lesions ../shared/data/brain_mri notumor

Of a set in which every picture shows what is sought, this cannot be learned from the set itself. MODEL is a shipped
check-up or a model of the store; pictures are those of FOLDER that have the label LABEL alone, drawn by the seed. Those
with another label stand beside them: where these are marked no more often, a mark says nothing about such pictures.
Intervals are Wilson's, over pictures.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("MEDLOUPE_THREADS", "1")
os.environ.setdefault("MEDLOUPE_STARTERS", "all")

import numpy as np

from medloupe.data.reading import read
from medloupe.data.records import Record
from medloupe.inference.find import find_model
from medloupe.inference.pictures import Predictor
from medloupe.metrics.weighted import wilson
from medloupe.model.decision import Decision


def share(k: int, n: int) -> str:
    """k of n with Wilson's interval."""
    if not n:
        return "–"
    low, high = wilson(k, n)
    return f"{k / n:.3f} ({low:.3f}–{high:.3f})"


def row(name: str, predictor: Predictor, lines: Mapping[str, float], records: Sequence[Record]) -> str:
    """Of these pictures: how many are refused, how many of the answered have a mark at or over the line, and marks."""
    said = [predictor.predict(r.picture) for r in records if r.picture is not None]
    answered = [s for s in said if s.state not in ("refused", "unusable")]
    marks = [sum(box.score >= lines[box.label] for box in s.boxes or ()) for s in answered]
    each = f"{np.mean(marks):.2f}" if marks else "–"
    return (
        f"| {name} | {len(said)} | {share(len(said) - len(answered), len(said))} |"
        f" {share(sum(n > 0 for n in marks), len(answered))} | {each} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("label")
    parser.add_argument("--most", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    model, data = find_model(told.model), read(told.data)
    decision = Decision.from_card(model.card)
    lines = {name: float(line) for name, line in zip(decision.labels, decision.thresholds, strict=True)}
    predictor = Predictor(model)
    rng = np.random.default_rng(told.seed)
    print("| pictures | asked | refused | of the answered: marked | marks a picture |")
    print("|---|---|---|---|---|")
    for name, wanted in ((told.label, True), (f"not {told.label}", False)):
        able = [r for r in data.records if r.labels and (r.labels.get(told.label) == 1) == wanted]
        able = [able[i] for i in sorted(rng.permutation(len(able))[: told.most])]
        print(row(name, predictor, lines, able), flush=True)


if __name__ == "__main__":
    main()
