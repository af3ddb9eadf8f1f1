"""Picture and inputs are judged together, on patients that neither has seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from medloupe.data.split import Plan, plan_split
from medloupe.embed.features import Features
from medloupe.metrics.tables import headline
from medloupe.training.fusion.ablation import WeighedVerdict, weigh_inputs
from medloupe.training.fusion.choose import choose_inputs
from medloupe.training.fusion.contributions import ALL, IMAGE, NOTES, NOTHING, TABLE, WITH_NOTES, WITH_TABLE
from medloupe.training.fusion.examples import KINDS, pick_influence_examples
from medloupe.training.heads.verdict import Verdict, judge
from weighed import D, Patients, asked, patients


def judged(
    found: Patients, *columns: str, notes: str | None = None, **changes
) -> tuple[Features, Plan, Verdict, WeighedVerdict]:
    features = found.features(**changes)
    planned = plan_split(features.data, found.groups)
    verdict = judge(features, planned, levels=(D,), seed=0, sensitivity=0.9)
    inputs = choose_inputs(features.data, planned.fitting, planned.groups, asked(*columns, notes=notes))
    return features, planned, verdict, weigh_inputs(features, planned, verdict, inputs, seed=0, sensitivity=0.9)


def test_figures_are_those_of_picture_and_inputs() -> None:
    _, _, verdict, weighed = judged(patients(300), "age", "noise", notes="notes")
    assert weighed.extras is not None and weighed.shown is not None
    assert weighed.extras.names == ("age", "notes")
    now, before = (headline(v.judged)["auc"]["value"] or 0 for v in (weighed.verdict, verdict))
    assert now > before + 0.03
    rows = {r["name"]: r for r in weighed.facts["fusion"]}
    assert list(rows) == [IMAGE, TABLE, NOTES, WITH_TABLE, WITH_NOTES, ALL, NOTHING]
    assert rows[ALL]["auc"]["value"] == pytest.approx(now, abs=1e-6)
    assert rows[IMAGE]["auc"]["value"] == pytest.approx(before, abs=1e-6)
    assert rows[NOTHING]["over_image"]["value"] == 0
    assert weighed.facts["unused"] == ["noise"]
    assert "With age and notes the AUC is" in weighed.facts["words"]
    assert [f["name"] for f in weighed.facts["fields"]] == ["age", "notes"]
    json.dumps(weighed.facts, allow_nan=False)
    np.testing.assert_array_equal(weighed.shown.systems[NOTHING], verdict.judged.probabilities)
    assert weighed.verdict.head is verdict.head, "the picture's part of the model stays as it is"
    assert (weighed.verdict.limits != verdict.limits).any()


def test_where_nothing_helps_the_verdict_stays() -> None:
    _, _, verdict, weighed = judged(patients(300, seed=2), "noise", "sex")
    assert weighed.extras is None and weighed.verdict is verdict
    assert weighed.facts["fields"] == [] and "add nothing to the image" in weighed.facts["words"]
    assert [r["name"] for r in weighed.facts["fusion"]] == [IMAGE, TABLE]


def test_inputs_that_cannot_be_used_are_said() -> None:
    found = patients(120)
    features, planned, verdict, weighed = judged(found, "sex", notes=None)
    del features, planned
    assert weighed.verdict is verdict
    empty = Patients(
        embeddings=found.embeddings,
        targets=found.targets,
        groups=found.groups,
        rows=({"sex": "M"},) * 120,
        task=found.task,
    )
    _, _, verdict, weighed = judged(empty, "sex")
    assert weighed.verdict is verdict and weighed.shown is None and weighed.extras is None
    assert "None of the inputs asked for can be used" in weighed.facts["words"]
    assert weighed.facts["columns_left_out"] == [{"name": "sex", "why": "it is the same everywhere"}]


def test_the_official_test_split_is_answered_by_what_saw_none_of_it() -> None:
    found = patients(400)
    # in the test split age means the opposite: whoever learned from it would do well there
    rows = tuple(
        {**r, "age": str(100 - float(r["age"]))} if i >= 250 and "age" in r else r for i, r in enumerate(found.rows)
    )
    turned = Patients(
        embeddings=found.embeddings, targets=found.targets, groups=found.groups, rows=rows, task=found.task
    )
    split = ["train"] * 250 + ["test"] * 150
    for patients_of, better in ((found, True), (turned, False)):
        _, planned, verdict, weighed = judged(patients_of, "age", split=split)
        assert planned.test is not None and verdict.on_fitting is not None and weighed.shown is not None
        np.testing.assert_array_equal(weighed.shown.rows, planned.test)
        rows_of = {r["name"]: r for r in weighed.facts["fusion"]}
        if better:
            assert weighed.verdict.judged.probabilities.shape == (1, 150, 2)
            assert weighed.verdict.secondary is not None and weighed.verdict.leaky is None
            assert rows_of[ALL]["over_image"]["value"] > 0.02
        else:
            assert rows_of[TABLE]["auc"]["value"] < 0.4
    assert better is False


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_several_labels(task: str) -> None:
    features, _, _, weighed = judged(patients(200, k=3, task=task), "age", notes="notes")
    assert weighed.extras is not None and weighed.shown is not None
    assert weighed.extras.weight.shape[0] == 3
    assert weighed.verdict.judged.task == task
    inputs = choose_inputs(features.data, np.arange(200), np.arange(200), asked("age", notes="notes"))
    shown = pick_influence_examples(features, weighed.shown, inputs)
    assert [m["kind"] for m in shown] == list(KINDS)
    toward, away, _ = shown
    assert toward["after"] > toward["before"] and away["after"] < away["before"]
    assert all(m["separate"] == (task == "multilabel") for m in shown)


def test_effects_are_what_the_answer_moved_by() -> None:
    features, _, _, weighed = judged(patients(200), "age", notes="notes")
    shown = weighed.shown
    assert shown is not None and shown.effects.shape == (200, 2, 2)
    before, after = (np.log(shown.systems[s][0]) for s in (IMAGE, ALL))
    change = (after - before)[:, 1] - (after - before)[:, 0]
    added = shown.effects.sum(1)
    np.testing.assert_allclose(change, added[:, 1] - added[:, 0], atol=1e-3)
    inputs = choose_inputs(features.data, np.arange(200), np.arange(200), asked("age", notes="notes"))
    for m in pick_influence_examples(features, shown, inputs):
        assert features.data.records[int(m["file"])].labels == {m["label"]: 1}
        told = {e["name"]: e["value"] for e in m["inputs"]}
        assert "fever" not in json.dumps(told), "of notes only their length is told"
