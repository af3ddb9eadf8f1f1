"""What a user's own check-up refuses, by distance alone and set apart from the kinds that are known.

    python benchmarks/kind_bank.py [--data ../shared/data] [--seen FOLDER] [--seed 0] > table.md
    python benchmarks/kind_bank.py --trained breast_ultrasound

Of every set of pictures a third of the groups (patients, copies) is put aside. What is known of the open kinds
(scripts/build_kind_bank.py) is estimated from the other two thirds of these; each set in turn, open or not, is the
user's own: novelty and boundary are fitted on its two thirds and asked about its own third and about the thirds of all
sets of other kinds. *Never known*: only those of kinds that the bank has not. *By pictures*: the boundary drawn with
the sketches of the pictures themselves in place of such as the statistics give. *Few*: the same fitted on so many
groups, drawn anew ten times. *Told apart*: how well pictures that a set's statistics were estimated from are told from
pictures that they were not, by their distance (AUC; 0.5 is chance): what a thief of the file learns of who was in it.
Embeddings are kept under --seen. --trained trains a set with its field views, and asks it about 40 pictures of some
others as they are, and photographed as scripts/kind_sights.py does it, which is another making than that of the views.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import kind_sights
import medloupe
from build_kind_bank import EVERYDAY, Seen, fitted, kind_of, open_sets, see_all
from medloupe.embed.registry import backbone
from medloupe.imaging.corruptions import CORRUPTIONS, limit_size
from medloupe.imaging.decode import decode
from medloupe.metrics.weighted import Ranking
from medloupe.model.kind_bank import KindBank
from medloupe.model.novelty import Novelty
from medloupe.model.sketch import sketch
from medloupe.training.heads.contrast import draw_contrast
from medloupe.training.pipeline.apart import Apart, set_apart

MORE: Mapping[str, str] = {
    "breast_idc": "histology",
    "breakhis_tiny": "histology",
    "chest_adult": "chest X-ray",
    "chest_nodule": "chest X-ray",
    "chest_findings_more": "chest X-ray",
    "covid_ct": "chest CT",
    "oct_four": "retinal OCT",
}
"""Sets beside those of scripts/kind_sights.py, and what they show."""
FEW = (8, 12, 20, 40)
TURNS = 10
OTHERS = ("chest_pneumonia", "skin", "cats_dogs", "brain_boxes", "polyp_boxes", "oct")
"""Sets of which a trained check-up is asked photographs."""
Parts = Mapping[str, tuple[Seen, Seen]]


def shown(name: str) -> str:
    """What a set shows, in words."""
    return MORE.get(name) or kind_of(name)


def halves(seen: Mapping[str, Seen], seed: int) -> dict[str, tuple[Seen, Seen]]:
    """Of each set two thirds of the groups, and the rest."""
    rng, found = np.random.default_rng(seed), {}
    for name, (embeddings, groups) in seen.items():
        names, member = np.unique(groups, return_inverse=True)
        learnt = (rng.permutation(len(names)) >= len(names) / 3)[member]
        found[name] = ((embeddings[learnt], groups[learnt]), (embeddings[~learnt], groups[~learnt]))
    found[EVERYDAY] = seen[EVERYDAY], seen[EVERYDAY]  # too few to be parted: known, and never asked about
    return found


def refused(novelty: Novelty | None, embeddings: np.ndarray) -> float:
    """Share of embeddings (N, D)."""
    return 0.0 if novelty is None else float((novelty.score(embeddings) > 1).mean())


def fit(seen: Seen, bank: KindBank | None) -> Apart:
    """As a training does it, without field views."""
    return set_apart(seen[0], seen[1], backbone().card.levels, bank, kind="", direct=len(seen[0]), seed=0)


def by_pictures(seen: Seen, apart: Apart, parts: Parts) -> Novelty | None:
    """The same, with the boundary drawn by the sketches of the pictures of the same sets."""
    if apart.novelty is None:
        return None
    levels = apart.novelty.levels
    others = [sketch(parts[n][0][0], levels) for n in open_sets() if kind_of(n) in apart.others]
    return replace(apart.novelty, contrast=draw_contrast(sketch(seen[0], levels), seen[1], np.concatenate(others))[0])


def table(parts: Parts, bank: KindBank) -> None:
    """Markdown: a row a set."""
    print(
        "| own | pictures / groups | its kind, as found | own refused: distance | apart | other kinds refused:"
        " distance | apart | by pictures | never known | the least refused | same kind elsewhere: distance | apart |"
    )
    print("|" + "---|" * 12)
    sums = []
    for own, (learnt, aside) in parts.items():
        if own in ("drawn", EVERYDAY):
            continue
        alone, apart = fit(learnt, None).novelty, fit(learnt, bank)
        pictured = by_pictures(learnt, apart, parts)
        others = [n for n in parts if shown(n) != shown(own) and n != EVERYDAY]
        unknown = [n for n in others if shown(n) not in bank.kinds]
        alike = [n for n in parts if shown(n) == shown(own) and n != own]

        def mean(novelty: Novelty | None, names: Sequence[str]) -> float:
            return float(np.mean([refused(novelty, parts[n][1][0]) for n in names])) if names else float("nan")

        least = min(others, key=lambda n: refused(apart.novelty, parts[n][1][0]))
        row = (
            *(refused(alone, aside[0]), refused(apart.novelty, aside[0])),
            *(mean(n, others) for n in (alone, apart.novelty, pictured)),
            mean(apart.novelty, unknown),
        )
        sums.append(row)
        ends = [f"{v:.1%}" for v in row]
        ends += [f"{least} {refused(apart.novelty, parts[least][1][0]):.0%}"]
        ends += [f"{mean(n, alike):.0%}" if alike else "–" for n in (alone, apart.novelty)]
        size = f"{len(learnt[0])} / {len(np.unique(learnt[1]))}"
        print(f"| {own} | {size} | {', '.join(apart.own) or 'none'} | " + " | ".join(ends) + " |", flush=True)
    print("| **mean** | | | " + " | ".join(f"**{v:.1%}**" for v in np.mean(sums, 0)) + " | | | |")
    print(
        f"\nOwn refused above 5 %: {sum(r[1] > 0.05 for r in sums)} of {len(sums)} sets. Other kinds refused in 95 %"
        f" and more: {sum(r[3] >= 0.95 for r in sums)} (by distance alone {sum(r[2] >= 0.95 for r in sums)}).\n"
    )


def few(parts: Parts, bank: KindBank, seed: int) -> None:
    """Markdown: a row a number of groups; medians over sets, and the worst tenth of all turns."""
    print("| groups | turns | own refused: mean | worst tenth | other kinds refused: mean | worst tenth |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(seed)
    for count in FEW:
        own_refused, others_refused = [], []
        for own, (learnt, aside) in parts.items():
            names = np.unique(learnt[1])
            if own in ("drawn", EVERYDAY) or len(names) < count:
                continue
            others = np.concatenate([parts[n][1][0] for n in parts if shown(n) != shown(own) and n != EVERYDAY])
            for _ in range(TURNS):
                inside = np.isin(learnt[1], rng.choice(names, count, replace=False))
                novelty = fit((learnt[0][inside], learnt[1][inside]), bank).novelty
                own_refused.append(refused(novelty, aside[0]))
                others_refused.append(refused(novelty, others))
        worst = np.quantile(own_refused, 0.9), np.quantile(others_refused, 0.1)
        print(
            f"| {count} | {len(own_refused)} | {np.mean(own_refused):.1%} | {worst[0]:.1%} |"
            f" {np.mean(others_refused):.1%} | {worst[1]:.1%} |",
            flush=True,
        )


def told_apart(parts: Parts, bank: KindBank) -> None:
    """Markdown: of each set that is known, how well its members are told."""
    print("\n| set | pictures | told apart (AUC) | drawn sketch to nearest picture, of the distance of new pictures |")
    print("|---|---|---|---|")
    levels = backbone().card.levels
    for known in bank.sets:
        if known.name == EVERYDAY or known.name not in parts:
            continue
        inside, outside = (sketch(parts[known.name][i][0], levels) for i in (0, 1))
        distance = np.concatenate([known.gaussian.distance(inside), known.gaussian.distance(outside)])
        member = np.arange(len(distance)) < len(inside)
        member_auc = float(Ranking(-distance, member.astype(float)).auc(np.ones((1, len(member))))[0])
        drawn = known.draw(200, np.random.default_rng(0))
        ratio = np.median(nearest(drawn, inside)) / np.median(nearest(outside, inside))
        print(f"| {known.name} | {len(inside)} | {member_auc:.2f} | {ratio:.2f} |")


def photographed(own: str, data: Path) -> None:
    """Markdown: a row a set, of 40 pictures."""
    model = medloupe.train(medloupe.read(data / own), name="own")
    print("| pictures | as they are | from a screen | on a light box |\n|---|---|---|---|")
    ways = {c.name: c for c in CORRUPTIONS if c.name in ("screen", "lightbox")}
    for name in (own, *OTHERS):
        files = sorted((data / name).rglob("*.jpg"))
        opened = [limit_size(decode(file)) for file in files[:: max(1, len(files) // 40)][:40]]
        views = opened, *([way(picture) for picture in opened] for way in ways.values())
        shares = [refused(model.novelty, kind_sights.embedded(view).astype(np.float32)) for view in views]
        print(f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |", flush=True)


def nearest(z: np.ndarray, to: np.ndarray) -> np.ndarray:
    """The distance (N,) of each sketch to the nearest of others."""
    squared = (z**2).sum(1)[:, None] + (to**2).sum(1)[None] - 2 * z @ to.T
    return np.sqrt(np.maximum(squared, 0).min(1))


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--seen", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trained", metavar="SET")
    told = parser.parse_args()
    if told.trained:
        photographed(told.trained, told.data)
        return
    seen = see_all(dict.fromkeys((*kind_sights.KINDS, *MORE, EVERYDAY)), told.data, told.seen)
    parts = halves(seen, told.seed)
    bank = KindBank(sets=tuple(fitted(n, parts[n][0], backbone().card.levels) for n in open_sets()))
    table(parts, bank)
    few(parts, bank, told.seed)
    told_apart(parts, bank)


if __name__ == "__main__":
    main()
