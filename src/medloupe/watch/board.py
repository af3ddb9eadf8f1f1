"""Put together what is watched of a running server: every check-up's weeks, pictures and calibration, and the disk."""

from __future__ import annotations

import contextlib
import datetime
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from sqlalchemy import select

from medloupe.metrics.weighted import wilson
from medloupe.model.decision import WITHHELD
from medloupe.serving.http.errors import HttpError
from medloupe.serving.web.lookups import answering_version
from medloupe.store.database import transaction
from medloupe.store.tables import FeedbackRow, PredictionRow, UserRow
from medloupe.watch.pictures import ObservedPicture, SiteWatch, count_streams, watch_site
from medloupe.watch.weeks import Asked, Week, count_weeks

if TYPE_CHECKING:
    from medloupe.model.novelty import Novelty
    from medloupe.serving.engine.service import Service

DAYS = 400  # that are looked at
FEWEST_SAID = 30  # answers that people said something of, with which calibration is told
FRESH = 20.0  # seconds for which a board is shown again
EXPORTED = 120.0  # seconds for which its figures are: they are asked for all the time
_Z99 = 2.5758293035489004  # of the normal distribution, for 99 %


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackCalibration:
    """Whether percentages mean what they say, by what people said of answers.

    Attributes
    ----------
    n
        Answers of which somebody said whether they were right.
    claimed
        How probable the most probable label was said to be, on average.
    right, low, high
        Share that was right, with its 99 % interval, as it is looked at again and again.
    """

    n: int
    claimed: float
    right: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Give "few", "fits", "too_sure" or "too_unsure"."""
        if self.n < FEWEST_SAID:
            return "few"
        return "too_sure" if self.claimed > self.high else "too_unsure" if self.claimed < self.low else "fits"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckupBoard:
    """What is watched of a check-up. watched: whether its pictures can be; sites: by site, once or twice each."""

    model: str
    version: int | None
    answers: int
    weeks: tuple[Week, ...]
    sites: tuple[SiteWatch, ...]
    watched: bool
    calibration: FeedbackCalibration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Bytes free and in all where the home folder lies, and of the database where that is a file."""

    free: int
    total: int
    database: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardState:
    """All that is watched, at a time (ISO 8601); hidden: answers that a pilot hides."""

    at: str
    checkups: tuple[CheckupBoard, ...]
    disk: Disk
    hidden: int


class Board:
    """Computes what is watched, at most every FRESH seconds; safe to use from several threads.

    Parameters
    ----------
    service
        The running server.
    """

    def __init__(self, service: Service):
        self.service = service
        self._lock = threading.Lock()
        self._last: tuple[float, BoardState] | None = None

    def look(self, *, fresh: bool = False) -> BoardState:
        """Compute it, or give what was computed a moment ago. Raises StorageError."""
        with self._lock:
            if not fresh and self._last is not None and time.monotonic() - self._last[0] < FRESH:
                return self._last[1]
            return self._look()

    def glance(self) -> BoardState | None:
        """Give what was computed within EXPORTED, or compute it; while somebody does already, what was before, if any.

        Raises StorageError.
        """
        last = self._last
        if last is not None and time.monotonic() - last[0] < EXPORTED:
            return last[1]
        if not self._lock.acquire(blocking=False):
            return None if last is None else last[1]
        try:
            return self._look()
        finally:
            self._lock.release()

    def _look(self) -> BoardState:
        found = self._compute()
        self._last = (time.monotonic(), found)
        return found

    def _compute(self) -> BoardState:
        today = datetime.datetime.now(datetime.UTC)
        since = (today - datetime.timedelta(DAYS)).isoformat(timespec="milliseconds")
        by_model: dict[str, list[Any]] = {}
        wanted = (
            select(
                PredictionRow.model,
                PredictionRow.version,
                PredictionRow.at,
                PredictionRow.state,
                PredictionRow.ms,
                PredictionRow.site,
                PredictionRow.user_id,
                PredictionRow.watched,
                PredictionRow.patient,
            )
            .where(PredictionRow.at >= since, PredictionRow.deleted_at.is_(None), PredictionRow.model != "")
            .order_by(PredictionRow.at, PredictionRow.id)
        )
        with transaction(self.service.engine) as session:
            names = {row.id: row.name for row in session.execute(select(UserRow.id, UserRow.name))}
            for row in session.execute(wanted):
                by_model.setdefault(row.model, []).append(row)
        said = self._read_feedback(since)
        offered = {c.name: c.version for c in self.service.catalog.all()}
        grouped: dict[str, dict[str, list[ObservedPicture]]] = {}
        streams = 0
        for model, rows in by_model.items():
            version, own = offered.get(model, rows[-1].version), grouped.setdefault(model, {})
            for row in rows:
                if row.version == version and row.watched and row.state != WITHHELD:
                    seen = ObservedPicture(row.at, row.watched, row.patient)
                    own.setdefault(row.site or names.get(row.user_id, ""), []).append(seen)
            novelty = self._find_novelty(model, version)
            streams += sum(count_streams(novelty, seen) for seen in own.values())
        boards = [
            self._board(model, offered.get(model, rows[-1].version), rows, grouped[model], said.get(model), streams)
            for model, rows in sorted(by_model.items())
        ]
        hidden = sum(row.state == WITHHELD for rows in by_model.values() for row in rows)
        at = today.isoformat(timespec="seconds")
        return BoardState(at=at, checkups=tuple(boards), disk=self._measure_disk(), hidden=hidden)

    def _board(
        self,
        model: str,
        version: int | None,
        rows: Sequence[Any],
        sites: dict[str, list[ObservedPicture]],
        calibration: FeedbackCalibration | None,
        streams: int,
    ) -> CheckupBoard:
        novelty = self._find_novelty(model, version)
        watched: list[SiteWatch] = []
        if novelty is not None:
            watched = [one for n, seen in sorted(sites.items()) for one in watch_site(n, novelty, seen, streams)]
        asked = [Asked(datetime.date.fromisoformat(row.at[:10]), row.state, row.ms) for row in rows]
        return CheckupBoard(
            model=model,
            version=version,
            answers=len(rows),
            weeks=tuple(count_weeks(asked, datetime.datetime.now(datetime.UTC).date())),
            sites=tuple(watched),
            watched=novelty is not None,
            calibration=calibration,
        )

    def _find_novelty(self, model: str, version: int | None) -> Novelty | None:
        """Find what a version knows of what its pictures usually look like; None where it does not, as of ECGs."""
        checkup = answering_version(self.service, model, version)
        return None if checkup is None or checkup.windows is not None else checkup.novelty

    def _read_feedback(self, since: str) -> dict[str, FeedbackCalibration]:
        """Read what people said of answers that are shown, by model; what was said last counts."""
        wanted = (
            select(PredictionRow.id, PredictionRow.model, PredictionRow.answer, FeedbackRow.right)
            .join(FeedbackRow, FeedbackRow.prediction_id == PredictionRow.id)
            .where(
                PredictionRow.at >= since,
                PredictionRow.state != WITHHELD,
                PredictionRow.deleted_at.is_(None),
                FeedbackRow.right.is_not(None),
            )
            .order_by(FeedbackRow.id)
        )
        last: dict[str, tuple[str, float, bool]] = {}
        with transaction(self.service.engine) as session:
            for id, model, answer, right in session.execute(wanted):
                p = (answer.get("probabilities") or {}).get(answer.get("prediction") or "")
                if p is not None and answer.get("state") not in ("refused", "unusable"):
                    last[id] = (model, float(p), bool(right))
        found: dict[str, FeedbackCalibration] = {}
        for model in {m for m, _, _ in last.values()}:
            own = [(p, right) for m, p, right in last.values() if m == model]
            n, hits = len(own), sum(right for _, right in own)
            low, high = wilson(hits, n, z=_Z99)
            claimed = sum(p for p, _ in own) / n
            found[model] = FeedbackCalibration(n=n, claimed=claimed, right=hits / n, low=low, high=high)
        return found

    def _measure_disk(self) -> Disk:
        home = self.service.store.home
        usage = shutil.disk_usage(home)
        url = self.service.engine.url
        size = None
        if url.get_backend_name() == "sqlite" and url.database:
            with contextlib.suppress(OSError):
                path = Path(url.database)
                size = sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))
        return Disk(free=usage.free, total=usage.total, database=size)


def board_of(request: Request) -> Board:
    """Return what is watched of the running server; raises HttpError where nothing is."""
    found = getattr(request.app.state, "watch", None)
    if found is None:
        raise HttpError(404, "not_found", "Nothing is watched here.", "medloupe serve watches.")
    return found
