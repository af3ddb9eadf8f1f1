"""What photographs are too poor is learned from hard views, and only where answers on them are worse."""

from __future__ import annotations

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.imaging.quality import MEASURES
from medloupe.model.legibility import Legibility
from medloupe.model.sketch import sketch
from medloupe.training.heads.field import FieldFit
from medloupe.training.heads.legibility import WITHHELD, fit_legibility

N, D = 300, 48
LEVELS = (16, 32)


def embeddings(n: int, fault: float, seed: int) -> np.ndarray:
    """Positive numbers; a fault shows in some of them."""
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, 1, (n, D))
    x[:, 4:8] *= 1 + fault
    return x.astype(np.float32)


def field_of(seed: int = 0) -> tuple[np.ndarray, FieldFit]:
    rng = np.random.default_rng(seed)
    severities = rng.choice(["mild", "medium", "hard"], 2 * N)
    fault = np.select([severities == "mild", severities == "medium"], [0.3, 1.0], 6.0)
    made = np.concatenate([embeddings(1, f, 100 * seed + i) for i, f in enumerate(fault)])
    views = FieldFeatures(
        rows=np.repeat(np.arange(N), 2),
        kinds=np.tile(np.array(["whole", "straight"]), N),
        severities=severities,
        surfaces=np.full(2 * N, "film"),
        embeddings=made,
        measures=np.zeros((2 * N, len(MEASURES))),
    )
    p = np.full((2 * N, 2), 0.5, np.float32)
    return embeddings(N, 0, 7), FieldFit(views=views, weight=1, freer=1, candidates=(), out_of_fold=p, untaught=p)


def test_hard_photographs_are_withheld_and_few_others() -> None:
    direct, field = field_of()
    hard = field.views.severities == "hard"
    wrong = np.random.default_rng(1).random(2 * N) < np.where(hard, 0.5, 0.1)
    found = fit_legibility(direct, np.zeros(N, bool), field, wrong, np.arange(N) // 3, LEVELS, 0)
    assert found.legibility is not None
    assert found.direct.mean() <= WITHHELD["direct"] + 0.01
    for severity in ("mild", "medium"):
        assert found.views[field.views.severities == severity].mean() <= WITHHELD[severity] + 0.01
    assert found.views[hard].mean() > 0.8
    # on others, too
    _, others = field_of(3)
    poor = found.legibility.score(sketch(others.views.embeddings, LEVELS)) > 0
    assert poor[others.views.severities == "hard"].mean() > 0.8
    assert poor[others.views.severities == "mild"].mean() < 0.1


def test_nothing_is_withheld_where_answers_hold() -> None:
    direct, field = field_of()
    wrong = np.random.default_rng(1).random(2 * N) < 0.1
    own = np.random.default_rng(2).random(N) < 0.1
    found = fit_legibility(direct, own, field, wrong, np.arange(N), LEVELS, 0)
    assert found.legibility is None
    assert not found.direct.any() and not found.views.any()


def test_it_is_kept_as_it_was() -> None:
    made = Legibility(weight=np.arange(48, dtype=np.float32), bias=-3.5)
    again = Legibility.from_array(made.as_array(), 48)
    z = np.random.default_rng(0).normal(size=(5, 48)).astype(np.float32)
    assert np.array_equal(made.score(z), again.score(z))
