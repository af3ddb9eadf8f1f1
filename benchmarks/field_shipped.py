"""How the shipped check-ups hold in the field: their own pictures, photographed in another making than training knows.

    python benchmarks/field_shipped.py [--data ../shared/data] [--only pneumonia,malaria] [--pictures 120] > table.md

About so many pictures that each learned from, whole groups of patients and copies, are answered as they are and as
photographs by field_family.py, whole and with corners given that lie up to 1 % off. Heads fitted as the check-up's own
without the picture's group answer (on the test split that the data brings, where it was judged on one). Tuned stages,
the limits of quality, what sets its kind apart and what finds a photograph too poor have seen these pictures: where
there are tuned stages, levels are flattered and only differences hold. What the columns mean, field.py says.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import field_family
from field import COLUMNS, Answered, figures, tell
from field_judged import FRAMINGS
from medloupe.data.contents import read_content
from medloupe.data.records import Dataset
from medloupe.embed.network import Network
from medloupe.evaluation.heldout import HeldOutPanel, assemble_panel
from medloupe.imaging.decode import decode
from medloupe.imaging.picture import image_from_array, whole_picture
from medloupe.imaging.quality import MEASURES, Limits, as_numbers
from medloupe.model.bundle import Model
from medloupe.starter import shipped
from medloupe.training.pipeline.quality import are_stopped
from medloupe.utils.batches import map_batches
from starters import STARTERS

PICTURES = 120
FORMS = ("direct", *(f"{s}, {f}" for s in field_family.SEVERITIES for f in FRAMINGS))


def photographed(model: Model, panel: HeldOutPanel, seed: int = 0) -> dict[str, Answered]:
    """What was said of each picture of a panel, in each form."""
    network, size = Network(model.backbone, model.tail, threads=1), model.backbone.card.input_size
    n, forms = len(panel.records), len(FORMS)
    judge = {int(i): j for j in panel.judges for i in j.rows}
    p = np.zeros((forms, n, len(model.labels)), np.float32)
    foreign, poor = np.zeros((forms, n), bool), np.zeros((forms, n), bool)
    measures = np.zeros((forms, n, len(MEASURES)), np.float32)

    def look(taken: list[int]) -> int:
        for i in taken:
            pictures = [whole_picture(image_from_array(v)) for v in _views(panel.records[i].picture, size, seed)]
            seen = network.see(np.stack([picture.fit(size) for picture in pictures]))
            p[:, i] = judge[i].head.probabilities(seen.embedding)
            measures[:, i] = [as_numbers(picture.measure()) for picture in pictures]
            if (novelty := judge[i].novelty) is not None:
                foreign[:, i], poor[:, i] = novelty.score(seen.shared) > 1, novelty.too_poor(seen.shared)
        return len(taken)

    for _ in map_batches(range(n), 1, lambda: look):
        pass
    limits = Limits.from_json(model.card.get("quality"))
    stopped = [np.zeros(n, bool) if limits is None else are_stopped(m.astype(float), limits) for m in measures]
    return {
        form: Answered(p=p[f], foreign=foreign[f], poor=poor[f], stopped=stopped[f]) for f, form in enumerate(FORMS)
    }


def _views(picture: Path | np.ndarray, size: int, seed: int) -> list[np.ndarray]:
    """A picture in all forms."""
    image = decode(read_content(picture), min_side=size)
    views = [image]
    for s, severity in enumerate(field_family.SEVERITIES):
        rng = np.random.default_rng([seed, s, *np.frombuffer(image.tobytes()[::997][:8].ljust(8, b"0"), np.uint8)])
        scene = field_family.SCENES[int(rng.integers(len(field_family.SCENES)))]
        pixels, corners = field_family.photograph(image, rng, scene, severity, longer=320)
        views += [pixels, field_family.straighten(pixels, corners, rng)]
    return views


def rows(model: Model, data: Dataset, pictures: int) -> list[str]:
    """The rows of one check-up."""
    panel = assemble_panel(model, data, pictures, 0, lambda stage, done, total: None)
    said = photographed(model, panel)
    made = [
        f"<!-- {model.name}: {len(panel.records)} pictures of {len(np.unique(panel.groups))} groups, judged"
        f" {panel.judged}; weight of views {(model.card.get('field') or {}).get('weight')} -->"
    ]
    for form, answered in said.items():
        told = figures(answered, said["direct"], panel.targets, panel.groups, str(model.card["task"]))
        made.append(f"| {model.name} | {form} | {' | '.join(tell(told, answered, first=form == 'direct'))} |")
    return made


def main() -> None:
    """Judge the check-ups asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default="")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    print(f"| check-up | {COLUMNS} |")
    print("|" + 10 * "---|")
    for one in STARTERS:
        if one.kind == "ECG" or one.finds or (asked.only and one.name not in asked.only.split(",")):
            continue
        print("\n".join(rows(shipped.load_shipped(one.name), one.read(asked.data), asked.pictures)), flush=True)


if __name__ == "__main__":
    main()
