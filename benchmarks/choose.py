"""What "let the app choose" says of pictures without a finding, and of some with one, kind by kind.

    python benchmarks/choose.py [--data ../shared/data] [--most 200] [--only chest] [--seed 0] > table.md

Every picture is asked as `medloupe predict auto` asks it: the shipped check-ups, nothing told. Pictures that any
check-up learned from, by the digests in the cards, are left out; where a set has none left (most shipped check-ups have
learned from all of theirs), the row says so, and its shares flatter. `by name flagged` counts the pictures that at
least one check-up of the kind flags when it is asked by name: what would be flagged if the most dangerous answer was
simply taken. `asks`: how often the state depends on what only a person can tell. Rows in bold have a finding.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import medloupe
from medloupe.data.digests import remembers_part, seen_in_training
from medloupe.data.scan import scan_dataset
from medloupe.inference.choosing import AutoPredictor
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.prediction import Prediction
from medloupe.starter import shipped

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from starters import STARTERS

OWN = 0.2  # share of a set that was learned from, from which on nobody can say what of it was not
STATES = ("flagged", "unclear", "clear", "refused")


@dataclass(frozen=True)
class Pictures:
    """Pictures of one kind. data: their folder. labels: which of its labels. free: whether they are without a finding.
    column: of the table in which the labels are."""

    kind: str
    name: str
    data: str
    labels: tuple[str, ...]
    free: bool = True
    column: str | None = None


_REFERABLE = ("2_moderate", "3_severe", "4_proliferative")
SETS = (
    Pictures("chest X-ray", "adults, read as normal", "chest_adult", ("normal",)),
    Pictures("chest X-ray", "adults, no finding", "chest_findings", ("No_findings",), column="label"),
    Pictures("chest X-ray", "adults, heart not enlarged", "chest_heart_size", ("not_enlarged",)),
    Pictures("chest X-ray", "adults, no nodule", "chest_nodule", ("no_nodule",)),
    Pictures("chest X-ray", "children, normal", "chest_pneumonia", ("NORMAL",)),
    Pictures("fundus", "no retinopathy, another clinic", "fundus_idrid", ("0_no_dr",)),
    Pictures("fundus", "no retinopathy", "fundus", ("0_no_dr",)),
    Pictures("dermoscopy", "moles", "skin", ("nv",)),
    Pictures("blood cell", "not infected, in colour", "malaria_colour", ("Uninfected",)),
    Pictures("blood cell", "not infected", "malaria", ("Uninfected",)),
    Pictures("brain MRI", "no tumour", "brain_mri", ("notumor",)),
    Pictures("breast ultrasound", "normal", "breast_ultrasound", ("normal",)),
    Pictures("photograph of skin", "look-alikes", "monkeypox", ("Others",)),
    Pictures("chest X-ray", "adults, COVID-19", "chest_adult", ("covid",), free=False),
    Pictures("chest X-ray", "adults, tuberculosis", "chest_adult", ("tuberculosis",), free=False),
    Pictures("chest X-ray", "children, pneumonia", "chest_pneumonia", ("PNEUMONIA",), free=False),
    Pictures("fundus", "moderate or worse, another clinic", "fundus_idrid", _REFERABLE, free=False),
    Pictures("fundus", "moderate or worse", "fundus", _REFERABLE, free=False),
    Pictures("dermoscopy", "melanoma", "skin", ("mel",), free=False),
    Pictures("blood cell", "infected, in colour", "malaria_colour", ("Parasitized",), free=False),
    Pictures("brain MRI", "tumour", "brain_mri", ("glioma", "meningioma", "pituitary"), free=False),
    Pictures("breast ultrasound", "malignant", "breast_ultrasound", ("malignant",), free=False),
)


def choosable() -> list[Model]:
    """The shipped check-ups of pictures; where a card does not say whom it is for, as scripts/starters.py has it."""
    applies = {one.name: [dict(entry) for entry in one.applies] for one in STARTERS}
    found = [shipped.load_shipped(name) for name in shipped.list_shipped() if name != shipped.EVERYDAY]
    found = [m for m in found if m.novelty is not None and m.backbone.card.modality == "image"]
    return [replace(m, card={**m.card, "applies": m.card.get("applies") or applies.get(m.name)}) for m in found]


def pick(
    one: Pictures, folder: Path, cards: Sequence[Mapping[str, Any]], most: int, seed: int
) -> tuple[list[Path], bool]:
    """At most `most` of the pictures, and whether no check-up has learned from them."""
    data = medloupe.read(folder / one.data, labels=one.column)
    records = [r for r in data.records if any(r.labels.get(name) == 1 for name in one.labels)]
    order = np.random.default_rng(seed).permutation(len(records))[: 4 * most]
    found = scan_dataset(replace(data, records=tuple(records[i] for i in order)))
    readable = [r for r in found.data.records if found.digest.get(r.id) and isinstance(r.image, Path)]
    known = np.zeros(len(readable), bool)
    unsure = False
    for card in cards:
        learned = seen_in_training(card, [found.digest[r.id] for r in readable])
        unsure |= remembers_part(card) and bool(learned.mean() > OWN)
        known |= learned
    paths = [Path(str(r.image)) for r in readable]
    new = [path for path, seen in zip(paths, known, strict=True) if not seen]
    return (paths[:most], False) if unsure or len(new) < 10 else (new[:most], True)


def flagged_by_name(said: Prediction, decisions: Mapping[str, Decision]) -> bool:
    """Whether a check-up of the kind that does not refuse the picture flags it when it is asked by name."""
    for answer in said.answers:
        foreign = answer.said.why is not None and answer.said.why.code == "foreign"
        decision = decisions[answer.model]
        p = np.array([answer.probabilities[name] for name in decision.labels])
        if not foreign and decision.decide(p).state == "flagged":
            return True
    return False


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--most", type=int, default=200, help="pictures of a set")
    parser.add_argument("--only", default="", help="part of a kind's name")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    models = choosable()
    decisions = {m.name: Decision.from_card(m.card) for m in models}
    auto = AutoPredictor(models)
    print(
        "| kind | pictures | learned from | n | by name flagged | flagged | unclear | clear | refused | asks | led by |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for one in SETS:
        if told.only not in one.kind or not (told.data / one.data).exists():
            continue
        files, new = pick(one, told.data, [m.card for m in models], told.most, told.seed)
        answers = [a for _, a in auto.predict_many(files) if not isinstance(a, Exception)]
        n, state = len(answers), Counter(a.state for a in answers)
        named = sum(flagged_by_name(a, decisions) for a in answers)
        led = Counter(a.model or "none" for a in answers)
        cells = [
            one.kind,
            one.name if one.free else f"**{one.name}**",
            "no" if new else "yes",
            f"{n}",
            f"{named}",
            *(f"{state[s]}" for s in STATES),
            f"{sum(a.ask is not None for a in answers)}",
            ", ".join(f"{name} {count}" for name, count in led.most_common()),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
