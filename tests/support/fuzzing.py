"""What reads bytes from elsewhere, each as a target for damaged input: it reads them or refuses on purpose.

What was read must hold what its reader promises, and be the same when it is read again. `hammer` gives a target files
damaged from sound ones, the same for the same seed. benchmarks/fuzz.py runs all of it by hand, and fuzz_guided.py
there does guided by coverage; a twentieth runs as a test.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import fuzzreaders
import fuzzseeds
import mutations
from medloupe.errors import MedloupeError
from medloupe.serving.http.errors import HttpError

SLOWEST = 2.0  # seconds that one file may take
MEMORY = 400  # MiB by which one file may raise the peak; a server's decoders may take less beside what they are given


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader of files: `run` takes one, and raises what is raised on purpose, or AssertionError of a broken promise.

    Attributes
    ----------
    seeds : callable
        Sound files to begin with.
    run : callable
        Returns what it read, as bytes or text that are the same whenever the same file is read.
    suffixes : tuple of str
        Of further files, from a folder, that it can begin with.
    """

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], object]
    suffixes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How many files were read and refused, the slowest in seconds, the largest growth in MiB, and what went wrong."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    largest: int = 0
    faults: list[str] | None = None

    def note(self, what: str) -> None:
        self.faults = [*(self.faults or ()), what]


def try_one(target: Target, data: bytes, outcome: Outcome, called: str, *, again: bool = False) -> None:
    """Give a target one file, and note how it went. again: twice, where it is read."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        told = target.run(data)
        outcome.read += 1
        if again and told != target.run(data):
            outcome.note(f"{called}: read otherwise the second time")
    except (MedloupeError, HttpError):
        outcome.refused += 1
    except Exception as e:
        outcome.note(f"{called}: {type(e).__name__}: {str(e)[:200]}")
    spent = (time.process_time() - began) / (1 + again)
    outcome.slowest = max(outcome.slowest, spent)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    outcome.largest = max(outcome.largest, grown)
    if grown > MEMORY:
        outcome.note(f"{called}: {grown} MiB of memory")
    if spent > SLOWEST:
        outcome.note(f"{called}: {spent:.1f} s of the processor")


def warm(target: Target) -> Sequence[bytes]:
    """Give a target its sound files, and return them: what is imported when first needed is no file's doing."""
    seeds = target.seeds()
    for data in seeds:
        with contextlib.suppress(MedloupeError, HttpError):
            target.run(data)
    return seeds


def hammer(name: str, count: int, seed: int) -> Outcome:
    """Give a target count damaged files."""
    target, outcome = TARGETS[name], Outcome()
    seeds = warm(target)
    for data in seeds:  # so that what follows is about damage; some bundled DICOM files are refused as they are
        try_one(target, data, outcome, "sound")
    if outcome.refused > len(seeds) / 4:
        outcome.note(f"{outcome.refused} of {len(seeds)} sound files are refused")
    outcome.read = outcome.refused = 0
    outcome.slowest, outcome.largest = 0.0, 0
    rng = np.random.default_rng(seed)
    for number in range(count):
        at = int(rng.integers(len(seeds)))
        data = mutations.damage(seeds[at], rng, seeds[int(rng.integers(len(seeds)))])
        try_one(target, data, outcome, f"seed {seed}, file {number} from {at}", again=number % 4 == 0)
    return outcome


_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
TARGETS: dict[str, Target] = {
    "pictures": Target(
        seeds=fuzzseeds.of_kinds("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM"),
        run=fuzzreaders.picture,
        suffixes=_IMAGES,
    ),
    "dicom": Target(seeds=fuzzseeds.of_kinds("DICOM"), run=fuzzreaders.picture, suffixes=(".dcm", ".ima")),
    "heif": Target(seeds=fuzzseeds.heif_seeds, run=fuzzreaders.picture, suffixes=(".heic", ".avif")),
    "ecg-text": Target(seeds=fuzzseeds.text_seeds, run=fuzzreaders.ecg_named("r1.csv"), suffixes=(".csv", ".txt")),
    "ecg-npz": Target(seeds=fuzzseeds.npz_seeds, run=fuzzreaders.ecg_named("r1.npz"), suffixes=(".npz",)),
    "ecg-edf": Target(seeds=fuzzseeds.edf_seeds, run=fuzzreaders.ecg_named("r1.edf"), suffixes=(".edf", ".bdf")),
    "ecg-dicom": Target(seeds=fuzzseeds.waveform_seeds, run=fuzzreaders.ecg_named("r1.dcm")),
    "ecg-wfdb": Target(seeds=fuzzseeds.wfdb_seeds, run=fuzzreaders.wfdb),
    "table": Target(
        seeds=fuzzseeds.table_seeds, run=fuzzreaders.table_named("labels.csv"), suffixes=(".csv", ".tsv", ".txt")
    ),
    "excel": Target(seeds=fuzzseeds.excel_seeds, run=fuzzreaders.table_named("labels.xlsx"), suffixes=(".xlsx",)),
    "annotations": Target(seeds=fuzzseeds.annotation_seeds, run=fuzzreaders.annotations, suffixes=(".json", ".xml")),
    "facilities": Target(seeds=fuzzseeds.facility_seeds, run=fuzzreaders.facilities),
    "card": Target(seeds=fuzzseeds.card_seeds, run=fuzzreaders.card),
    "model": Target(seeds=fuzzseeds.model_seeds, run=fuzzreaders.model),
    "inference": Target(seeds=fuzzseeds.inference_seeds, run=fuzzreaders.inference),
}
