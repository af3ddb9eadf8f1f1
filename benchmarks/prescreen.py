"""Count what a glance passes over of what the search for photographs finds, and what it saves.

    python benchmarks/prescreen.py DATA [--direct N] [--photographs N]

Pictures and photographs are those of benchmarks/photographs.py, and photographed eyepieces, on none of which anything
was fitted. Each is decided with the glance and without it.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from medloupe.imaging.field.faults import SEVERITIES
from medloupe.imaging.field.photographs import photograph
from medloupe.imaging.photo import AUTO
from medloupe.imaging.photograph import find_photo, search
from medloupe.imaging.picture import Picture, whole_picture
from medloupe.imaging.prescreen import may_have_round_field, may_have_sides
from photographs import _PHOTOGRAPHED, SURFACES, judging_files, opened  # puts the support of the tests on the path
from snapshots import snap

_ROUNDS = 5  # of timing, of which the least counts
_LEAST = 160  # pixels of the longer side below which nothing is looked for


def main() -> None:
    """Decide and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--direct", type=int, default=200, help="direct exports of each set")
    parser.add_argument("--photographs", type=int, default=12, help="pictures of each set that are photographed")
    told = parser.parse_args()
    compare(direct_exports(told.data, told.direct))
    compare(photographs(told.data, told.photographs))
    measure_time(told.data)


def compare(pictures: Iterator[tuple[str, Image.Image]]) -> None:
    """Print by group how many pictures are found with and without the glance, and how many differ."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
    for group, image in pictures:
        picture = whole_picture(image)
        seen = find_photo(picture, AUTO)
        searched = search(picture, AUTO) if max(image.size) >= _LEAST else None
        for name in (group, "all"):
            one = counts[name]
            one[0] += 1
            one[1] += searched is not None
            one[2] += seen is not None
            one[3] += searched is not None and seen is None
            one[4] += seen is not None and seen != searched
    print("| | pictures | found by the search | found after the glance | passed over | other corners |")
    print("|---|---|---|---|---|---|")
    for name, one in counts.items():
        print(f"| {name} |" + "".join(f" {n} |" for n in one), flush=True)
    print()


def direct_exports(data: Path, most: int) -> Iterator[tuple[str, Image.Image]]:
    """Give the direct exports that nothing was fitted on, and their set."""
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        for path in judging_files(folder)[:most]:
            yield folder.name, opened(path)


def photographs(data: Path, most: int) -> Iterator[tuple[str, Image.Image]]:
    """Give photographs of both makings, and making and surface."""
    for n, name in enumerate(_PHOTOGRAPHED):
        for i, path in enumerate(judging_files(data / name)[:most]):
            pixels = np.asarray(opened(path).convert("RGB"))
            severity = SEVERITIES[i % len(SEVERITIES)]
            for making, take in (("field", photograph), ("snapshots", snap)):
                for k, surface in enumerate((*SURFACES, "eyepiece")):
                    taken, _ = take(pixels, np.random.default_rng([n, i, k]), surface=surface, severity=severity)
                    yield f"{making}, {surface}", Image.fromarray(taken)


def measure_time(data: Path) -> None:
    """Print processor time of the decision on direct exports: medians, and what nine tenths stay below."""
    print("| | pixels | decision, ms | beside measuring | search alone | searched |\n|---|---|---|---|---|---|")
    for name in ("chest_pneumonia", "fundus", "breast_ultrasound", "blood_cells", "skin"):
        images = [opened(path) for path in judging_files(data / name)[:40]]
        for size in ((640, 480), (1920, 1440), None):
            whole, beside, alone, searched = [], [], [], 0
            for image in images:
                content = np.asarray(image if size is None else image.resize(size))
                sides = content.shape[1], content.shape[0]
                picture = Picture(content, (0, 0, *sides), *sides)
                fresh = [replace(picture) for _ in range(_ROUNDS)]  # whose grey version is not made yet
                find_photo(picture, AUTO)
                whole.append(min(_spent(lambda one=one: find_photo(one, AUTO)) for one in fresh))
                beside.append(min(_spent(lambda one=picture: find_photo(one, AUTO)) for _ in fresh))
                alone.append(min(_spent(lambda one=picture: search(one, AUTO)) for _ in fresh))
                glance = np.asarray(picture.glance)
                searched += may_have_sides(glance, picture.colour) or may_have_round_field(glance)
            shown = "own" if size is None else f"{size[0]} × {size[1]}"
            cells = (f"{np.median(ms):.2f} ({np.quantile(ms, 0.9):.2f})" for ms in (whole, beside, alone))
            print(f"| {name} | {shown} | {' | '.join(cells)} | {searched} of {len(images)} |", flush=True)


def _spent(work: Callable[[], object]) -> float:
    """Time a function: milliseconds of this thread."""
    began = time.thread_time()
    work()
    return 1000 * (time.thread_time() - began)


if __name__ == "__main__":
    main()
