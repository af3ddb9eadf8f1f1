"""Ask a check-up of single cells about fields of its own and of another stain, and see which are refused.

    python benchmarks/foreign_fields.py ../shared/data

Fields are put together of cells of some patients (malaria, grey; malaria_colour, made grey and 50 pixels) or of the red
cells drawn on some pictures (blood_cells, cut out, grey, 50 pixels). Asked are the shipped check-up, which may have
learned from cells of the same patients, and one that learned from half of the patients, about the others.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE, FIELDS, BATCH = 50, 300, 32
JOINED = (1, 5, 25)


def main() -> None:
    import medloupe
    from medloupe.inference.find import find_model
    from medloupe.inference.pictures import Predictor

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    grey = medloupe.read(data / "malaria")
    patients = sorted({r.patient or "" for r in grey.records})
    learned = set(np.random.default_rng(1).permutation(patients)[: len(patients) // 2].tolist())
    half = replace(grey, records=tuple(r for r in grey.records if r.patient in learned))
    shipped = find_model("malaria")
    models = {"shipped": shipped, "half of the patients": medloupe.train(half, name="half", field="none")}
    look = Predictor(shipped)  # all are on one network
    print("| check-up | fields of | joined | cells | refused | flagged before | flagged still |")
    print("|---|---|---|---|---|---|---|")
    for of, (images, groups) in _gather(data, grey, medloupe.read(data / "malaria_colour")).items():
        seen = np.concatenate(
            [
                look.run_shared(np.stack([_fit(i, look.size) for i in images[s : s + BATCH]]))
                for s in range(0, len(images), BATCH)
            ]
        )
        for name, model in models.items():
            new = np.array([of == "another stain" or name == "shipped" or g not in learned for g in groups])
            for joined in JOINED:
                _judge(name, of, model, seen[new], np.array(groups)[new], joined)


def _gather(data: Path, grey: Any, colour: Any) -> dict[str, tuple[list[Image.Image], list[str]]]:
    import medloupe
    from medloupe.model.crops import cut_crop

    rng = np.random.default_rng(0)
    found: dict[str, tuple[list[Image.Image], list[str]]] = defaultdict(lambda: ([], []))
    for record in [r for r in medloupe.read(data / "blood_cells").records if r.boxes][:60]:
        full = np.asarray(Image.open(record.picture).convert("RGB"))
        frame = (0, 0, full.shape[1], full.shape[0])
        for box in record.boxes:
            if box.label == "RBC" and min(box.width, box.height) > 8:
                corners = (box.x, box.y, box.x + box.width, box.y + box.height)
                found["another stain"][0].append(
                    cut_crop(full, corners, frame, margin=0, cut_out=True, grey=True, side=SIDE)
                )
                found["another stain"][1].append(record.id)
    for of, part, most in (("its own", grey, 120), ("its own, in colour made grey", colour, 80)):
        patients = set(rng.permutation(sorted({r.patient for r in part.records}))[:most].tolist())
        for record in part.records:
            if record.patient in patients:
                image = Image.open(record.picture).convert("L")
                if max(image.size) > SIDE:
                    w, h = (max(1, round(v * SIDE / max(image.size))) for v in image.size)
                    image = image.resize((w, h), Image.Resampling.BICUBIC)
                found[of][0].append(image)
                found[of][1].append(record.patient)
    return found


def _fit(image: Image.Image, size: int) -> np.ndarray:
    from medloupe.imaging.picture import whole_picture

    return whole_picture(image).fit(size)


def _judge(name: str, of: str, model: Any, seen: np.ndarray, groups: np.ndarray, joined: int) -> None:
    from medloupe.metrics.weighted import wilson
    from medloupe.model.cells import MOST_UNUSUAL, Estimate
    from medloupe.model.crops import read_rates
    from medloupe.model.decision import MOST_REFUSED, Decision
    from medloupe.model.head import probabilities

    decision, rates = Decision.from_card(model.card), read_rates(model.card)
    k = decision.labels.index("Parasitized")
    p = probabilities(model.head.logits(seen).astype(np.float64), decision.task)
    flags = np.array([decision.rule.flags(row)[k] for row in p])
    foreign, edge = model.novelty.score(seen) > 1, ~model.novelty.are_usual(seen)
    rng, every = np.random.default_rng(2), np.unique(groups)
    fields = [[g] for g in every] if joined == 1 else [rng.choice(every, joined, replace=False) for _ in range(FIELDS)]
    cells, refused, before, still = [], [], [], []
    for field in fields:
        rows = np.isin(groups, field)
        n, judged = int(rows.sum()), rows & ~foreign
        estimate = Estimate.of("Parasitized", int(flags[judged].sum()), int(judged.sum()), rates.get("Parasitized"))
        lost = foreign[rows].sum() > MOST_REFUSED * n
        odd = wilson(float(edge[rows].sum()), float(n))[0] > MOST_UNUSUAL
        cells.append(n)
        refused.append(lost or odd)
        before.append(estimate.certain and not lost)
        still.append(estimate.certain and not lost and not odd)
    shares = " | ".join(f"{np.mean(x):.0%}" for x in (refused, before, still))
    print(f"| {name} | {of} | {joined} | {int(np.median(cells))} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
