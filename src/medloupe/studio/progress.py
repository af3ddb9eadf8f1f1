"""Tell how far a training is, and how long it takes still: by what its stages took on this machine before."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from medloupe.errors import StoreError
from medloupe.store.jobrows import RUNNING, QueuedJob
from medloupe.utils.files import write_cache

STAGES = ("starting", "embedding", "audit", "field views", "fitting", "judging", "writing")
_FIRST = {  # seconds of a stage, and seconds a picture, of a small machine, until there is something better
    "starting": (4.0, 0.0),
    "embedding": (1.0, 0.03),
    "audit": (0.2, 0.002),
    "field views": (0.0, 0.0),
    "fitting": (1.0, 0.006),
    "judging": (1.0, 0.004),
    "writing": (3.0, 0.0),
}
_WEIGHT = 0.5  # of the last training


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """How far a training is. stage: "" before it begins; share: 0 to 1; seconds: that are left, or None."""

    stage: str
    share: float
    seconds: float | None


@dataclass(slots=True)
class _StageTimes:
    pictures: int
    began: dict[str, float] = field(default_factory=dict)
    last: str = ""
    share: float = 0.0


class StageClock:
    """Watches the stages of trainings.

    Parameters
    ----------
    path
        Where it keeps what stages took, by the second and picture.
    """

    def __init__(self, path: Path):
        self._path = path
        self._runs: dict[tuple[str, int], _StageTimes] = {}
        self._lock = threading.Lock()
        self._took = dict(_FIRST)
        with suppress(OSError, ValueError, TypeError):
            kept = json.loads(path.read_text("utf-8"))
            self._took |= {name: (float(a), float(b)) for name, (a, b) in kept.items() if name in _FIRST}

    def observe(self, job: QueuedJob, pictures: int) -> Far:
        """Note where a job is, and tell how far that is."""
        if job.state != RUNNING:
            return Far(stage="", share=0.0, seconds=self._sum(STAGES, pictures) if job.finished is None else None)
        told = job.progress or {}
        stage = str(told.get("stage", STAGES[0]))
        now = time.monotonic()
        with self._lock:
            run = self._runs.setdefault((job.id, job.attempt), _StageTimes(pictures))
            run.began.setdefault(stage, now)
            if run.last and run.last != stage:
                self._learn(run, run.last, now)
            run.last = stage
            done, total = int(told.get("done", 0)), int(told.get("total", 0))
            if stage not in STAGES:
                return Far(stage=stage, share=done / total if total else 0.0, seconds=None)
            at = STAGES.index(stage)
            spent = now - run.began[stage]
            expected = max(self._seconds(stage, pictures), spent + 0.5)
            left = expected - spent
            if total > 1 and done > 0:
                left = min(spent * (total - done) / done, 10 * expected)
            rest = left + self._sum(STAGES[at + 1 :], pictures)
            before = self._sum(STAGES[:at], pictures) + expected - left
            run.share = max(run.share, min(0.99, before / max(1e-6, before + rest)))
            return Far(stage=stage, share=run.share, seconds=rest)

    def finish(self, job: QueuedJob) -> None:
        """Keep what the last stage of a job that is done took."""
        with self._lock:
            run = self._runs.pop((job.id, job.attempt), None)
            if run is None:
                return
            if run.last:
                self._learn(run, run.last, time.monotonic())
        with suppress(StoreError):
            write_cache(self._path, json.dumps(self._took).encode())

    def _learn(self, run: _StageTimes, stage: str, now: float) -> None:
        if stage not in _FIRST or stage not in run.began:
            return
        took = now - run.began.pop(stage)
        fixed, each = self._took[stage]
        expected = max(0.05, fixed + each * run.pictures)
        factor = min(4.0, max(0.25, took / expected)) ** _WEIGHT
        self._took[stage] = (fixed * factor, each * factor)

    def _sum(self, stages: tuple[str, ...], pictures: int) -> float:
        return sum(self._seconds(stage, pictures) for stage in stages)

    def _seconds(self, stage: str, pictures: int) -> float:
        fixed, each = self._took[stage]
        return fixed + each * pictures
