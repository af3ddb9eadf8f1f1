"""What check-ups that have not learned from photographs say of them: today, and if they answered all the same.

    python benchmarks/field_untrained.py [--data ../shared/data] [--only breast,skin] [--pictures 40] > table.md

Pictures that each learned from, one of a group, are photographed by field_family.py at each severity and sent whole:
nobody tells that they are photographs. "Answered" is what is neither unusable nor refused; wrong is another most
probable label than the picture's own. The check-ups have seen the pictures: direct ones are answered too well,
photographs of them are new.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import field_family
from medloupe.data.contents import read_content
from medloupe.data.records import Record
from medloupe.imaging.decode import decode
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.starter import shipped
from starters import STARTERS

PICTURES = 40
LONGER = 900  # pixels of a photograph
COLUMNS = "| check-up | sent | pictures | found to be one | answered, were they read | wrong | answered | wrong |"
ANSWERED = ("flagged", "unclear", "clear", "answered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was said of one photograph, and what would have been said by a check-up that answers photographs too."""

    label: str
    now: Prediction
    before: Prediction


def ask(model: Model, records: list[Record], severity: str) -> list[Told]:
    """Photograph pictures, or send them as they are, and ask about each."""
    strict = Predictor(model, network_threads=1)
    field = {**(model.card.get("field") or {}), "weight": 1.0}
    open_to_all = Predictor(replace(model, card={**model.card, "field": field}), network_threads=1)
    found = []
    for i, record in enumerate(records):
        sent = read_content(record.picture)
        if severity:
            rng = np.random.default_rng([i, field_family.SEVERITIES.index(severity)])
            scene = field_family.SCENES[int(rng.integers(3))]  # none through an eyepiece
            pixels, _ = field_family.photograph(decode(sent), rng, scene, severity, longer=LONGER)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=92)
            sent = file.getvalue()
        now = strict.predict(sent)
        stopped = now.said.why is not None and now.said.why.code == "photo_untrained"
        (label,) = [name for name, v in record.labels.items() if v]
        found.append(Told(label=label, now=now, before=open_to_all.predict(sent) if stopped else now))
    return found


def row(name: str, severity: str, told: list[Told]) -> str:
    """The row of one check-up and severity."""
    n = len(told)
    cut = sum(one.before.photo is not None for one in told)
    cells = [name, severity or "direct", str(n), f"{cut / n:.0%}"]
    for each in ("before", "now"):
        answered = [one for one in told if getattr(one, each).state in ANSWERED]
        wrong = sum(getattr(one, each).prediction != one.label for one in answered)
        cells += [f"{len(answered) / n:.0%}", f"{wrong} of {len(answered)}" if answered else "–"]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Ask the check-ups that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    print(COLUMNS)
    print("|" + 8 * "---|")
    for one in STARTERS:
        if one.kind == "ECG" or one.finds or (asked.only and one.name not in asked.only.split(",")):
            continue
        model = shipped.load_shipped(one.name)
        if (model.card.get("field") or {}).get("weight"):
            continue
        data = one.read(asked.data)
        labelled = [r for r in data.records if sum(v == 1 for v in r.labels.values()) == 1]
        groups = np.array([r.patient or r.id for r in labelled])
        first = np.unique(groups, return_index=True)[1]
        some = np.random.default_rng(0).permutation(first)[: asked.pictures]
        records = [labelled[i] for i in some]
        for severity in ("", *field_family.SEVERITIES):
            print(row(one.name, severity, ask(model, records, severity)), flush=True)


if __name__ == "__main__":
    main()
