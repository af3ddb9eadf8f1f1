"""Give Prometheus what is watched: drift by site, shares flagged and refused, calibration, disk, the pilot.

They are computed when they are asked for, at most every board.EXPORTED seconds; deploy/alerts.yml has rules for them.
Whatever is wrong with them, the other figures of the server are told all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from medloupe.errors import MedloupeError

if TYPE_CHECKING:
    from medloupe.watch.board import Board, BoardState

log = logging.getLogger("medloupe.watch")


class BoardCollector(Collector):
    """What is watched, as figures.

    Parameters
    ----------
    board
        Computes it.
    """

    def __init__(self, board: Board):
        self._board = board

    def describe(self) -> Iterable[Metric]:
        """Give nothing: what there is depends on what was asked."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Give the figures; none while they cannot be computed, which `medloupe_watch_up` says."""
        up = GaugeMetricFamily("medloupe_watch_up", "Whether what is watched could be computed.")
        try:
            state = self._board.glance()
        except MedloupeError as e:
            log.error("the watch cannot be computed", extra={"reason": str(e)})
            state = None
        except Exception:
            log.exception("unexpected")
            state = None
        if state is None:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *_collect_sites(state), *_collect_weeks(state), *_collect_rest(state, self._board)]


def _collect_sites(state: BoardState) -> list[Metric]:
    drift = GaugeMetricFamily(
        "medloupe_watch_drift", "1 where pictures differ from before.", labels=["model", "site", "by"]
    )
    evidence = GaugeMetricFamily(
        "medloupe_watch_drift_evidence",
        "Evidence of a drift, as a share of the limit's logarithm.",
        labels=["model", "site", "by"],
    )
    pictures = GaugeMetricFamily("medloupe_watch_pictures", "Pictures watched.", labels=["model", "site", "by"])
    told = GaugeMetricFamily(
        "medloupe_watch_told", "Pictures of which it was told whose they are.", labels=["model", "site", "by"]
    )
    for board in state.checkups:
        for site in board.sites:
            labels = [board.model, site.site, site.by]
            drift.add_metric(labels, float(site.state == "drift"))
            evidence.add_metric(labels, site.evidence[-1] if site.evidence else 0.0)
            pictures.add_metric(labels, site.pictures)
            told.add_metric(labels, site.told)
    return [drift, evidence, pictures, told]


def _collect_weeks(state: BoardState) -> list[Metric]:
    """Tell of the last week that has answers which are shown; of those that a pilot hides nothing is told."""
    share = GaugeMetricFamily("medloupe_watch_share", "Share of the last week's answers.", labels=["model", "state"])
    unusual = GaugeMetricFamily(
        "medloupe_watch_share_unusual", "1 where that share is outside of what was expected.", labels=["model", "state"]
    )
    for board in state.checkups:
        for name in ("flagged", "refused"):
            last = next((s for w in reversed(board.weeks) if (s := getattr(w, name)).value is not None), None)
            if last is not None:
                share.add_metric([board.model, name], last.value)
                unusual.add_metric([board.model, name], float(last.unusual))
    return [share, unusual]


def _collect_rest(state: BoardState, board: Board) -> list[Metric]:
    error = GaugeMetricFamily(
        "medloupe_watch_calibration_error",
        "Mean probability claimed, less the share right, of answers that people said something of.",
        labels=["model"],
    )
    off = GaugeMetricFamily(
        "medloupe_watch_calibration_off", "1 where that is more than chance explains.", labels=["model"]
    )
    for checkup in state.checkups:
        if (found := checkup.calibration) is not None and found.verdict != "few":
            error.add_metric([checkup.model], found.claimed - found.right)
            off.add_metric([checkup.model], float(found.verdict != "fits"))
    free = GaugeMetricFamily("medloupe_disk_free_bytes", "Free bytes where the home folder lies.")
    free.add_metric([], state.disk.free)
    total = GaugeMetricFamily("medloupe_disk_total_bytes", "All bytes there.")
    total.add_metric([], state.disk.total)
    pilot = GaugeMetricFamily("medloupe_pilot_running", "1 while answers are recorded and not shown.")
    pilot.add_metric([], float(board.service.pilot.running is not None))
    return [error, off, free, total, pilot]
