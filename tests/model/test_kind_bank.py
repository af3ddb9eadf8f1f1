"""What is known of kinds of pictures: whose kind is whose, and what stands for the others."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.embed.registry import backbone
from medloupe.model.contrast import LOST
from medloupe.model.gaussian import Gaussian
from medloupe.model.kind_bank import KindBank, KnownSet
from medloupe.starter.kind_bank import FILE, load_kind_bank
from medloupe.training.heads.contrast import draw_contrast

WIDTH = 64


def around(centre: int, count: int, seed: int) -> np.ndarray:
    """Points about one corner of a simplex."""
    rng = np.random.default_rng(seed)
    return (np.eye(WIDTH)[centre] + rng.normal(0, 0.1, (count, WIDTH))).astype(np.float32)


def known(name: str, kind: str, centre: int, *, anything: bool = False) -> KnownSet:
    z = around(centre, 300, centre)
    fitted = Gaussian.fit(z, 4)
    limit = float(np.quantile(fitted.distance(z), 0.97))
    return KnownSet(name=name, kind=kind, anything=anything, pictures=300, gaussian=fitted, limit=limit)


@pytest.fixture
def bank() -> KindBank:
    drawn = known("drawn", "drawn", 3, anything=True)
    return KindBank(sets=(known("a", "chest", 0), known("b", "chest", 1), known("c", "eye", 2), drawn))


def test_its_own_kind_is_found_by_any_set_of_it(bank: KindBank) -> None:
    assert bank.kinds == ("chest", "eye", "drawn")
    assert bank.name_own(around(1, 50, 9), None) == ("chest",)
    assert bank.name_own(around(2, 50, 9), None) == ("eye",)
    assert bank.name_own(around(7, 50, 9), None) == ()


def test_what_is_told_counts_alone_where_it_is_known(bank: KindBank) -> None:
    assert bank.name_own(around(1, 50, 9), None, "Eye ") == ("eye",)
    assert bank.name_own(around(1, 50, 9), None, "left foot") == ("chest",)


def test_a_set_of_anything_is_never_its_own_unless_told(bank: KindBank) -> None:
    assert bank.name_own(around(3, 50, 9), None) == ()
    assert bank.name_own(around(3, 50, 9), None, "drawn") == ("drawn",)


def test_what_is_drawn_lies_where_the_others_lie(bank: KindBank) -> None:
    drawn = bank.draw_others(("chest",), 40)
    assert drawn.shape == (80, WIDTH) and drawn.dtype == np.float32
    assert np.allclose(drawn[:40].mean(0), np.eye(WIDTH)[2], atol=0.1)
    assert len(bank.draw_others(bank.kinds, 40)) == 0
    spread = np.linalg.norm(drawn[:40] - drawn[:40].mean(0), axis=1).mean()
    real = np.linalg.norm(around(2, 40, 5) - np.eye(WIDTH)[2], axis=1).mean()
    assert spread == pytest.approx(real, rel=0.15), "as far apart as pictures are"


def test_a_boundary_drawn_by_what_is_known_refuses_real_ones_and_keeps_its_own(bank: KindBank) -> None:
    own, groups = around(0, 120, 11), np.repeat(np.arange(40), 3)
    contrast, beyond = draw_contrast(own, groups, bank.draw_others(("chest",), 200))
    assert beyond.mean() <= LOST + 1 / len(own)
    assert (contrast.side(around(0, 200, 12)) > 0).mean() > 0.95
    for centre in (2, 3):
        assert (contrast.side(around(centre, 200, 13)) <= 0).mean() > 0.99


def test_a_large_set_is_drawn_by_some_of_its_groups() -> None:
    own, groups = around(0, 6000, 11), np.arange(6000) // 2
    contrast, beyond = draw_contrast(own, groups, around(2, 300, 5))
    assert beyond.shape == (6000,) and (contrast.side(around(2, 100, 6)) <= 0).all()


def test_what_ships_is_small_statistics_of_many_pictures() -> None:
    network = backbone()
    bank = load_kind_bank(network.sha256, network.card.levels)
    assert bank is not None and FILE.stat().st_size < 500_000
    assert {"chest X-ray", "fundus", "blood cell", "brain MRI", "everyday photograph"} <= set(bank.kinds)
    for one in bank.sets:
        assert one.pictures >= 30 and len(one.gaussian.spread) <= max(1, one.pictures // 60), one.name
    assert load_kind_bank("0" * 64, network.card.levels) is None
    assert load_kind_bank(network.sha256, (7, 7)) is None
