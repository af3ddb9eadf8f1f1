"""What asking about the negative costs and finds: of real grey pictures, and of the same inverted.

    python benchmarks/polarity.py [--data ../shared/data] [--count 150] > table.md

For each shipped check-up of grey pictures, and each set of its kind at hand: how many pictures are refused as inverted
that are not, how many negatives are caught so or refused as foreign anyhow, and for how many pictures a second pass of
the network is run. The limits of quality are left out, which stop some negatives before.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from medloupe.imaging.decode import decode_picture
from medloupe.imaging.picture import Picture, negative_of
from medloupe.inference.pictures import Predictor
from medloupe.model.polarity import is_doubtful, is_inverted
from medloupe.model.sketch import sketch
from medloupe.starter.shipped import load_shipped

SETS = {
    "pneumonia": ("chest_pneumonia", "covid_cxr", "chest_findings", "chest_adult", "medmnist/pneumoniamnist.npz"),
    "covid": ("covid_cxr", "chest_pneumonia", "chest_findings", "chest_adult", "chest_heart_size"),
    "brain-tumour": ("brain_mri",),
    "breast": ("breast_ultrasound", "medmnist/breastmnist.npz"),
    "malaria": ("malaria",),
}
_AT_ONCE = 16


def pictures(path: Path, count: int, size: int) -> Iterator[Picture]:
    """Pictures of a set, drawn at random but always the same."""
    if path.suffix == ".npz":
        images = np.load(path)["test_images"]
        for i in random.Random(0).sample(range(len(images)), min(count, len(images))):
            yield decode_picture(images[i])
        return
    with (path / "labels.csv").open(encoding="utf-8") as file:
        rows = [path / row["file"] for row in csv.DictReader(file)]
    random.Random(0).shuffle(rows)
    for row in [r for r in rows if r.is_file()][:count]:
        yield decode_picture(row, min_side=size)


def embeddings(asked: Predictor, fitted: list[np.ndarray]) -> np.ndarray:
    parts = [asked.run_shared(np.stack(fitted[i : i + _AT_ONCE])) for i in range(0, len(fitted), _AT_ONCE)]
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--count", type=int, default=150)
    options = parser.parse_args()
    print("| check-up | set | n | called inverted | lowest ratio | negatives: inverted | foreign | second pass |")
    print("|---|---|---|---|---|---|---|---|")
    for name, folders in SETS.items():
        asked = Predictor(load_shipped(name))
        novelty = asked.model.novelty
        assert novelty is not None
        for folder in folders:
            own: list[np.ndarray] = []
            other: list[np.ndarray] = []
            for picture in pictures(options.data / folder, options.count, asked.size):
                fitted = picture.fit(asked.size)
                negative = negative_of(fitted, picture.width, picture.height)
                if negative is not None:
                    own.append(fitted)
                    other.append(negative)
            a, b = embeddings(asked, own), embeddings(asked, other)
            distance = [novelty.distance(sketch(x, novelty.levels)) for x in (a, b)]
            n = len(own)
            wrong = sum(is_doubtful(novelty, x) and is_inverted(novelty, x, y) for x, y in zip(a, b, strict=True))
            found = sum(is_doubtful(novelty, y) and is_inverted(novelty, y, x) for x, y in zip(a, b, strict=True))
            foreign = float((novelty.score(b) > 1).mean())
            second = float(np.mean([is_doubtful(novelty, x) for x in a]))
            lowest = float((distance[1] / distance[0]).min())
            row = (name, folder, n, wrong, f"{lowest:.2f}", f"{found / n:.0%}", f"{foreign:.0%}", f"{second:.0%}")
            print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
