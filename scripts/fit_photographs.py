"""Fit the weights by which quadrilaterals are taken for photographed pictures: src/medloupe/imaging/sides.json.

    python scripts/fit_photographs.py DATA [--out FILE]

DATA is a folder of data sets. Only open ones are read, of each every second picture by its hash: as they are, which are
direct exports in which no quadrilateral is right, and photographed by `imaging/field` and `imaging/rephotograph`. The
other halves, the other sets and photographs of another making judge: benchmarks/photographs.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import terms
from medloupe.imaging import sides
from medloupe.imaging.field.photographs import photograph
from medloupe.imaging.photograph import MOST_QUADRILATERALS, SIDE, scaled
from medloupe.imaging.picture import whole_picture
from medloupe.imaging.quadrilaterals import FEATURES, candidates

PICTURES = sorted(terms.OPEN - {"drawn", "ecg_12lead", "ecg_beats", "heart_sounds"})
SEVERITIES = ("mild", "medium", "hard")
# Shares of the diagonal, of the corner that is farthest off: below the one right, above the other wrong.
_LIMITS = {"photographed": (0.05, 0.08), "placed": (0.015, 0.025)}
_GREY = 0.1  # of the photographs, made grey by whoever sends them


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--direct", type=int, default=150, help="direct exports of each set")
    parser.add_argument("--photographs", type=int, default=12, help="pictures of each set that are photographed thrice")
    parser.add_argument("--rows", type=Path, help="file that keeps what was gathered, and from which it is taken")
    parser.add_argument("--out", type=Path, default=Path(sides.__file__).with_name("sides.json"))
    told = parser.parse_args()
    if told.rows is None or not told.rows.exists():
        gathered = gather(told.data, told.direct, told.photographs)
        if told.rows is not None:
            np.savez(told.rows, features=gathered["features"], wrong=gathered["wrong"], picture=gathered["picture"])
    else:
        gathered = dict(np.load(told.rows))
    features, wrong, picture = gathered["features"], gathered["wrong"], gathered["picture"]
    written = {}
    for name, (right, off) in _LIMITS.items():
        sure = (wrong < right) | (wrong > off)
        weights, bias = fit(features[sure], (wrong[sure] < right).astype(float))
        named = {feature: round(float(v), 4) for feature, v in zip(FEATURES, weights, strict=True)}
        written[name] = {"bias": round(bias, 4), "weights": named}
        print(f"{name}: {sure.sum()} quadrilaterals, {(wrong[sure] < right).mean():.3f} right")
    told.out.write_text(json.dumps(written, indent=2) + "\n")
    sides.fitted.cache_clear()
    direct = np.unique(picture[np.isinf(wrong)])
    p = sides.confidences(features)[0]
    most = np.array([p[picture == one].max() for one in direct])
    taken = np.array([p[picture == one].max() for one in np.setdiff1d(picture, direct)])
    for line in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        print(
            f"line {line}: {(most >= line).mean():.4f} of direct exports, {(taken >= line).mean():.3f} of photographs"
        )


def gather(data: Path, direct: int, photographs: int) -> dict[str, np.ndarray]:
    """Measure quadrilaterals: features, by how much they are wrong (inf in direct exports), and of which picture."""
    rng = np.random.default_rng(19)
    features, wrong, picture = [], [], []

    def add(small: np.ndarray, corners: np.ndarray | None) -> None:
        found, measured = candidates(small, MOST_QUADRILATERALS)
        features.append(measured)
        off = np.full(len(found), np.inf) if corners is None else corner_error(found, corners, small.shape)
        wrong.append(off)
        picture.append(np.full(len(found), len(picture)))

    for name in PICTURES:
        files = fitting_half(data / name, rng)
        for path in files[:direct]:
            add(small_of(Image.open(path)), None)
        for small, corners in _photographs(files[:photographs], rng):
            add(small, corners)
        print(name, len(files), flush=True)
    return {
        "features": np.concatenate(features),
        "wrong": np.concatenate(wrong),
        "picture": np.concatenate(picture),
    }


def fitting_half(folder: Path, rng: np.random.Generator, half: int = 0) -> list[Path]:
    """List half of a set's pictures, in random order. half: 0 those that are fitted on, 1 the others."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if folder.name == "oct":
        found = [p for p in found if "_train_" not in p.name]  # the source oct_c8_train, which is not open
    kept = [p for p in found if hashlib.sha256(p.name.encode()).digest()[0] % 2 == half]
    return [kept[i] for i in rng.permutation(len(kept))]


def small_of(image: Image.Image) -> np.ndarray:
    """Scale an image as the finder does."""
    return scaled(whole_picture(image if image.mode == "L" else image.convert("RGB")), SIDE)


def corner_error(found: np.ndarray, corners: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Tell by how much of the diagonal the worst corner of quadrilaterals (N, 4, 2) lies off."""
    return np.linalg.norm(found - corners, axis=-1).max(-1) / np.hypot(shape[0], shape[1])


def _photographs(files: list[Path], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photograph pictures: what the finder sees, and where the corners are in it."""
    for path in files:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for surface in ("screen", "film", "print"):
            taken, corners = photograph(pixels, rng, surface=surface, severity=SEVERITIES[rng.integers(3)])
            image = Image.fromarray(taken)
            small = small_of(image.convert("L") if rng.random() < _GREY else image)
            yield small, corners * (small.shape[1] / image.width, small.shape[0] / image.height)


def fit(x: np.ndarray, y: np.ndarray, penalty: float = 3.0) -> tuple[np.ndarray, float]:
    """Fit a logistic regression by Newton's method: weights and bias."""
    centre, scale = x.mean(0), x.std(0) + 1e-6
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    weights = np.zeros(design.shape[1])
    ridge = penalty * np.eye(len(weights))
    ridge[0, 0] = 0
    for _ in range(40):
        p = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (p - y) + ridge @ weights
        bend = (design * (p * (1 - p))[:, None]).T @ design + ridge
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    plain = weights[1:] / scale
    return plain, float(weights[0] - plain @ centre)


if __name__ == "__main__":
    main()
