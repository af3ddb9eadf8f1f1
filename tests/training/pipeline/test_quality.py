"""Limits of good pictures, learned from a check-up's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import synthetic
from medloupe.data.records import Record
from medloupe.imaging import corruptions
from medloupe.imaging.quality import MEASURES, Limits, Measures, find_fault
from medloupe.store.models import Store
from medloupe.training.pipeline import quality
from medloupe.training.pipeline.quality import (
    FEWEST,
    MOST_STOPPED,
    are_stopped,
    describe_quality,
    fit_limits,
    loosen_limits,
    measure_records,
)
from trained import Trained


def picture(number: int, size: int = 224) -> np.ndarray:
    """One without white patches of its own."""
    return corruptions.change_exposure(synthetic.radiograph(number, size), 0.8)


def records(numbers: range, size: int = 224) -> list[Record]:
    return [Record(id=f"{i}", image=picture(i, size)) for i in numbers]


@pytest.fixture(scope="module")
def learned() -> Limits:
    own = records(range(160))
    entry = describe_quality(own, np.arange(160), 224, 0)
    assert entry["n"] == 160 and entry["stopped"]["value"] <= MOST_STOPPED
    found = Limits.from_json(entry)
    assert found is not None
    return found


def test_hardly_any_good_picture_that_was_not_seen_is_stopped(learned: Limits) -> None:
    others = measure_records(records(range(1000, 1150)), 224)
    assert are_stopped(others, learned).mean() <= MOST_STOPPED


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (lambda p, r: corruptions.change_exposure(p, 0.15), {"too_dark"}),
        (lambda p, r: corruptions.change_exposure(p, 3.0), {"too_bright", "glare"}),
        (lambda p, r: corruptions.lower_contrast(p, 0.15), {"too_bright", "too_dark"}),
        (lambda p, r: corruptions.blur(p, 0.03), {"blurred"}),
        (lambda p, r: corruptions.add_glare(p, 0.16, r), {"glare", "too_bright"}),
        (lambda p, r: corruptions.lower_resolution(p, 0.2), {"too_small"}),
    ],
)
def test_spoilt_pictures_are_stopped_and_told_why(
    learned: Limits, change: Callable[..., np.ndarray], codes: set[str]
) -> None:
    rng = np.random.default_rng(0)
    spoilt = [Record(id="s", image=change(picture(i), rng)) for i in range(1000, 1030)]
    rows = measure_records(spoilt, 224).tolist()
    faults = [find_fault(Measures(**dict(zip(MEASURES, row, strict=True))), learned) for row in rows]
    told = [fault.code for fault in faults if fault is not None]
    # Limits leave room for other devices, so some that are only half spoilt pass.
    assert len(told) >= 0.8 * len(faults) and set(told) <= codes


def test_few_pictures_give_no_limits() -> None:
    entry = describe_quality(records(range(FEWEST - 1)), np.arange(FEWEST - 1), 224, 0)
    assert entry["limits"] == {} and entry["stopped"] is None and "too few" in entry["words"]
    assert Limits.from_json(entry) is None
    values = np.random.default_rng(0).uniform(0.2, 0.3, (200, len(MEASURES)))
    assert fit_limits(values, np.zeros(200, int), 0)["limits"] == {}, "all of one patient"


@pytest.mark.parametrize("n", [60, 150, 1200])
def test_the_share_stopped_holds_for_any_spread(n: int) -> None:
    """Heavy tails, as pictures of many sources have them; measured on a thousand others."""
    shares = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        drawn = np.column_stack([rng.lognormal(5, rng.uniform(0.1, 0.5), n + 1000) for _ in MEASURES])
        entry = fit_limits(drawn[:n], np.arange(n), seed)
        limits = Limits.from_json(entry)
        shares.append(0.0 if limits is None else float(are_stopped(drawn[n:], limits).mean()))
    assert np.mean(shares) <= MOST_STOPPED, shares


def test_unreadable_pictures_and_unknown_measures_are_left_out(tmp_path: Path) -> None:
    own = [*records(range(60)), Record(id="gone", image=tmp_path / "gone.png")]
    values = measure_records(own, 224)
    assert np.isnan(values[-1]).all() and not np.isnan(values[:-1]).all(1).any()
    small = records(range(60), 80)
    entry = describe_quality(small, np.arange(60), 224, 0)
    assert "blur" not in entry["limits"] and "blur_small" in entry["limits"], "sharpness at sizes that they have"


def test_the_same_pictures_give_the_same_limits() -> None:
    own, groups = records(range(70)), np.arange(70) // 2
    assert describe_quality(own, groups, 224, 3) == describe_quality(own, groups, 224, 3)


def test_what_was_measured_before_is_not_decoded_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    real = quality.measure_records

    def counting(taken: Sequence[Record], size: int) -> np.ndarray:
        decoded.append(len(taken))
        return real(taken, size)

    monkeypatch.setattr(quality, "measure_records", counting)
    own, groups = records(range(70)), np.arange(70)
    digests = [hashlib.sha256(f"{i}".encode()).digest() for i in range(70)]
    plain = real(own, 224)
    first = describe_quality(own[:60], groups[:60], 224, 3, digests[:60])
    assert first == fit_limits(plain[:60], groups[:60], 3)
    assert describe_quality(own, groups, 224, 3, digests) == fit_limits(plain, groups, 3)
    assert decoded == [60, 10], "more pictures cost only themselves"
    (kept,) = (home / "cache" / "measures").iterdir()
    kept.write_bytes(kept.read_bytes()[:-99])
    assert describe_quality(own, groups, 224, 3, digests) == fit_limits(plain, groups, 3)
    assert decoded == [60, 10, 70], "what is spoilt is measured anew"
    describe_quality(own[: FEWEST - 1], groups[: FEWEST - 1], 224, 3)
    assert len(decoded) == 3, "too few to learn from are not decoded"


def test_a_training_writes_it_into_the_card(trained: Trained) -> None:
    card = Store(trained.home).get("spots").card
    assert card["quality"]["n"] == 32 and "too few" in card["quality"]["words"]
    assert card["leads"] is None, "which is of ECGs"


def test_limits_are_loosened_to_where_photographs_lie_and_never_drawn_tighter() -> None:
    rng = np.random.default_rng(0)
    taken = np.full((1000, len(MEASURES)), np.nan)
    taken[:, MEASURES.index("blur")] = rng.uniform(0.2, 0.7, 1000)  # above the limit of direct pictures
    taken[:, MEASURES.index("highlights")] = rng.uniform(60, 250, 1000)  # darker than they are
    taken[:, MEASURES.index("white")] = rng.uniform(0, 0.1, 1000)  # well within
    taken[:, MEASURES.index("frame")] = 1.0  # all of the frame is bright: then that tells nothing
    limits = {"blur": 0.5, "highlights": 90.0, "white": 0.3, "frame": 0.6, "shadows": 120.0}
    found = loosen_limits(limits, taken)
    assert 0.66 < found["blur"] < 0.7 and 60 < found["highlights"] < 66
    assert found["white"] == 0.3 and found["shadows"] == 120.0
    assert "frame" not in found
    assert are_stopped(np.nan_to_num(taken, nan=100.0), Limits(values=found)).mean() < 0.03
