"""Networks learn from views only where that costs direct pictures nothing, as one fold tells that neither saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.imaging.quality import MEASURES
from medloupe.training.tune.jobfolder import FinishedJob
from medloupe.training.tune.share import SHARE, choose_share

N, U, LOWER = 240, 6, 4
GROUPS = np.arange(N) // 2
TRUE = np.random.default_rng(5).integers(0, 2, N // 2).repeat(2)
Y = np.eye(2, dtype=np.float32)[TRUE]
OWN = GROUPS % 3 == 0
BASE = np.random.default_rng(9).normal(0, 1, (N, U + LOWER)).astype(np.float32)
VIEWS = FieldFeatures(
    rows=np.repeat(np.arange(N), 2),
    kinds=np.tile(np.array(["whole", "straight"]), N),
    severities=np.tile(np.array(["mild", "medium"]), N),
    surfaces=np.full(2 * N, "screen"),
    embeddings=np.random.default_rng(8).normal(0, 1, (2 * N, U + LOWER)).astype(np.float32),
    measures=np.zeros((2 * N, len(MEASURES))),
)


def job(seed: int, *, direct: float, seen: float) -> FinishedJob:
    """A network that shows the class so strongly in direct pictures and in views, these drawn by the seed."""
    side = (2 * TRUE - 1).astype(np.float32)
    x, views = np.random.default_rng(7).normal(0, 1, (N, U)), np.random.default_rng(seed).normal(0, 1, (2 * N, U))
    x[:, 0] += direct * side
    views[:, 0] += seen * side[VIEWS.rows]
    return FinishedJob(
        name="x",
        embeddings={1.0: x.astype(np.float32)},
        field={1.0: views.astype(np.float16)},
        weights={},
        head=(np.zeros((2, U)), np.zeros(2)),
        history=[],
        seconds=1.0,
        images=1,
        stopped=1,
    )


def choose(direct: FinishedJob, both: FinishedJob, rows: np.ndarray | None = None):
    some = np.arange(N) if rows is None else rows
    return choose_share(direct, both, BASE, VIEWS, some, OWN[some], Y, GROUPS, task="multiclass", levels=(U, LOWER))


def test_a_network_that_reads_views_as_well_is_taken() -> None:
    found = choose(job(1, direct=1.5, seen=0.0), job(2, direct=1.5, seen=1.5))
    assert found.share == SHARE
    first, _, both = found.candidates
    assert first.lost == 0 and both.field < first.field


def test_one_that_reads_direct_pictures_worse_is_not() -> None:
    found = choose(job(1, direct=2.5, seen=0.0), job(2, direct=0.3, seen=2.5))
    assert found.share == 0
    assert found.candidates[2].auc_lost > found.candidates[2].auc_error
    assert found.as_json()["tried"][2]["auc_lost"] > 0.05


def test_one_that_reads_views_no_better_than_a_head_can_is_not() -> None:
    assert choose(job(1, direct=1.5, seen=2.0), job(2, direct=1.5, seen=0.2)).share == 0


def test_rows_that_may_not_be_learned_from_take_no_part() -> None:
    """A test split's rows and views may hold anything."""
    rows = np.flatnonzero(GROUPS < 90)
    first, second = job(1, direct=1.5, seen=0.0), job(2, direct=1.5, seen=1.5)
    spoilt = [
        replace(
            each,
            embeddings={1.0: np.where((GROUPS < 90)[:, None], each.embeddings[1.0], 1e3).astype(np.float32)},
            field={1.0: np.where((GROUPS < 90)[VIEWS.rows][:, None], each.field[1.0], 1e3).astype(np.float16)},
        )
        for each in (first, second)
    ]
    assert choose(first, second, rows).as_json() == choose(spoilt[0], spoilt[1], rows).as_json()
