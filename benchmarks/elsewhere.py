"""How check-ups fare elsewhere: what one hospital or microscope taught, asked about pictures of another.

    python benchmarks/elsewhere.py [--data ../shared/data] [--write] > table.md

Of two sets that ask the same question (malaria: grey cells of 50 pixels and colour cells at full size) each is judged
by plain linear heads on the shared network that learned from the other set, from itself, and from both: always in
folds over patients and copies, so that no head had seen the patient, and the same pictures judge all three. Their
regularisation is fixed, their temperature found on what they learned from. --write keeps the figures in
benchmarks/elsewhere.json, from which scripts/checkups_page.py writes the table in docs/checkups.md; --only judges some
questions anew and keeps the others. What the check-ups in the box say of other sources, benchmarks/external.py tells.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from medloupe.data.scan import scan_dataset
from medloupe.data.split import assign_folds
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import backbone
from medloupe.metrics import weighted
from medloupe.metrics.calibration import expected_calibration_error
from medloupe.metrics.weighted import Metric, Ranking
from medloupe.model.head import probabilities
from medloupe.training.audit.findings import audit
from medloupe.training.heads.fit import Fitter, scale_choices
from medloupe.training.heads.temperature import fit_temperature
from starters import STARTERS

KEPT = Path(__file__).with_suffix(".json")
FOLDS = 4
C = 1.6e-3  # inverse regularisation for 1,000 records, in the middle of what training tries
PAIRS = {
    "malaria": {"malaria": "grey cells, 50 pixels", "malaria_colour": "colour cells, full size"},
    "retina": {"fundus": "ODIR (China)", "fundus_idrid": "IDRiD (India)"},
}


def judge_pair(name: str, data: Path) -> list[dict[str, Any]]:
    """Rows of one question: each set, by heads from the other, from itself and from both."""
    (one,) = (s for s in STARTERS if s.name == name)
    called = PAIRS[name]
    first, *more = called
    whole = replace(one, data=first, also=tuple(more), parted_by=("set", called)).read(data)
    features = embed(scan_dataset(whole), backbone())
    groups = audit(features).groups
    of = np.array([r.columns["set"] for r in features.data.records])
    y = features.data.targets
    fold = assign_folds(y, groups, FOLDS, 0)
    taught = {**{label: of == label for label in called.values()}, "both": np.ones(len(of), bool)}
    answers = {label: answer(features, y, fold, mine) for label, mine in taught.items()}
    rows = []
    for judged in called.values():
        at = np.flatnonzero(of == judged)
        counted = {"n": len(at), "groups": len(np.unique(groups[at]))}
        for learned, p in answers.items():
            told = {"check-up": name, "judged": judged, **counted, "learned": learned}
            rows.append({**told, **figures(p[at], y[at], groups[at])})
    return rows


def answer(features: Features, y: np.ndarray, fold: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) of all pictures, by heads that learned from the rows `mine` but for the picture's fold."""
    card = backbone().card
    (choice,) = scale_choices((C,), int(mine.sum()), card.levels)
    fitter = Fitter(features.embeddings, y, "multiclass", card.levels)
    heads = fitter.solve([(mine & (fold != f), choice) for f in range(FOLDS)])
    logits = np.zeros(y.shape, np.float32)
    for f, head in enumerate(heads):
        logits[fold == f] = features.embeddings[fold == f] @ head.weight + head.bias
    p = np.zeros(y.shape, np.float32)
    for f in range(FOLDS):
        known = mine & (fold != f)
        temperature = fit_temperature(logits[known], y[known], "multiclass")
        p[fold == f] = probabilities(logits[fold == f] / temperature, "multiclass")
    return p


def figures(p: np.ndarray, y: np.ndarray, groups: np.ndarray) -> dict[str, Metric]:
    """AUC (of several labels their mean) and calibration error, with intervals."""
    auc = weighted.average([Ranking(s, t).auc for s, t in zip(p.T, y.T, strict=True)])
    return weighted.bootstrap_intervals({"auc": auc, "ece": expected_calibration_error(p, y, "multiclass")}, groups)


def main() -> None:
    """Judge all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default=",".join(PAIRS))
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    names = asked.only.split(",")
    rows = [row for name in names for row in judge_pair(name, asked.data)]
    rows = json.loads(json.dumps(rows), parse_float=lambda text: round(float(text), 4))
    for row in rows:
        print(row)
    if asked.write:
        kept = [row for row in json.loads(KEPT.read_text("utf-8")) if row["check-up"] not in names]
        KEPT.write_text(json.dumps([*kept, *rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
