"""What reaches the cut is kept of every view, once; by it tuned networks see views without a photograph made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tunable
from medloupe.embed import field_cuts
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field import embed_field
from medloupe.embed.field_cuts import embed_field_cuts, embed_field_tuned, read_cuts
from medloupe.embed.tail import extract_upper_part, load_graph, write_tail
from medloupe.errors import StoreError
from othertails import tuned as moved

ROWS = np.array([0, 3, 4])


@pytest.fixture
def network(tmp_path: Path) -> Backbone:
    return tunable.backbone(tmp_path / "backbone")


@pytest.fixture
def features(network: Backbone, home: Path) -> Features:
    return tunable.features(network, 6)


def test_the_upper_stages_make_of_it_what_the_network_makes_of_the_view(
    features: Features, network: Backbone, tmp_path: Path
) -> None:
    plain = embed_field(features, ROWS, network, rounds=2)
    views, cuts = embed_field_cuts(features, ROWS, network, rounds=2)
    np.testing.assert_array_equal(views.embeddings, plain.embeddings)
    assert cuts.shape == (3 * 2 * 3, *tunable.CUT[1:], tunable.CUT[0])
    assert np.array_equal(cuts.rows, views.rows) and np.array_equal(cuts.hard, views.severities == "hard")
    still = write_tail(extract_upper_part(load_graph(network)), tmp_path / "still")
    same = embed_field_tuned(views, cuts, still)
    np.testing.assert_allclose(same.embeddings, views.embeddings, atol=0.02)  # of half precision
    assert np.array_equal(same.shared, views.embeddings)
    other = embed_field_tuned(
        views, cuts, write_tail(moved(extract_upper_part(load_graph(network)), spread=0.5), tmp_path)
    )
    assert np.abs(other.embeddings[:, : tunable.UPPER] - views.embeddings[:, : tunable.UPPER]).max() > 0.1
    np.testing.assert_array_equal(other.embeddings[:, tunable.UPPER :], views.embeddings[:, tunable.UPPER :])
    part = other.within(np.array([4]))
    np.testing.assert_array_equal(part.shared, views.embeddings[views.rows == 4])


def test_views_are_made_once_and_those_that_a_kill_left_out_are_made_then(
    features: Features, network: Backbone
) -> None:
    views, cuts = embed_field_cuts(features, ROWS, network)
    before = read_cuts(cuts.open(), cuts.places)
    embed_field_cuts(features, ROWS, network, progress=lambda done, total: pytest.fail("made again"))
    done = cuts.path.parent / "done.u1"
    marks = np.fromfile(done, np.uint8)
    marks[4] = 0  # of the second picture
    marks.tofile(done)
    told: list[tuple[int, int]] = []
    again, second = embed_field_cuts(features, ROWS, network, progress=lambda *at: told.append(at))
    assert told == [(1, 1)]
    np.testing.assert_array_equal(read_cuts(second.open(), second.places), before)
    np.testing.assert_array_equal(again.embeddings, views.embeddings)


def test_of_a_picture_that_is_gone_there_are_no_views(features: Features, network: Backbone, tmp_path: Path) -> None:
    lost = features.data.records[3]
    object.__setattr__(lost, "image", tmp_path / "nowhere.png")
    views, cuts = embed_field_cuts(features, ROWS, network)
    assert set(views.rows.tolist()) == {0, 4}
    assert cuts.places.tolist() == [0, 1, 2, 6, 7, 8]


def test_a_full_disk_is_said(features: Features, network: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(field_cuts, "map_array", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        embed_field_cuts(features, ROWS, network)
    assert "--home" in caught.value.hint
