"""Each thing found is cropped, asked about, and counted."""

import dataclasses
import time

import numpy as np
import pytest

from medloupe.imaging.picture import full_side
from medloupe.metrics.prevalence import ErrorRate
from medloupe.model.boxes import FoundBox
from medloupe.model.cells import MOST_CELLS
from medloupe.model.crops import CellQuestion, ask_cells, read_rates
from medloupe.model.decision import Decision

SIDE = 20
CARD = {
    "task": "multiclass",
    "labels": ["infected", "uninfected"],
    "roles": {
        "by": "told",
        "labels": {"infected": {"role": "sought", "danger": 1}, "uninfected": {"role": "normal"}},
        "ordered": False,
    },
    "per_label": [
        {
            "label": "infected",
            "operating_point": {
                "threshold": 0.5,
                "sensitivity": {"value": 0.95, "low": 0.93, "high": 0.97},
                "specificity": {"value": 0.97, "low": 0.965, "high": 0.975},
                "counts": {"with": {"n": 4000, "groups": 4000}, "without": {"n": 4000, "groups": 4000}},
            },
        }
    ],
}


class FarIfBlue:
    """Stands in for a novelty: an embedding is foreign where its first number says so, or too poor from `poor` on."""

    def __init__(self, poor=9.0):
        self.poor = poor

    def score(self, embedding):
        return embedding[:, 0]

    def are_usual(self, embedding):
        return embedding[:, 0] <= 0.6

    def too_poor(self, embedding):
        return embedding[:, 0] >= self.poor


def question(**more):
    asked = {
        "what": "cell",
        "line": 0.5,
        "margin": 0.0,
        "cut_out": False,
        "grey": False,
        "side": 400,
        "checkup": "red@1",
        "decision": Decision.from_card(CARD),
        "size": 8,
        "novelty": FarIfBlue(),
        "limits": None,
        "rates": read_rates(CARD),
    }
    return CellQuestion(**{**asked, **more})


def look(pixels):
    """Red is infected, blue is foreign."""
    middle = pixels[:, 3:5, 3:5].reshape(len(pixels), -1, 3).mean(1).astype(float)
    red = (middle[:, 0] - 128) / 20
    return np.stack([red, -red], 1).astype(np.float32), (middle[:, 2:] / 128).astype(np.float32)


def field(reds, whites, blues, across=20):
    """Draw things in rows; return the picture square, their boxes, width and height."""
    kinds = [(250, 30, 0)] * reds + [(30, 250, 0)] * whites + [(30, 30, 250)] * blues
    rows = -(-max(len(kinds), 1) // across)
    height, width = SIDE * rows, SIDE * across
    full = np.zeros((max(height, width),) * 2 + (3,), np.uint8)
    left, top = (len(full) - width) // 2, (len(full) - height) // 2
    boxes = []
    rng = np.random.default_rng(0)
    for i, colour in enumerate(kinds):
        x, y = i % across * SIDE, i // across * SIDE
        noise = rng.integers(-20, 20, (SIDE - 4, SIDE - 4, 1))
        full[top + y + 2 : top + y + SIDE - 2, left + x + 2 : left + x + SIDE - 2] = np.clip(colour + noise, 0, 255)
        boxes.append(FoundBox(label="cell", score=0.9, x=x + 2, y=y + 2, width=SIDE - 4, height=SIDE - 4))
    return full, boxes, width, height


def ask(reds, whites, blues=0, **more):
    full, boxes, width, height = field(reds, whites, blues)
    return ask_cells(full, boxes, width, height, question(**more), look)


def test_every_thing_is_asked_where_it_lies():
    asked = ask(3, 35, 2)
    assert (asked.found, asked.judged, asked.refused) == (40, 38, 2)
    assert [c.label for c in asked.cells] == ["infected"] * 3 + ["uninfected"] * 35 + [""] * 2
    assert [c.state for c in asked.cells] == ["flagged"] * 3 + ["clear"] * 35 + ["refused"] * 2
    told = asked.as_json()
    assert told["labels"] == {"infected": 3, "uninfected": 35}
    assert told["cells"][1].keys() == {"x", "y", "w", "h", "score", "state", "label", "probabilities"}


def test_others_and_unsure_boxes_are_not_asked_about():
    full, boxes, width, height = field(2, 2, 0)
    more = [FoundBox(label="other", score=0.9, x=0, y=0, width=9, height=9)]
    more += [FoundBox(label="cell", score=0.4, x=0, y=0, width=9, height=9)]
    assert ask_cells(full, [*boxes, *more], width, height, question(), look).found == 4


def test_a_field_with_many_infected_is_flagged_and_counted():
    asked = ask(40, 160)
    said = question().decision.decide_cells(asked)
    assert (said.state, said.flagged) == ("flagged", ("infected",))
    (estimate,) = asked.estimates
    assert estimate.low <= 40 <= estimate.high
    assert asked.shares()["infected"] == pytest.approx(estimate.count / 200)
    assert sum(asked.shares().values()) == pytest.approx(1)


def test_a_few_flags_that_mistakes_explain_are_unclear_and_it_is_said_why():
    said = question().decision.decide_cells(ask(2, 198))
    assert said.state == "unclear"
    assert not said.flagged
    assert said.why.code == "few_cells"
    assert "2 of 200 cell are flagged as infected" in said.why.text
    assert "by mistake" in said.why.text


def test_no_flags_are_clear_which_excludes_little():
    asked = ask(0, 200)
    assert question().decision.decide_cells(asked).state == "clear"
    assert asked.estimates[0].high >= 1


def test_where_too_many_are_foreign_nothing_is_said():
    said = question().decision.decide_cells(ask(20, 20, 25))
    assert (said.state, said.why.code, said.prediction) == ("refused", "cells_refused", "")
    assert "25 of 65" in said.why.text
    assert question().decision.decide_cells(ask(20, 20, 5)).state == "flagged"


def test_where_most_lie_at_the_edge_of_what_is_known_nothing_is_said_nor_estimated():
    edge = dataclasses.replace(ask(57, 235), unusual=90)
    said = question().decision.decide_cells(edge)
    assert (said.state, said.why.code, said.prediction) == ("refused", "cells_unusual", "")
    assert "90 of 292" in said.why.text
    assert question().decision.decide_cells(dataclasses.replace(edge, unusual=60)).state == "flagged"
    assert ask(2, 3, 5).unusual == 5
    bare = edge.without_estimates()
    assert [(e.flagged, e.n, e.count, e.certain) for e in bare.estimates] == [(57, 292, None, False)]


def test_of_things_that_show_too_little_nothing_is_said():
    asked = ask(3, 5, 2, novelty=FarIfBlue(poor=-1.0))
    assert [c.state for c in asked.cells] == ["unusable"] * 8 + ["refused"] * 2  # foreign first
    assert asked.judged == 0


def test_a_field_without_things_is_unclear():
    said = question().decision.decide_cells(ask(0, 0))
    assert (said.state, said.why.code) == ("unclear", "no_cells")


def test_without_known_errors_nothing_is_estimated_or_flagged():
    asked = ask(40, 60, rates={})
    assert asked.estimates[0].count is None
    assert question().decision.decide_cells(asked).state == "unclear"


def test_figures_of_another_line_are_not_taken():
    row = CARD["per_label"][0]
    other = {**CARD, "per_label": [{**row, "operating_point": {**row["operating_point"], "threshold": 0.9}}]}
    assert read_rates(other) == {}  # it is flagged from .5 on, where it is the most probable
    assert isinstance(read_rates(CARD)["infected"][0], ErrorRate)


def test_a_margin_shows_what_lies_around_and_a_cut_out_hides_it():
    full, boxes, width, height = field(1, 0, 0, across=1)
    full[:2] = full[-2:] = 200
    seen = []

    def keep(pixels):
        seen.append(pixels.copy())
        return look(pixels)

    for margin, cut_out in ((0.0, False), (0.15, False), (0.15, True)):
        ask_cells(full, boxes, width, height, question(margin=margin, cut_out=cut_out, size=20), keep)
    tight, wide, cut = (s[0] for s in seen)
    assert tight[0, 10, 0] > 230
    assert wide[0, 10].tolist() != tight[0, 10].tolist()
    assert not cut[0, 0].any()
    assert cut[10, 10, 0] > 230


def test_crops_are_made_like_the_pictures_that_the_check_up_learned_from():
    full, boxes, width, height = field(1, 0, 0, across=1)
    full[2:18:2] //= 3  # stripes of one pixel
    seen = []

    def keep(pixels):
        seen.append(pixels[0].astype(int))
        return look(pixels)

    for more in ({}, {"grey": True}, {"side": 4}):
        ask_cells(full, boxes, width, height, question(size=16, **more), keep)
    plain, grey, small = seen
    assert np.ptp(plain, axis=2).max() > 100
    assert np.ptp(grey, axis=2).max() == 0
    assert np.abs(np.diff(small[:, 8, 0])).max() < np.abs(np.diff(plain[:, 8, 0])).max() / 2  # stripes are gone


def test_a_box_at_the_edge_is_cut_off_there():
    full, _, width, height = field(1, 0, 0, across=2)
    boxes = [FoundBox(label="cell", score=0.9, x=-5, y=-5, width=1, height=1)]
    boxes += [FoundBox(label="cell", score=0.9, x=width - 1, y=height - 1, width=30, height=30)]
    assert ask_cells(full, boxes, width, height, question(margin=1.0), look).found == 2


def test_more_than_can_be_asked_are_chosen_by_chance_and_memory_is_bounded():
    full, boxes, width, height = field(100, 4900, 0, across=100)
    sizes = []

    def count(pixels):
        sizes.append(len(pixels))
        return look(pixels)

    began = time.process_time()
    asked = ask_cells(full, boxes, width, height, question(novelty=None), count)
    assert (asked.found, len(asked.cells)) == (5000, MOST_CELLS)
    assert 50 < sum(c.label == "infected" for c in asked.cells) < 100  # of both kinds, not the first ones
    assert max(sizes) <= 16
    assert time.process_time() - began < 60


def test_a_picture_is_cropped_at_its_own_size_up_to_a_limit():
    assert full_side(1600, 1200) == 1600
    assert full_side(12_000, 3000) == 4096
