"""Shape and rhythm under one head: taken apart it says the same, and the card says what each of them tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgsets import Learned
from medloupe.data.scan import scan_dataset
from medloupe.data.split import Plan, plan_split
from medloupe.ecg.beats import RHYTHM
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import BACKBONES, ECG_BEATS
from medloupe.model.head import Head
from medloupe.training.audit.findings import audit
from medloupe.training.fusion import beats, choose
from medloupe.training.fusion.beats import JointFeatures
from medloupe.training.fusion.choose import ChosenInputs
from medloupe.training.heads.verdict import Verdict, judge
from medloupe.training.options import Options


@pytest.fixture(scope="module")
def features(of_beats: Learned) -> Features:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(of_beats.home))
        found = embed(scan_dataset(of_beats.data), of_beats.model.backbone)
    assert found.decoded == 0  # training has embedded them
    return found


@pytest.fixture(scope="module")
def planned(features: Features) -> Plan:
    return plan_split(features.data, audit(features).groups)


@pytest.fixture(scope="module")
def inputs(features: Features, planned: Plan) -> ChosenInputs:
    return choose.choose_inputs(features.data, planned.fitting, planned.groups, Options())


@pytest.fixture(scope="module")
def joined(features: Features, planned: Plan, inputs: ChosenInputs, of_beats: Learned) -> JointFeatures:
    made = beats.join_rhythm(features, planned, inputs, of_beats.model.backbone.card.levels, 0)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def verdict(joined: JointFeatures, planned: Plan) -> Verdict:
    return judge(joined.features, planned, levels=joined.levels, seed=0, sensitivity=0.9)


def test_the_rhythm_stands_behind_the_shape(joined: JointFeatures, features: Features):
    n, d = features.embeddings.shape
    assert joined.width == d == BACKBONES[ECG_BEATS].dimension
    assert joined.features.embeddings.shape == (n, d + sum(c.width for c in joined.columns)) == (n, sum(joined.levels))
    np.testing.assert_array_equal(joined.features.embeddings[:, :d], features.embeddings)
    assert tuple(c.name for c in joined.columns) == RHYTHM
    assert joined.features.data is features.data


def test_taken_apart_the_head_says_exactly_the_same(
    joined: JointFeatures, verdict: Verdict, features: Features, inputs: ChosenInputs
):
    head, extras = joined.split_head(verdict.head)
    assert extras is not None
    assert head.weight.shape == (3, joined.width)
    assert extras.names == RHYTHM
    whole = verdict.head.logits(joined.features.embeddings)
    parts = head.logits(features.embeddings) + extras.logits(*extras.encode(inputs.rows))
    np.testing.assert_allclose(parts, whole, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate([head.weight, extras.weight], axis=1), verdict.head.weight)
    np.testing.assert_array_equal(head.bias, verdict.head.bias)


def test_a_beat_whose_rhythm_is_not_known_gets_nothing_from_it(joined: JointFeatures, verdict: Verdict):
    _, extras = joined.split_head(verdict.head)
    assert extras is not None
    assert not extras.logits(*extras.encode([{}])).any()
    assert extras.logits(*extras.encode([{"rr_previous_ratio": "0.7"}])).any()


def test_where_the_search_leaves_the_rhythm_out_there_are_no_extras(
    joined: JointFeatures, planned: Plan, verdict: Verdict, inputs: ChosenInputs
):
    weight = verdict.head.weight.copy()
    weight[:, joined.width :] = 0
    without = Head(weight=weight, bias=verdict.head.bias, task="multiclass")
    head, extras = joined.split_head(without)
    assert extras is None
    np.testing.assert_array_equal(head.weight, weight[:, : joined.width])
    said = beats.describe_rhythm(
        joined, planned, replace(verdict, fitted=replace(verdict.fitted, head=without)), inputs, 0
    )
    assert said["fields"] == []
    assert said["unused"] == list(RHYTHM)
    assert "the model reads the shape alone" in said["words"]


def test_the_facts_say_what_each_tells(joined: JointFeatures, planned: Plan, verdict: Verdict, inputs: ChosenInputs):
    said = beats.describe_rhythm(joined, planned, verdict, inputs, 0)
    rows = {row["name"]: row for row in said["fusion"]}
    assert list(rows) == ["image", "table", "all"]
    auc = {name: row["auc"]["value"] for name, row in rows.items()}
    assert auc["all"] > auc["image"] + 0.01  # early beats of the usual shape are told by the rhythm alone
    assert auc["all"] > auc["table"] + 0.01  # and where they come from, by the shape alone
    assert rows["all"]["over_image"]["low"] > 0
    assert [f["name"] for f in said["fields"]] == list(RHYTHM)
    assert "the shape alone reaches" in said["words"]
    tried = {tuple(c.levels): auc for c, auc in verdict.fitted.candidates if c.c == verdict.fitted.choice.c}
    assert auc["image"] == pytest.approx(tried[tuple(range(len(joined.levels) - 1))], abs=0.01)


def test_judged_on_a_test_split(joined: JointFeatures, planned: Plan, inputs: ChosenInputs):
    test = np.flatnonzero(np.isin(planned.groups, np.unique(planned.groups)[:4]))
    split = replace(planned, test=test, fitting=np.setdiff1d(planned.fitting, test))
    verdict = judge(joined.features, split, levels=joined.levels, seed=0, sensitivity=0.9)
    said = beats.describe_rhythm(joined, split, verdict, inputs, 0)
    rows = {row["name"]: row["auc"]["value"] for row in said["fusion"]}
    assert list(rows) == ["image", "table", "all", "everything removed"]
    assert rows["all"] > rows["image"] > rows["everything removed"] - 0.1
    assert rows["all"] > 0.95


def test_what_it_suits(
    of_beats: Learned, of_twelve: Learned, joined: JointFeatures, planned: Plan, inputs: ChosenInputs
):
    assert beats.holds_beats(of_beats.data)
    assert not beats.holds_beats(of_twelve.data)
    assert not beats.holds_beats(replace(of_beats.data, modality="image"))
    levels = of_beats.model.backbone.card.levels
    assert beats.join_rhythm(joined.features, planned, replace(inputs, columns=()), levels, 0) is None
    notes = tuple({**row, "said": f"beat {i % 7} of {i % 3}"} for i, row in enumerate(inputs.rows))
    assert beats.join_rhythm(joined.features, planned, replace(inputs, notes="said", rows=notes), levels, 0) is None


def test_the_model_is_the_joint_one(of_beats: Learned, joined: JointFeatures, verdict: Verdict):
    model = of_beats.model
    head, extras = joined.split_head(verdict.head)
    assert model.extras is not None and extras is not None
    np.testing.assert_allclose(model.head.weight, head.weight, atol=1e-6)
    np.testing.assert_allclose(model.extras.weight, extras.weight, atol=1e-6)
    assert model.card["modality"] == "ecg"
    assert model.card["backbone"]["name"] == "ecg-beats"
    assert [r["name"] for r in model.card["inputs"]["fusion"]] == ["image", "table", "all"]
    assert "739 beats" in model.card["split"]["sentence"]
