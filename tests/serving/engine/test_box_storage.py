"""What the journal remembers of boxes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from medloupe.serving.engine.box_storage import LEAST, MOST, pack_boxes, restore_boxes

side = st.floats(0, 12_000, allow_nan=False, width=32)
box = st.builds(
    lambda label, score, sides: {"label": label, "score": score, **dict(zip("xywh", sides, strict=True))},
    st.sampled_from(["a", "b|c", ""]),
    st.floats(0, 1, allow_nan=False),
    st.tuples(side, side, side, side),
)


@given(st.lists(box, max_size=30), st.floats(0, 1))
def test_what_is_marked_stays_marked(boxes: list[dict], line: float) -> None:
    lines = {"a": line, "b|c": 0.5}
    boxes = sorted(boxes, key=lambda b: -b["score"])
    packed = json.loads(json.dumps(pack_boxes(boxes, lines)))
    back = restore_boxes({"boxes": packed, "lines": lines})["boxes"]
    wanted = [b for b in boxes if b["score"] >= min(LEAST, lines.get(b["label"], 1.0))]
    assert [b["label"] for b in back] == [b["label"] for b in wanted]
    for mine, theirs in zip(wanted, back, strict=True):
        assert abs(mine["score"] - theirs["score"]) <= 1e-4
        assert all(abs(mine[s] - theirs[s]) <= 0.051 for s in "xywh")
        at = lines.get(mine["label"], 2.0)
        assert (mine["score"] >= at) == (theirs["score"] >= at)


def test_at_most_so_many_and_it_is_said_how_many_are_not() -> None:
    boxes = [{"label": "cell", "score": 0.9, "x": float(i), "y": 2.25, "w": 3.0, "h": 4.0} for i in range(MOST + 7)]
    packed = pack_boxes(boxes, {"cell": 0.5})
    assert len(packed["rows"]) == MOST and packed["left_out"] == 7
    assert len(json.dumps(packed)) < 200_000
    assert restore_boxes({"boxes": packed})["boxes_left_out"] == 7


def test_other_answers_are_left_alone() -> None:
    answer = {"state": "clear", "probabilities": {"a": 0.1}}
    assert restore_boxes(answer) is answer
