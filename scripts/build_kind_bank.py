"""Make src/medloupe/starter/kind-bank.npz: what pictures of the open kinds usually look like, in statistics.

    python scripts/build_kind_bank.py [--data ../shared/data] [--seen FOLDER]

For every open set of pictures (terms.py), pictures drawn here and the photographs that come with scikit-image, each as
it is and as simulated photographs show it (medloupe.imaging.field): the
Gaussian of their sketches (medloupe.model.kind_bank), for the whole embedding of the shared network and for the part
that tuning leaves alone. Of a set at most MOST pictures count, one of each patient first.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kind_sights
from kind_sights import KINDS
from medloupe.embed.registry import backbone
from medloupe.imaging.corruptions import limit_size
from medloupe.imaging.decode import decode
from medloupe.imaging.field.views import make_views
from medloupe.model.kind_bank import KnownSet
from medloupe.model.novelty import AXES, FEWEST, Novelty
from medloupe.starter.kind_bank import FILE
from medloupe.training.pipeline.finetuning import untuned_levels
from medloupe.utils.files import write_atomically
from terms import OPEN

EVERYDAY = "scikit-image"
ANYTHING = ("drawn", EVERYDAY)
"""Sets so varied that pictures of a check-up's own may lie within them."""
MOST = 400
PHOTOGRAPHED = " photographed"
"""Ends the name of a set of simulated photographs, whole and set straight, of another set's pictures."""
MOST_PHOTOGRAPHED = 100
PICTURES_AN_AXIS = 60
"""At least: with more axes the statistics would tell who was among the pictures (benchmarks/kind_bank.py)."""
ASKED = 1000  # pictures among which those are chosen, by whole patients
Seen = tuple[np.ndarray, np.ndarray]  # embeddings float32 (N, D) and the group of each, (N,)


def open_sets() -> list[str]:
    """The names of all sets that may be in it."""
    direct = [name for name in KINDS if name in OPEN] + [EVERYDAY]
    return direct + [name + PHOTOGRAPHED for name in direct]


def kind_of(name: str) -> str:
    """What a set shows, in words."""
    name = name.removesuffix(PHOTOGRAPHED)
    return "everyday photograph" if name == EVERYDAY else KINDS[name]


def see(name: str, data: Path) -> Seen:
    """Embed at most MOST pictures of a set, one of each group first; of photographs MOST_PHOTOGRAPHED, each twice."""
    views, name = name.endswith(PHOTOGRAPHED), name.removesuffix(PHOTOGRAPHED)
    if name == EVERYDAY:
        pictures: Sequence[Path | np.ndarray] = kind_sights.everyday_photographs()
        groups = [str(i) for i in range(len(pictures))]
    else:
        pictures, groups = (
            kind_sights.drawn_pictures() if name == "drawn" else kind_sights.pictures_of(data / name, most=ASKED)
        )
    members = defaultdict(list)
    for row in np.random.default_rng(0).permutation(len(pictures)).tolist():
        members[groups[row]].append(row)
    turns = [
        rows[turn] for turn in range(max(map(len, members.values()))) for rows in members.values() if turn < len(rows)
    ]
    rows = sorted(turns[: MOST_PHOTOGRAPHED if views else MOST])
    opened = [limit_size(decode(pictures[row])) for row in rows]
    member = np.array([groups[row] for row in rows])
    if views:
        made = [make_views(picture, picture.tobytes(), 0, 0, ("whole", "straight")) for picture in opened]
        opened, member = [view for each in made for view in each.values()], np.repeat(member, 2)
    return kind_sights.embedded(opened).astype(np.float32), _told_apart(member)


def _told_apart(groups: np.ndarray) -> np.ndarray:
    """The groups, or each picture its own where nearly all count as copies: as pages of one printer do."""
    many = len(groups) >= FEWEST > len(np.unique(groups))
    return np.arange(len(groups)).astype(str) if many else groups


def see_all(names: Iterable[str], data: Path, kept: Path | None) -> dict[str, Seen]:
    """Embed pictures of several sets, or take what is kept in a folder from an earlier time."""
    found = {}
    for name in names:
        file = kept / f"{name}.npz" if kept else None
        if file is not None and file.exists():
            with np.load(file, allow_pickle=False) as stored:
                found[name] = stored["embeddings"], _told_apart(stored["groups"])
            continue
        found[name] = see(name, data)
        print(f"{name}: {len(found[name][0])} pictures", file=sys.stderr)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, embeddings=found[name][0], groups=found[name][1])
    return found


def fitted(name: str, seen: Seen, levels: tuple[int, ...]) -> KnownSet:
    """What a set looks like, by some levels of the embedding."""
    embeddings, groups = seen
    axes = max(1, len(embeddings) // PICTURES_AN_AXIS)
    novelty = Novelty.fit(embeddings, groups, levels, 0, axes=min(AXES, axes))
    if novelty is None:
        raise SystemExit(f"{name} has too few groups to say what it looks like.")
    return KnownSet(
        name=name,
        kind=kind_of(name),
        anything=name in ANYTHING or name.endswith(PHOTOGRAPHED),
        pictures=len(embeddings),
        gaussian=novelty.gaussian,
        limit=novelty.limit,
    )


def packed(variants: Sequence[tuple[tuple[int, ...], Sequence[KnownSet]]], network: str) -> bytes:
    """The file's bytes; a variant is the levels and the sets by them."""
    sets = variants[0][1]
    about = {
        "network": network,
        "levels": [list(levels) for levels, _ in variants],
        "sets": [{"name": s.name, "kind": s.kind, "anything": s.anything, "pictures": s.pictures} for s in sets],
    }
    arrays: dict[str, Any] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for v, (_, known) in enumerate(variants):
        width = len(known[0].gaussian.mean)
        axes, spread = np.zeros((len(known), AXES, width), np.float16), np.zeros((len(known), AXES), np.float32)
        for i, s in enumerate(known):
            axes[i, : len(s.gaussian.axes)], spread[i, : len(s.gaussian.spread)] = s.gaussian.axes, s.gaussian.spread
        arrays[f"mean_{v}"] = np.stack([s.gaussian.mean for s in known]).astype(np.float16)
        arrays[f"axes_{v}"], arrays[f"spread_{v}"] = axes, spread
        arrays[f"numbers_{v}"] = np.array([(s.gaussian.noise, s.limit) for s in known], np.float64)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--seen", type=Path, help="a folder that keeps embeddings from one time to the next")
    told = parser.parse_args()
    network, seen = backbone(), see_all(open_sets(), told.data, told.seen)
    every = dict.fromkeys((network.card.levels, untuned_levels(network)))
    variants = [(levels, [fitted(name, s, levels) for name, s in seen.items()]) for levels in every]
    content = packed(variants, network.sha256)
    write_atomically(FILE, content)
    print(f"{FILE}: {len(content) / 1e6:.2f} MB, {len(seen)} sets", file=sys.stderr)


if __name__ == "__main__":
    main()
