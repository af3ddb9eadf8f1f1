from pathlib import Path

import numpy as np
import pytest

from medloupe.data.records import Box, Dataset, Record
from medloupe.errors import DataError
from medloupe.training.detect.boxed import allow_views, choose_input_size, collect_boxes, plan_boxes
from medloupe.training.detect.targets import draw_targets
from medloupe.training.tune.views import Symmetry


def dataset(records, labels=("a", "b")):
    return Dataset(name="d", root=Path("d"), records=tuple(records), labels=labels, task="detection", reader="x")


def record(i, *boxes, **more):
    labels = {n: int(n in {b.label for b in boxes}) for n in ("a", "b")} if boxes else {}
    return Record(id=str(i), image=np.zeros((8, 8), np.uint8), boxes=boxes, **{"labels": labels, **more})


def test_boxes_without_size_or_outside_are_left_out_and_told():
    data = dataset(
        [
            record(
                0, Box("a", 10, 10, 0, 5), Box("a", 200, 10, 5, 5), Box("b", -10, 20, 30, 40), Box("b", 90, 90, 30, 30)
            )
        ]
    )
    boxed = collect_boxes(data, np.array([[100, 100]]))
    np.testing.assert_array_equal(boxed.pictures[0].boxes, [[0, 20, 20, 60], [90, 90, 100, 100]])
    assert [n.split(" boxes ")[0] for n in boxed.notes] == ["1", "1"]


def test_a_picture_without_boxes_counts_only_where_the_data_say_that_nothing_is_there():
    nothing = record(2, labels={"a": 0, "b": 0})
    boxed = collect_boxes(dataset([record(0, Box("a", 1, 1, 5, 5)), record(1), nothing]), np.full((3, 2), 100))
    assert boxed.known.tolist() == [True, False, True]
    assert "1 pictures have no box" in boxed.notes[0]


@pytest.mark.parametrize(
    ("side", "given", "wanted", "stride"),
    [
        (50, 300, 224, 8),
        (12, 300, 256, 4),
        (5, 300, 320, 4),
        (10, 3000, 640, 4),
        (300, 3000, 224, 8),
        (3, 100, 224, 4),
        (15, 224, 288, 8),
        (11, 224, 224, 4),
    ],
)
def test_the_size_and_the_stride_follow_the_boxes(side, given, wanted, stride):
    records = [record(i, Box("a", 1, 1, side, side)) for i in range(20)]
    boxed = collect_boxes(dataset(records), np.full((20, 2), given))
    size, chosen, why = choose_input_size(boxed, ("a", "b"))
    assert (size, chosen) == (wanted, stride)
    assert str(wanted) in why


def test_a_test_split_that_lacks_a_label_does_not_judge():
    records = [record(i, Box("a", 1, 1, 5, 5), split="test" if i < 40 else "train") for i in range(80)]
    both = [record(100 + i, Box("b", 1, 1, 5, 5), split="train") for i in range(20)]
    data = dataset([*records, *both])
    n = len(data)
    planned = plan_boxes(data, np.arange(n), np.ones(n, bool))
    assert planned.test is None
    assert len(planned.fitting) == n
    assert "no cases of b" in planned.notes[0]


def test_no_group_is_in_fitting_and_test():
    records = [record(i, Box("a", 1, 1, 5, 5), split="test" if i < 40 else "train") for i in range(80)]
    data = dataset(records, labels=("a",))
    groups = np.arange(80)
    groups[40] = 0
    planned = plan_boxes(data, groups, np.ones(80, bool))
    assert planned.test is not None
    assert len(planned.test) == 40
    assert planned.leaking.tolist() == [40]
    assert not set(groups[planned.fitting]) & set(groups[planned.test])


def test_one_picture_cannot_teach_and_judge():
    data = dataset([record(0, Box("a", 1, 1, 5, 5)), record(1, Box("a", 1, 1, 5, 5))])
    with pytest.raises(DataError, match="too few pictures"):
        plan_boxes(data, np.zeros(2, int), np.ones(2, bool))


@pytest.mark.parametrize(
    ("spread", "names", "mirror", "turn"),
    [(0.5, ("a", "b"), True, True), (0.1, ("a", "b"), True, False), (0.5, ("left lung", "b"), False, False)],
)
def test_pictures_are_turned_where_boxes_lie_anywhere(spread, names, mirror, turn):
    rng = np.random.default_rng(0)
    places = 500 + 900 * rng.uniform(-spread, spread, (200, 2))
    records = [record(i, Box("a", x, y, *rng.uniform(20, 30, 2))) for i, (x, y) in enumerate(places)]
    boxed = collect_boxes(dataset(records), np.full((200, 2), 1024))
    allowed = allow_views(boxed, names, Symmetry(mirror=False, turn=False))
    assert (allowed.mirror, allowed.turn) == (mirror, turn)


def test_thousands_of_boxes_are_collected_and_a_detector_gives_at_most_a_thousand():
    rng = np.random.default_rng(0)
    many = [Box("a", x, y, 8, 8) for x, y in rng.uniform(0, 900, (4000, 2))]
    boxed = collect_boxes(dataset([record(0, *many), record(1, Box("b", 3, 3, 1, 1))]), np.full((2, 2), 908))
    assert len(boxed.pictures[0].boxes) == 4000
    assert boxed.most == 1000
    drawn = draw_targets(boxed.pictures[0].boxes / 4, boxed.pictures[0].labels, 2, 224, 4)
    assert np.isfinite(drawn.heat).all()
    assert np.isfinite(drawn.weight).all()
