"""Fit the trees by which direct exports are told at a glance: src/medloupe/imaging/prescreen.json.

    python scripts/fit_prescreen.py DATA [--out FILE]

Read is what scripts/fit_photographs.py reads, the halves of open data sets that judge nothing: as they are, and
photographed by `imaging/field`. As few of them have colours, the direct exports are also read cut, coloured and blurred
at random: no part of an export has surroundings. What is learned is whether the search of photograph.py finds sides
there. The line is drawn below every such picture, each judged by trees that were fitted without it.
benchmarks/prescreen.py judges on the other halves, and on photographs of another making.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import StratifiedKFold

from fit_photographs import PICTURES, SEVERITIES, fitting_half
from medloupe.imaging import prescreen
from medloupe.imaging.field.photographs import photograph
from medloupe.imaging.photograph import search_sides
from medloupe.imaging.picture import Picture, whole_picture

SURFACES = ("screen", "film", "print", "eyepiece")
_LEAST = 200  # pixels of the longer side of what is cut out
_TREES, _RATE = 128, 0.08
_MARGIN = 0.25  # of log odds, by which the line lies below the lowest score out of fold


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--direct", type=int, default=150, help="direct exports of each set")
    parser.add_argument("--photographs", type=int, default=32, help="pictures of each set that are photographed")
    parser.add_argument("--rows", type=Path, help="file that keeps what was gathered, and from which it is taken")
    parser.add_argument("--out", type=Path, default=Path(prescreen.__file__).with_name("prescreen.json"))
    told = parser.parse_args()
    if told.rows is None or not told.rows.exists():
        gathered = gather(told.data, told.direct, told.photographs)
        varied = gather_varied(told.data, told.direct)
        values, found, direct = (np.concatenate(both) for both in zip(gathered, varied, strict=True))
        if told.rows is not None:
            np.savez(told.rows, values=values, found=found, direct=direct)
    else:
        values, found, direct = (np.load(told.rows)[name] for name in ("values", "found", "direct"))
    out_of_fold = np.zeros(len(found))
    for fit, held in StratifiedKFold(5, shuffle=True, random_state=0).split(values, found):
        trees = fit_trees(values[fit], found[fit])
        out_of_fold[held] = [trees.score(row) for row in values[held]]
    line = float(out_of_fold[found].min()) - _MARGIN
    passed = (out_of_fold[direct] >= line).mean()
    print(f"{found.sum()} of {len(found)} found; line {line:.2f}: {passed:.1%} of direct exports are searched")
    trees = fit_trees(values, found)
    written = {
        "line": round(line, 4),
        "feature": trees.feature.tolist(),
        "threshold": np.round(trees.threshold, 5).tolist(),
        "leaf": np.round(trees.leaf, 5).tolist(),
    }
    told.out.write_text(json.dumps(written) + "\n")


def gather(data: Path, direct: int, photographs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure pictures: features (N, F), whether sides are found, and whether it is a direct export."""
    rng = np.random.default_rng(77)
    rows: list[tuple[np.ndarray, bool, bool]] = []

    def add(picture: Picture, is_direct: bool) -> None:
        if max(picture.sides) >= 160:
            measured = prescreen.measure_features(np.asarray(picture.glance), picture.colour)
            rows.append((measured, search_sides(picture) is not None, is_direct))

    for name in PICTURES:
        files = fitting_half(data / name, np.random.default_rng(19))
        for path in files[:direct]:
            image = Image.open(path)
            add(whole_picture(image if image.mode == "L" else image.convert("RGB")), True)
        for path in files[:photographs]:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            for surface in SURFACES:
                taken, _ = photograph(pixels, rng, surface=surface, severity=SEVERITIES[rng.integers(3)])
                add(whole_picture(Image.fromarray(taken)), False)
        print(name, flush=True)
    values, found, is_direct = zip(*rows, strict=True)
    return np.array(values), np.array(found), np.array(is_direct)


def gather_varied(data: Path, direct: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure direct exports that are cut, coloured and blurred, as `gather` does; without those in which sides are."""
    rng = np.random.default_rng(5)
    rows = []
    for name in PICTURES:
        for path in fitting_half(data / name, np.random.default_rng(19))[:direct]:
            picture = whole_picture(vary(Image.open(path), rng))
            if search_sides(picture) is None:
                rows.append(prescreen.measure_features(np.asarray(picture.glance), picture.colour))
    return np.array(rows), np.zeros(len(rows), bool), np.ones(len(rows), bool)


def vary(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut a part out of a picture, and give it other colours, contrast and sharpness."""
    image = image.convert("RGB")
    w, h = image.size
    across, down = rng.uniform(0.45, 1, 2)
    left, top = rng.uniform(0, 1 - across) * w, rng.uniform(0, 1 - down) * h
    image = image.crop((int(left), int(top), int(left + across * w), int(top + down * h)))
    if max(image.size) < _LEAST:
        scale = _LEAST / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    dark, light = rng.uniform(0, 0.5, 3), rng.uniform(0.4, 1, 3)
    shown = dark + (light - dark) * (np.asarray(image, np.float32) / 255) ** rng.uniform(0.6, 1.6)
    made = Image.fromarray((255 * np.clip(shown, 0, 1)).astype(np.uint8))
    return made.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))


def fit_trees(values: np.ndarray, found: np.ndarray) -> prescreen.Trees:
    """Boost trees of depth 3, each padded to its eight leaves."""
    model = GradientBoostingClassifier(
        n_estimators=_TREES,
        max_depth=3,
        learning_rate=_RATE,
        subsample=0.5,
        max_features=0.3,
        min_samples_leaf=20,
        random_state=0,
    ).fit(values, found)
    feature = np.zeros((_TREES, 7), int)
    threshold = np.full((_TREES, 7), 1e9)
    leaf = np.zeros((_TREES, 8))
    for t, one in enumerate(model.estimators_[:, 0]):
        tree, at = one.tree_, [0]
        for node in range(7):
            k = at[node]
            if tree.children_left[k] >= 0:
                feature[t, node], threshold[t, node] = tree.feature[k], tree.threshold[k]
                at += [tree.children_left[k], tree.children_right[k]]
            else:
                at += [k, k]
        leaf[t] = _RATE * tree.value[at[7:], 0, 0]
    return prescreen.Trees(feature, threshold, leaf, 0.0)


if __name__ == "__main__":
    main()
