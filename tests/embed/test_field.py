"""Field views are embedded once, cached by picture, round and seed, and are the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny
from medloupe.data.scan import scan_dataset
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed
from medloupe.embed.field import embed_field
from medloupe.imaging.field.views import VIEW_KINDS
from medloupe.imaging.quality import MEASURES
from synthetic import folder, of_files


@pytest.fixture
def small(tmp_path: Path) -> Backbone:
    return tiny.backbone(tmp_path)


@pytest.fixture
def features(tmp_path: Path, small: Backbone, home: Path) -> Features:
    return embed(scan_dataset(of_files(folder(tmp_path / "pictures", 6))), small)


def test_views_are_made_once_and_are_the_same_each_time(features: Features, small: Backbone) -> None:
    rows, told = np.array([0, 2, 5]), []
    first = embed_field(features, rows, small, rounds=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
    assert first.rows.tolist() == [r for r in (0, 2, 5) for _ in range(2 * len(VIEW_KINDS))]
    assert first.kinds.tolist() == list(VIEW_KINDS) * 6
    assert first.embeddings.shape == (18, small.card.dimension) and np.isfinite(first.embeddings).all()
    assert first.measures.shape == (18, len(MEASURES))
    assert ((first.surfaces == "") == (first.kinds == "worn")).all()
    again = embed_field(features, rows, small, rounds=2, progress=lambda done, total: pytest.fail("made again"))
    for name in ("rows", "kinds", "severities", "surfaces", "embeddings", "measures"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_rounds_seeds_and_pictures_differ(features: Features, small: Backbone) -> None:
    one = embed_field(features, np.arange(6), small, rounds=2)
    straight = one.embeddings[one.kinds == "straight"]
    assert len(np.unique(straight.round(5), axis=0)) == 12
    other = embed_field(features, np.arange(6), small, rounds=2, seed=1)
    assert not np.allclose(one.embeddings, other.embeddings)
    direct = features.embeddings[one.rows[one.kinds == "whole"]]
    assert not np.allclose(one.embeddings[one.kinds == "whole"], direct)


def test_more_pictures_and_rounds_take_what_is_there(features: Features, small: Backbone) -> None:
    few = embed_field(features, np.array([1]), small, rounds=1)
    told: list[tuple[int, int]] = []
    more = embed_field(
        features, np.array([0, 1]), small, rounds=2, progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (3, 3)
    np.testing.assert_array_equal(more.embeddings[more.rows == 1][:3], few.embeddings)


def test_of_a_picture_that_is_gone_there_are_no_views(features: Features, small: Backbone) -> None:
    features.data.records[3].image.unlink()  # type: ignore[union-attr]
    found = embed_field(features, np.arange(6), small)
    assert sorted(set(found.rows.tolist())) == [0, 1, 2, 4, 5]
