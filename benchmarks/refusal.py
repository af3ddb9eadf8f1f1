"""What is refused: of a check-up's own kind, of pictures of other kinds, and of its own kind from elsewhere.

    python benchmarks/refusal.py [--data ../shared/data] [--images 500] [--seed 0] [--choices] > table.md

A third of each set's groups (patients, copies) is put aside, `Novelty` fitted on the others, and asked about the third,
about every other set, about pictures made here (noise, one colour, pages of text, photographs in grey) and about the
third once more as it would come from another machine (saved again, half the size, cropped, turned, blurred, as a phone
sees a screen). Three times, each group put aside once. With --choices a router over all sets is asked as well: which
one does an image of the third belong to? At most --images of each set, by whole groups. Embeddings are cached in a
temporary home, or where MEDLOUPE_HOME says.
"""

from __future__ import annotations

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

import medloupe
from medloupe.audit import audit
from medloupe.backbones import Backbone, backbone
from medloupe.features import embed, scan
from medloupe.images import load
from medloupe.novelty import Novelty
from medloupe.router import Router, everyday
from medloupe.runtime import run, session

# name: what kind of picture it holds; two sets of a kind are not foreign to one another
OWN = {
    "chest_pneumonia": "chest X-ray",
    "covid_cxr": "chest X-ray",
    "chest_findings": "chest X-ray",
    "malaria": "blood cell",
    "brain_mri": "brain MRI",
    "skin": "skin lesion",
    "fundus": "fundus",
    "breast_ultrasound": "breast ultrasound",
    "monkeypox": "skin photograph",
}
OTHERS = {
    "cats_dogs": "photograph",
    "contradictions": "skin lesion",
    "oct_tiny": "OCT",
    "breakhis_tiny": "histology",
    "malaria_colour_tiny": "blood cell",
    "brain_boxes": "brain MRI",
    "blood_cells": "blood smear",
    "medmnist/breastmnist.npz": "breast ultrasound",
    "medmnist/pneumoniamnist.npz": "chest X-ray",
}
LABELS = {"chest_findings": "labels", "blood_cells": "label", "brain_boxes": "label"}
TURNS = 3
CHANGED = 60  # images of each third that are changed


@dataclass
class Set:
    """embedding: (N, D). groups: (N,). images: what each row was read from."""

    embedding: np.ndarray
    groups: np.ndarray
    images: list[Path | np.ndarray]


def gathered(folder: Path, most: int, seed: int, network: Backbone) -> Set:
    """At most so many images of a data set, whole patients, embedded; groups as training would hold them together."""
    data = medloupe.read(folder, labels=LABELS.get(folder.name))
    group = [r.patient or r.id for r in data.records]
    rank = {g: i for i, g in enumerate(np.random.default_rng(seed).permutation(sorted(set(group))).tolist())}
    rows = sorted(range(len(group)), key=lambda i: (rank[group[i]], i))[:most]
    features = embed(scan(replace(data, records=tuple(data.records[i] for i in sorted(rows)))), network)
    images = [r.image for r in features.data.records]
    return Set(np.array(features.embeddings), audit(features, seed).groups, images)


def made(photographs: list[Path | np.ndarray], seed: int) -> dict[str, list[np.ndarray]]:
    """Pictures of no data set."""
    rng = np.random.default_rng(seed)
    grey = [np.asarray(Image.open(p).convert("L")) for p in photographs[:100] if isinstance(p, Path)]
    noise = [rng.integers(0, 256, (224, 224, 3)[: 2 + i % 2], np.uint8) for i in range(40)]
    flat = [np.full((200, 260, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(30)]
    flat += [np.full((200, 260), value, np.uint8) for value in (0, 30, 60, 90, 128, 180, 220, 255)]
    words = ["the", "patient", "was", "seen", "on", "monday", "with", "a", "cough", "invoice", "amount", "due", "date"]
    pages = []
    for i in range(40):
        w, h = (620, 877) if i % 2 else (800, 500)
        page = Image.new("RGB", (w, h), tuple(int(v) for v in rng.integers(225, 256, 3)))
        draw, font, y = ImageDraw.Draw(page), ImageFont.load_default(size=int(rng.integers(11, 26))), 30
        while y < h - 40:
            draw.text((30, y), " ".join(rng.choice(words, int(rng.integers(4, 12)))), fill=(20, 20, 20), font=font)
            y += int(rng.integers(18, 40))
        pages.append(np.asarray(page))
    return {"photographs in grey": grey, "noise": noise, "one colour": flat, "pages of text": pages}


def _saved(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def _cropped(image: Image.Image) -> Image.Image:
    w, h = image.size
    return image.crop((w // 10, h // 10, w - w // 10, h - h // 10))


def _phone(image: Image.Image) -> Image.Image:
    turned = image.rotate(4, Image.Resampling.BICUBIC, expand=True, fillcolor=(40, 42, 45))
    return ImageEnhance.Color(ImageEnhance.Brightness(_saved(turned, 60)).enhance(0.85)).enhance(1.1)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG at 30": lambda im: _saved(im, 30),
    "half the size": lambda im: im.resize((max(1, im.width // 2), max(1, im.height // 2)), Image.Resampling.BICUBIC),
    "gamma 0.7": lambda im: im.point([round(255 * (v / 255) ** 0.7) for v in range(256)] * 3),
    "contrast 0.7": lambda im: ImageEnhance.Contrast(im).enhance(0.7),
    "turned by 8°": lambda im: im.rotate(8, Image.Resampling.BICUBIC),
    "cropped by a tenth": _cropped,
    "blurred": lambda im: im.filter(ImageFilter.GaussianBlur(1)),
    "phone from a screen": _phone,
}


def embedded(images: list[np.ndarray], network: Backbone) -> np.ndarray:
    opened, size = session(network.path), network.card.input_size
    batches = [np.stack([load(image, size) for image in images[i : i + 4]]) for i in range(0, len(images), 4)]
    return np.concatenate([run(opened, ["embedding"], batch)[0] for batch in batches])


def changed(images: list[Path | np.ndarray], network: Backbone) -> dict[str, np.ndarray]:
    """Embeddings of each change."""
    opened = [Image.open(p).convert("RGB") if isinstance(p, Path) else Image.fromarray(p) for p in images]
    return {name: embedded([np.asarray(change(im)) for im in opened], network) for name, change in CHANGES.items()}


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--images", type=int, default=500, help="at most, of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choices", action="store_true", help="also ask a router over all sets")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("MEDLOUPE_HOME", home)
        network = backbone()
        kinds = {**OWN, **OTHERS}
        sets = {n: gathered(options.data / n, options.images, options.seed, network) for n in kinds}
        drawn = made(sets["cats_dogs"].images, options.seed)
        foreign = {**{n: s.embedding for n, s in sets.items()}, **{n: embedded(v, network) for n, v in drawn.items()}}
        judged(sets, foreign, kinds, network, options.seed, options.choices)


def judged(
    sets: dict[str, Set], foreign: dict[str, np.ndarray], kinds: dict[str, str], network: Backbone, seed: int, ask: bool
) -> None:
    refused: dict[str, dict[str, list[float]]] = {own: {} for own in OWN}
    claimed, sizes, micro, chosen = {}, [], [], []
    turns = {
        own: np.random.default_rng(seed).permutation(TURNS * 10**4)[np.unique(sets[own].groups, return_inverse=True)[1]]
        % TURNS
        for own in OWN
    }
    for turn in range(TURNS):
        fitted: dict[str, Novelty] = {}
        for own in OWN:
            part = sets[own]
            aside = turns[own] == turn
            novelty = Novelty.fit(part.embedding[~aside], part.groups[~aside], network.card.levels, seed)
            assert novelty is not None
            fitted[own] = novelty
            claimed.setdefault(own, []).append(novelty.own_refused)
            sizes.append(novelty.nbytes)
            asked = {"": part.embedding[aside], **{n: e for n, e in foreign.items() if n != own}}
            if turn == 0:
                images = [part.images[i] for i in np.flatnonzero(aside)[:CHANGED]]
                asked |= {"~" + name: e for name, e in changed(images, network).items()}
            for name, embedding in asked.items():
                refused[own].setdefault(name, []).append(float((novelty.score(embedding) > 1).mean()))
            one = part.embedding[:1]
            started = time.perf_counter()
            for _ in range(100):
                novelty.score(one)
            micro.append(1e4 * (time.perf_counter() - started))
        if ask:
            router = Router(fitted, everyday(network.sha256))
            for own in OWN:
                rows = sets[own].embedding[turns[own] == turn]
                chosen += [(own, router.choose(row).name) for row in rows]
    table(refused, claimed, kinds)
    print(f"\nMemory {max(sizes):,} bytes a check-up; one score {np.median(micro):.0f} µs.")
    if ask:
        choices(chosen)
        router = Router({}, everyday(network.sha256))
        for name in (*OTHERS, *OWN):
            said = [router.looks_like(row) for row in sets[name].embedding]
            print(f"- {name}: called an everyday object {np.mean([bool(s) for s in said]):.1%}")


def table(refused: dict[str, dict[str, list[float]]], claimed: dict[str, list[float]], kinds: dict[str, str]) -> None:
    """Markdown: a row a check-up."""
    print(
        "| check-up | own refused (its card says) | other kinds refused | the three least | same kind, other source |"
    )
    print("|---|---|---|---|---|")
    everything = []
    for own, by in refused.items():
        mean = {n: float(np.mean(v)) for n, v in by.items()}
        near = {n: v for n, v in mean.items() if n and kinds.get(n) == kinds[own]}
        far = {n: v for n, v in mean.items() if n and not n.startswith("~") and n not in near}
        everything += far.values()
        least = ", ".join(f"{n} {far[n]:.0%}" for n in sorted(far, key=far.__getitem__)[:3])
        close = ", ".join(f"{n} {v:.0%}" for n, v in near.items()) or "–"
        said = float(np.mean(claimed[own]))
        print(f"| {own} | {mean['']:.1%} ({said:.1%}) | {np.mean(list(far.values())):.1%} | {least} | {close} |")
    print(f"\nAll pairs of different kinds: {np.mean(everything):.2%} refused; worst {min(everything):.0%}.\n")
    print("| own kind, changed | " + " | ".join(CHANGES) + " |")
    print("|---|" + "---|" * len(CHANGES))
    for own, by in refused.items():
        print(f"| {own} | " + " | ".join(f"{by['~' + n][0]:.0%}" for n in CHANGES) + " |")


def choices(chosen: list[tuple[str, str | None]]) -> None:
    """How often a router over all sets finds the set, or at least the kind, of an image put aside."""
    print("\n| image of | own check-up | same kind | another | none |\n|---|---|---|---|---|")
    for own, kind in OWN.items():
        names = [name for asked, name in chosen if asked == own]
        right = np.mean([name == own for name in names])
        same = np.mean([name is not None and name != own and OWN[name] == kind for name in names])
        none = np.mean([name is None for name in names])
        print(f"| {own} | {right:.1%} | {same:.1%} | {1 - right - same - none:.1%} | {none:.1%} |")


if __name__ == "__main__":
    main()
