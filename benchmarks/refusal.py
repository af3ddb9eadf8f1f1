"""What is refused: of a check-up's own kind, of pictures of other kinds, and of its own kind as the field changes it.

    python benchmarks/refusal.py [--data ../shared/data] [--seed 0] > table.md

As scripts/build_starters.py does it for what is shipped, but a third of every set's groups (patients, copies) is put
aside, three times, each group once: novelty and contrast are fitted on the others and asked about the third, unchanged
and changed; about the thirds of all other sets; about kinds that took no part in the contrast (histology, retinal
layers, blood smears, photographs that come with scikit-image, in colour and in grey); and, with a kind left out of the
contrast, about that kind. A router over all is asked where each picture of the thirds
belongs. Embeddings are cached in a temporary home, or where MEDLOUPE_HOME says.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

import medloupe
from medloupe.embed.registry import backbone
from medloupe.imaging.decode import load
from medloupe.model.novelty import Novelty
from medloupe.model.router import Router
from medloupe.starter import shipped

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import kind_sights
from kind_sights import KINDS, Sights

OWN = {
    "chest_pneumonia": "pneumonia",
    "covid_cxr": "covid",
    "malaria": "malaria",
    "brain_mri": "brain-tumour",
    "fundus": "retina",
    "breast_ultrasound": "breast",
    "skin": "skin",
    "monkeypox": "monkeypox",
}
UNSEEN = {"oct_tiny": None, "breakhis_tiny": None, "blood_cells": "label"}
TURNS = 3
Shares = dict[str, list[float]]


def unseen(data: Path) -> dict[str, np.ndarray]:
    """Embeddings (N, D) of pictures of kinds that no contrast is fitted on."""
    found = {}
    for name, labels in UNSEEN.items():
        records = medloupe.read(data / name, labels=labels).records[:120]
        found[name] = kind_sights.embedded([load(r.image, 512) for r in records])
    found["scikit-image's photographs"] = kind_sights.embedded(kind_sights.everyday_photographs())
    found["the same in grey"] = kind_sights.embedded([_grey(p) for p in kind_sights.everyday_photographs()])
    return found


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).convert("L").convert("RGB"))


def fitted(own: str, parts: Mapping[str, Sights], without: str = "", seed: int = 0) -> Novelty:
    """As shipped, on these parts of the sets, by the same levels of the embedding (a tuned check-up's are the lower
    ones); one kind may be left out of the contrast."""
    part, kept = parts[own], shipped.load_shipped(OWN[own]).novelty
    levels = kept.levels if kept is not None else backbone().card.levels
    novelty = Novelty.fit(part.plain.astype(np.float32), part.groups, levels, seed)
    if novelty is None:
        raise SystemExit(f"{own} has too few groups.")
    alike = [parts[n] for n, kind in KINDS.items() if kind == KINDS[own] and n != own]
    others = [parts[n] for n, kind in KINDS.items() if kind not in (KINDS[own], without)]
    return kind_sights.contrasted(novelty, part, alike, others)


def thirds(sights: Mapping[str, Sights], seed: int) -> dict[str, np.ndarray]:
    """int (N,): in which turn a picture is put aside."""
    rng, found = np.random.default_rng(seed), {}
    for name, s in sights.items():
        _, member = np.unique(s.groups, return_inverse=True)
        found[name] = (rng.permutation(member.max() + 1) % TURNS)[member]
    return found


def refused(novelty: Novelty, embedding: np.ndarray) -> float:
    """Share of embeddings (N, D)."""
    return float((novelty.score(embedding.astype(np.float32)) > 1).mean()) if len(embedding) else float("nan")


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(os.environ.setdefault("MEDLOUPE_HOME", temporary))
        sights = kind_sights.gathered(told.data, home)
        foreign = unseen(told.data)
    turn_of = thirds(sights, told.seed)
    shares: dict[str, Shares] = {own: defaultdict(list) for own in OWN}
    chosen: list[tuple[str, str | None]] = []
    for turn in range(TURNS):
        learnt = {n: s.part(turn_of[n] != turn) for n, s in sights.items()}
        aside = {n: s.part(turn_of[n] == turn) for n, s in sights.items()}
        router = {}
        for own in OWN:
            novelty = router[own] = fitted(own, learnt, seed=told.seed)
            for name, part in aside.items():
                mark = "own" if name == own else f"same:{name}" if KINDS[name] == KINDS[own] else f"kind:{name}"
                shares[own][mark].append(refused(novelty, part.plain))
            for change, embedding in aside[own].changed.items():
                shares[own][f"~{change}"].append(refused(novelty, embedding))
            if turn == 0:
                for name, embedding in foreign.items():
                    shares[own][f"unseen:{name}"].append(refused(novelty, embedding))
                for kind in {*KINDS.values()} - {KINDS[own]}:
                    blind = fitted(own, learnt, kind, told.seed)
                    asked = np.concatenate([aside[n].plain for n, k in KINDS.items() if k == kind])
                    shares[own][f"blind:{kind}"].append(refused(blind, asked))
        asking = Router(router)
        for own in OWN:
            chosen += [(own, asking.choose(row).name) for row in aside[own].plain.astype(np.float32)]
    table(shares)
    choices(chosen)


def table(shares: Mapping[str, Shares]) -> None:
    """Markdown: a row a check-up, then the changes."""
    print(
        "| check-up | own refused | other kinds | kinds never seen | kinds left out | the least refused | same kind |"
    )
    print("|---|---|---|---|---|---|---|")
    every: list[float] = []
    for own, by in shares.items():
        mean = {name: float(np.mean(v)) for name, v in by.items()}
        groups = {p: [v for n, v in mean.items() if n.startswith(p)] for p in ("kind:", "unseen:", "blind:")}
        every += [*groups["kind:"], *groups["unseen:"]]
        far = {n: v for n, v in mean.items() if n.startswith(("kind:", "unseen:", "blind:"))}
        least = ", ".join(f"{n} {far[n]:.0%}" for n in sorted(far, key=far.__getitem__)[:3] if far[n] < 0.995) or "–"
        same = ", ".join(f"{n[5:]} {v:.0%}" for n, v in mean.items() if n.startswith("same:")) or "–"
        cells = " | ".join(f"{np.mean(v):.1%}" for v in groups.values())
        print(f"| {OWN[own]} | {mean['own']:.1%} | {cells} | {least} | {same} |")
    print(f"\nOf other kinds, seen and never seen: {np.mean(every):.2%} refused, {min(every):.0%} at least.\n")
    changes = [name for name in next(iter(shares.values())) if name.startswith("~")]
    print("| own kind, changed: refused | " + " | ".join(name[1:] for name in changes) + " |")
    print("|---|" + "---|" * len(changes))
    for own, by in shares.items():
        print(f"| {OWN[own]} | " + " | ".join(f"{np.nanmean(by[name]):.0%}" for name in changes) + " |")


def choices(chosen: list[tuple[str, str | None]]) -> None:
    """How often the router finds the check-up, or at least the kind, of a picture put aside."""
    print("\n| picture of | own check-up | same kind | another | none |\n|---|---|---|---|---|")
    for own in OWN:
        names = [name for asked, name in chosen if asked == own]
        right = np.mean([name == own for name in names])
        same = np.mean([name is not None and name != own and KINDS[name] == KINDS[own] for name in names])
        none = np.mean([name is None for name in names])
        print(f"| {OWN[own]} | {right:.1%} | {same:.1%} | {1 - right - same - none:.1%} | {none:.1%} |")
    print(f"\nOf all {len(chosen):,}: {np.mean([a == b for a, b in chosen]):.2%} find their own check-up.")


if __name__ == "__main__":
    main()
