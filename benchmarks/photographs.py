"""Judge how pictures are found in photographs, and direct exports let alone.

    python benchmarks/photographs.py DATA [--direct N] [--photographs N]

DATA is a folder of data sets. Of those by which the weights were fitted (scripts/fit_photographs.py) the halves that
were not, of the others all. Photographs are of two makings: `imaging/field`, by which the weights were fitted, and
`tests/support/snapshots.py`, by which nothing was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from medloupe.imaging.field.photographs import photograph
from medloupe.imaging.perspective import upright_size
from medloupe.imaging.photo import AUTO, PhotoRequest
from medloupe.imaging.photograph import cut_out, find_photo
from medloupe.imaging.picture import whole_picture

_HERE = Path(__file__).resolve().parent
sys.path += [str(_HERE.parent / "scripts"), str(_HERE.parent / "tests" / "support")]

from fit_photographs import PICTURES, SEVERITIES, corner_error, fitting_half  # noqa: E402
from snapshots import snap  # noqa: E402

SURFACES = ("screen", "film", "print")
RIGHT, WRONG = 0.03, 0.06
"""Shares of the diagonal, of the corner that lies farthest off: below it corners are right, above it wrong."""

_NOT_MEDICAL = ("cats_dogs",)
_PHOTOGRAPHED = (
    "bone_boxes",
    "brain_mri",
    "breast_idc",
    "breast_ultrasound",
    "chest_pneumonia",
    "ecg_images",
    "fundus",
    "malaria_colour",
    "monkeypox",
    "oct",
    "polyp_boxes",
    "skin",
)


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--direct", type=int, default=200, help="direct exports of each set")
    parser.add_argument("--photographs", type=int, default=12, help="photographs of each set, surface and making")
    told = parser.parse_args()
    if told.direct:
        judge_direct(told.data, told.direct)
    if told.photographs:
        judge_photographs(told.data, told.photographs)
    measure_time(told.data)


def judge_direct(data: Path, most: int) -> None:
    """Print how many direct exports of each set are taken for photographs."""
    print("| set | direct exports | taken for photographs |\n|---|---|---|")
    total = taken = 0
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        files = judging_files(folder)[:most]
        if not files:
            continue
        found = [f for f in files if find_photo(whole_picture(opened(f)), AUTO) is not None]
        print(f"| {folder.name} | {len(files)} | {len(found)} ({len(found) / len(files):.1%}) |", flush=True)
        if folder.name not in _NOT_MEDICAL:
            total, taken = total + len(files), taken + len(found)
    print(f"| all but {', '.join(_NOT_MEDICAL)} | {total} | {taken} ({taken / max(1, total):.2%}) |\n", flush=True)


def judge_photographs(data: Path, most: int) -> None:
    """Print by making, surface and severity how often corners are found and right, and how far off they are."""
    makings: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {"field": photograph, "snapshots": snap}
    rows: dict[tuple[str, str, str], list[tuple[bool, float, bool]]] = defaultdict(list)
    for n, name in enumerate(_PHOTOGRAPHED):
        for i, path in enumerate(judging_files(data / name)[:most]):
            pixels = np.asarray(opened(path).convert("RGB"))
            severity = SEVERITIES[i % len(SEVERITIES)]
            for making, take in makings.items():
                for k, surface in enumerate(SURFACES):
                    taken, corners = take(pixels, np.random.default_rng([n, i, k]), surface=surface, severity=severity)
                    rows[making, surface, severity].append(_judge(taken, corners))
    print("| making | surface | severity | photographs | found | right | wrong | error when found | found if told |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (making, surface, severity), judged in sorted(rows.items(), key=lambda kv: kv[0][:2]):
        found = np.array([one[0] for one in judged])
        error = np.array([one[1] for one in judged])
        told = np.array([one[2] for one in judged])
        middle = f"{np.median(error[found]):.1%}" if found.any() else "–"
        print(
            f"| {making} | {surface} | {severity} | {len(judged)} | {found.mean():.0%}"
            f" | {(found & (error < RIGHT)).mean():.0%} | {(found & (error > WRONG)).mean():.0%} | {middle}"
            f" | {told.mean():.0%} |",
            flush=True,
        )
    print()


def _judge(taken: np.ndarray, corners: np.ndarray) -> tuple[bool, float, bool]:
    """Tell whether a picture is found in a photograph, how far off its worst corner is, and whether it is if asked."""
    picture = whole_picture(Image.fromarray(taken))
    photo = find_photo(picture, PhotoRequest(mode="always"))
    if photo is None or photo.corners is None:
        return False, 1.0, False
    error = float(corner_error(np.array([photo.corners]), corners, taken.shape)[0])
    return find_photo(picture, AUTO) is not None, error, True


def measure_time(data: Path) -> None:
    """Print what looking for a photograph costs, in processor time."""
    direct = [
        opened(f).resize((640, 480))
        for name in ("chest_pneumonia", "skin", "brain_mri")
        for f in judging_files(data / name)[:30]
    ]
    pictures = [whole_picture(image) for image in direct]
    began = time.process_time()
    for picture in pictures:
        find_photo(picture, AUTO)
    each = 1000 * (time.process_time() - began) / len(pictures)
    print(f"A direct export of 640 × 480 pixels: {each:.1f} ms of processor time.")
    photos = []
    for i, picture in enumerate(pictures[:30]):
        taken, _ = snap(np.asarray(picture.image.convert("RGB")), np.random.default_rng(i), surface="film")
        photos.append(whole_picture(Image.fromarray(taken)))
    began = time.process_time()
    sizes = []
    for picture in photos:
        photo = find_photo(picture, AUTO)
        if photo is not None and photo.corners is not None:
            sizes.append(max(upright_size(np.array(photo.corners))))
            cut_out(picture, photo, 448)
    each = 1000 * (time.process_time() - began) / len(photos)
    print(f"A photograph of some 600 pixels, found and cut out to {np.mean(sizes):.0f} pixels: {each:.1f} ms.")


def judging_files(folder: Path) -> list[Path]:
    """List a set's pictures that nothing was fitted on, in random order."""
    rng = np.random.default_rng(7)
    files = fitting_half(folder, rng, 1)
    return files if folder.name in PICTURES else files + fitting_half(folder, rng, 0)


def opened(path: Path) -> Image.Image:
    """Open a picture as L or RGB."""
    image = Image.open(path)
    return image if image.mode == "L" else image.convert("RGB")


if __name__ == "__main__":
    main()
