"""Two runs held against each other: figures with known answers, honest intervals, and a page that shows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from browsing import dumped, needs_chromium
from evident import changed, evidence, judged
from medloupe.errors import StoreError
from medloupe.evaluation.compare import compare_runs
from medloupe.metrics.evidence import Evidence
from medloupe.metrics.gate import compare
from medloupe.metrics.paired import RunComparison, compare_evidence
from medloupe.report.comparison import differences
from medloupe.report.pages import render_comparison
from medloupe.store.models import Store
from parsing import parsed, visible
from report_example import HOSTILE, seven_classes
from storing import made, write_files

RUNS = ("lungs@1", "lungs@2")


def held(a: Evidence, b: Evidence, **more: Any) -> RunComparison:
    return compare_evidence(a, b, runs=RUNS, **more)


def several(skill: float, noise: int, n: int = 300, labels: tuple[str, ...] = ("a", "b", "c"), **more: Any) -> Evidence:
    """One label of several; truth is the same for every skill and noise."""
    k = len(labels)
    truth = np.random.default_rng(0).choice(k, n)
    rng = np.random.default_rng([1, noise])
    logits = rng.normal(size=(2, n, k))
    logits[:, np.arange(n), truth] += skill
    p = np.exp(logits)
    p /= p.sum(2, keepdims=True)
    made_of = {
        "labels": labels,
        "task": "multiclass",
        "digests": np.arange(n, dtype=np.uint64),
        "groups": np.arange(n),
        "targets": np.eye(k, dtype=np.float32)[truth],
        "probabilities": p.astype(np.float32),
        "announced": np.eye(k, dtype=np.float32)[p.argmax(2)].mean(0),
    }
    return Evidence(**{**made_of, **more})


# ------------------------------------------------------------------------ figures


def test_the_figures_are_those_of_scikit_learn() -> None:
    a, b = several(1.0, 1), several(2.0, 2)
    seen = held(a, b)
    truth = a.targets
    for run, e in (("a", a), ("b", b)):
        for k, row in enumerate(seen.per_label):
            aucs = [roc_auc_score(truth[:, k], p[:, k]) for p in e.probabilities]
            assert getattr(row.auc, run) == pytest.approx(np.mean(aucs), abs=1e-6)
            found = (e.announced[:, k] * truth[:, k]).sum() / truth[:, k].sum()
            assert row.sensitivity and getattr(row.sensitivity, run) == pytest.approx(found, abs=1e-6)
            passed = ((1 - e.announced[:, k]) * (1 - truth[:, k])).sum() / (1 - truth[:, k]).sum()
            assert row.specificity and getattr(row.specificity, run) == pytest.approx(passed, abs=1e-6)
        whole = np.mean([roc_auc_score(truth, p, average="macro") for p in e.probabilities])
        assert getattr(seen.auc, run) == pytest.approx(whole, abs=1e-6)
        answers = [balanced_accuracy_score(truth.argmax(1), p.argmax(1)) for p in e.probabilities]
        assert getattr(seen.balanced_accuracy, run) == pytest.approx(np.mean(answers), abs=1e-6)
    assert seen.auc.difference == pytest.approx(seen.auc.b - seen.auc.a)
    assert seen.auc.apart and "lungs@2 ranks better than lungs@1" in seen.words
    assert [sum(row) for row in (seen.confusion or ([], []))[0]] == pytest.approx(truth.sum(0).tolist(), abs=0.01)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_it_agrees_with_the_gate(task: str) -> None:
    """The gate's one-sided 95 % limits lie inside the two-sided ones, and its figures are the same."""
    a, b = several(1.0, 1, task=task), several(1.5, 2, task=task)
    seen, gate = held(a, b), compare(b, a, name="lungs", versions=(2, 1))
    assert gate.auc and seen.auc.low is not None and seen.auc.high is not None
    assert (gate.auc.production, gate.auc.candidate) == pytest.approx((seen.auc.a, seen.auc.b))
    assert gate.auc.difference == pytest.approx(seen.auc.difference)
    assert gate.balanced_accuracy and gate.balanced_accuracy.production == pytest.approx(seen.balanced_accuracy.a)
    assert gate.balanced_accuracy.candidate == pytest.approx(seen.balanced_accuracy.b)
    assert seen.auc.low < gate.auc.low < gate.auc.high < seen.auc.high
    assert (seen.records, seen.groups) == (gate.records, gate.groups)


def test_turned_round_it_says_the_opposite() -> None:
    a, b = several(1.0, 1), several(1.4, 2)
    one, other = held(a, b), compare_evidence(b, a, runs=RUNS[::-1])
    assert one.auc.difference == pytest.approx(-other.auc.difference)
    assert one.auc.low is not None and other.auc.high is not None
    assert one.auc.low == pytest.approx(-other.auc.high, abs=1e-9)
    assert one.words.rsplit(").")[-1] == other.words.rsplit(").")[-1]


def test_the_same_predictions_cannot_be_told_apart() -> None:
    seen = held(several(1, 1), several(1, 1))
    assert (seen.auc.low, seen.auc.difference, seen.auc.high) == (0, 0, 0) and not seen.auc.apart
    assert "cannot be told apart" in seen.words


def test_pairing_shows_what_separate_intervals_hide() -> None:
    """A run that is the other with a little less noise: far apart pair by pair, within each other's intervals."""
    a = several(1.5, 1, 400)
    truth = a.targets.astype(bool)
    nudged = np.where(truth, a.probabilities * 1.12, a.probabilities)
    b = changed(a, probabilities=nudged / nudged.sum(2, keepdims=True))
    seen = held(a, b)
    alone = held(a, several(1.5, 2, 400))  # as good, with noise of its own
    assert seen.auc.apart and seen.auc.low is not None and seen.auc.high is not None
    assert alone.auc.low is not None and alone.auc.high is not None
    assert (seen.auc.high - seen.auc.low) * 3 < alone.auc.high - alone.auc.low


def test_equal_runs_are_called_apart_about_one_time_in_twenty() -> None:
    rounds = 150
    apart = sum(
        held(
            evidence(1, 150, seed=s, noise=1, repeats=1), evidence(1, 150, seed=s, noise=2, repeats=1), draws=200
        ).auc.apart
        for s in range(rounds)
    )
    assert 0.01 <= apart / rounds <= 0.12


def test_labels_without_cases_and_unknown_truth_are_left_out() -> None:
    targets = several(1, 1).targets.copy()
    targets[:, 2] = 0
    a, b = (several(s, n, task="multilabel", targets=targets) for s, n in ((1, 1), (2, 2)))
    seen = held(a, b)
    assert [p.label for p in seen.per_label] == ["a", "b"] and seen.confusion is None
    unknown = targets.copy()
    unknown[::2, 0] = np.nan
    seen = held(changed(a, targets=unknown), changed(b, targets=unknown))
    assert seen.records == 300 and seen.per_label[0].n == np.nansum(unknown[:, 0])


def test_only_common_records_count_and_the_rest_is_told() -> None:
    a, b = evidence(2, 200), evidence(2, 200, first=80, noise=2)
    truth = b.targets.copy()
    truth[:10] = 1 - truth[:10]
    seen = held(a, changed(b, targets=truth, labels=b.labels))
    assert (seen.records, seen.only_a, seen.only_b, seen.relabelled) == (110, 80, 80, 10)
    text = visible(render_comparison(seen))
    assert "80 images were judged by lungs@1 alone." in text and "10 images stood under another label" in text
    few = held(evidence(2, 12), evidence(2, 12, noise=2))
    assert "fewer than 30 groups" in few.words


@pytest.mark.parametrize(
    ("b", "said"),
    [
        (lambda: evidence(1, labels=("ill", "fine")), "same question"),
        (lambda: evidence(1, task="multilabel"), "same question"),
        (lambda: evidence(1, first=1000), "no image was judged by both."),
        (lambda: changed(evidence(1), targets=1 - evidence(1).targets), "200 stand under another label"),
    ],
)
def test_what_cannot_be_compared_says_why(b: Callable[[], Evidence], said: str) -> None:
    with pytest.raises(StoreError, match=re.escape(said)) as caught:
        held(evidence(1), b())
    assert caught.value.hint


def test_without_cases_there_is_nothing_to_compare() -> None:
    one_class = np.tile([1, 0], (200, 1)).astype(np.float32)
    with pytest.raises(StoreError, match="lack cases"):
        held(changed(evidence(1), targets=one_class), changed(evidence(1, noise=2), targets=one_class))


# ---------------------------------------------------------------------- the store


def test_runs_of_the_store(home: Path, tmp_path: Path) -> None:
    store = Store(home)
    for i, (name, skill) in enumerate((("lungs", 1), ("lungs", 3), ("chest", 2))):
        store.add(made(tmp_path, name, seed=i), write_files=judged(skill, noise=i))
    seen = compare_runs("lungs@1", "lungs@candidate")
    assert (seen.a, seen.b) == RUNS and seen.auc.apart and seen.auc.difference > 0
    assert (compare_runs("lungs", "chest").a, compare_runs("chest", "lungs").b) == ("lungs@1", "lungs@1")
    assert compare_runs("lungs", "chest").as_json() == compare_runs("lungs", "chest").as_json()
    store.add(made(tmp_path, "bare"), write_files=write_files)
    for a, b, said in (
        ("lungs", "lungs@1", "the same run, lungs@1"),
        ("lungs", "bare", "bare@1 keeps no record"),
        ("lungs", "heart", "no model 'heart'"),
        ("lungs", "x.onnx", "files carry no record"),
    ):
        with pytest.raises(StoreError, match=re.escape(said)):
            compare_runs(a, b)


# ----------------------------------------------------------------------- the page


def page(labels: tuple[str, ...] = ("a", "b", "c"), **cards: Any) -> str:
    card = seven_classes()["card"]
    other = {**card, "version": 8, "finetuning": {"winner": "tail", "alpha": 0.5}, **cards}
    return render_comparison(held(several(1, 1, labels=labels), several(2, 2, labels=labels), cards=(card, other)))


def test_the_page_shows_both_and_loads_nothing() -> None:
    html = page()
    parser, text = parsed(html), visible(html)
    assert all(r.startswith("#") for r in parser.references)
    assert {r[1:] for r in parser.references} <= set(parser.ids) and len(parser.ids) == len(set(parser.ids))
    seen = held(several(1, 1), several(2, 2))
    assert seen.words in text and "Research software, not a medical device." in text
    assert not re.search(r"\b(None|nan|Undefined|inf)\b|\{[{%]", text)
    for heading in ("Paired differences", "Calibration of both", "ROC curves: b", "Precision-recall curves: c"):
        assert heading in text
    for drawn in re.findall(r"<svg[^>]*><title[^>]*>(?:ROC|Precision-recall) curves.*?</svg>", html, re.S):
        assert 'class="curve first"' in drawn and 'class="curve second"' in drawn
    assert html.count(">Confusion matrix</title>") == 2
    assert "Fine-tuning none: a linear head tail, 50% of the way" in text


def test_the_forest_is_drawn_to_scale() -> None:
    seen = held(several(1, 1), several(2, 2))
    (forest,) = re.findall(r"<svg[^>]*><title[^>]*>Paired differences</title>.*?</svg>", page(), re.S)
    ticks = re.findall(r'<text x="([\d.]+)"[^>]*class="tick"[^>]*>([^<]*)</text>', forest)
    at = [(float(x), float(words.replace("−", "-"))) for x, words in ticks]
    (x0, v0), (x1, v1) = at[0], at[-1]
    dots = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', forest)]
    pairs = [seen.auc, seen.balanced_accuracy, *sorted((p.auc for p in seen.per_label), key=lambda d: -d.difference)]
    assert [v0 + (x - x0) * (v1 - v0) / (x1 - x0) for x in dots] == pytest.approx(
        [p.difference for p in pairs], abs=(v1 - v0) / 1000
    )


def test_two_classes_make_one_curve() -> None:
    names = ("tumour", "normal")
    html = render_comparison(held(evidence(1, labels=names), evidence(2, noise=2, labels=names)))
    assert re.findall(r">ROC curves: (\w+)<", html) == ["tumour"]
    assert "sensitivity, tumour" in visible(html)


def test_hostile_labels_stay_words() -> None:
    html = page(labels=(HOSTILE, "b" * 200, "漢字" * 40), data={"name": HOSTILE})
    assert HOSTILE not in html and HOSTILE in visible(html)
    assert parsed(html).scripts == 1


def test_many_labels_are_folded() -> None:
    labels = tuple(f"label {i}" for i in range(14))
    html = render_comparison(held(several(1, 1, 300, labels), several(2, 2, 300, labels), draws=100))
    assert "6 more labels" in visible(html) and len(re.findall(">ROC curves: ", html)) == 14


def test_what_differs_between_two_cards() -> None:
    card = seven_classes()["card"]
    told = differences(card, {**card, "backbone": {"name": "efficientnet-lite2"}})
    assert told and [name for name, *_ in told["differing"]] == ["Backbone"] and "Data set" in told["same"]
    assert differences({}, {}) is None
    for key in card:
        for value in (None, {}, [], "x", 3):
            differences(card, {**card, key: value})


@needs_chromium
def test_the_page_is_no_wider_than_a_phone(tmp_path: Path) -> None:
    html = page(labels=("a" * 60, "actinic keratosis", "c"))
    probe = (
        "<script>addEventListener('load', () => document.title = 'w' + document.documentElement.scrollWidth)</script>"
    )
    inner = re.sub(r"script-src 'sha256-[^']+'", "script-src 'unsafe-inline'", html)
    tell = probe.replace("document.title = ", "parent.postMessage(").replace("scrollWidth", "scrollWidth, '*')")
    tmp_path.joinpath("page.html").write_text(inner.replace("</body>", tell + "</body>"), "utf-8")
    outer = tmp_path / "outer.html"
    hear = "<script>addEventListener('message', e => document.title += e.data + ';')</script>"
    frame = '<iframe src="page.html" style="border:0;width:360px;height:900px"></iframe>'
    outer.write_text(f"<!DOCTYPE html><title></title>{hear}{frame}", "utf-8")
    heard = re.search(r"<title>w(\d+);</title>", dumped(tmp_path, outer).stdout)
    assert heard and int(heard[1]) <= 360
