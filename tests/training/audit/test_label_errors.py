"""Labels that were turned stand first; where nothing can be told nothing is listed."""

from __future__ import annotations

import numpy as np

from medloupe.training.audit.findings import audit
from medloupe.training.audit.label_errors import CONTRADICTED, find_label_errors, score_labels
from synthetic import features, of_targets, one_hot

N = 200


def clusters(classes: np.ndarray, seed: int = 0) -> np.ndarray:
    centres = np.random.default_rng(9).normal(size=(4, 30)) * 2.5
    return (centres[classes] + np.random.default_rng(seed).normal(size=(len(classes), 30))).astype(np.float32)


def test_turned_labels_stand_first() -> None:
    truth = np.arange(N) % 3
    told = truth.copy()
    turned = [7, 40, 99, 150]
    told[turned] = (truth[turned] + 1) % 3
    found = find_label_errors(features(of_targets(one_hot(told, 3)), clusters(truth)), np.arange(N))
    assert {s.row for s in found[:4]} == set(turned)
    assert [s.rank for s in found] == list(range(1, len(found) + 1))
    for suspect in found[:4]:
        assert (suspect.given, suspect.likely) == (f"class{told[suspect.row]}", f"class{truth[suspect.row]}")
        assert suspect.probability_given <= CONTRADICTED < suspect.probability_likely


def test_a_turned_label_of_a_common_class_is_found_among_rare_ones() -> None:
    truth = np.r_[np.zeros(160, int), np.ones(20, int), np.full(20, 2)]
    told = truth.copy()
    told[5] = 2
    found = find_label_errors(features(of_targets(one_hot(told, 3)), clusters(truth)), np.arange(N))
    assert found[0].row == 5
    assert found[0].likely == "class0"


def test_copies_of_one_patient_do_not_confirm_each_other() -> None:
    truth = np.arange(N) % 2
    told, groups, x = truth.copy(), np.arange(N), clusters(truth)
    told[[20, 22, 24]] = 1
    x[[22, 24]] = x[20]
    groups[[22, 24]] = 20
    found = find_label_errors(features(of_targets(one_hot(told, 2)), x), groups)
    assert {20, 22, 24} <= {s.row for s in found[:3]}


def test_findings_are_judged_one_by_one_and_what_is_not_stated_is_no_suspect() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, (N, 2)).astype(np.float32)
    x = clusters((y[:, 0] + 2 * y[:, 1]).astype(int))
    y[30, 1] = 1 - y[30, 1]
    y[31, 0] = np.nan
    found = find_label_errors(features(of_targets(y, "multilabel"), x), np.arange(N))
    assert found[0].row == 30
    names = {"class1", "not class1"}
    assert {found[0].given, found[0].likely} == names
    assert not any(s.row == 31 and "class0" in s.given for s in found)


def test_nothing_is_listed_where_embeddings_tell_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(N, 30)).astype(np.float32)
    given = features(of_targets(one_hot(np.arange(N) % 2, 2)), x)
    assert find_label_errors(given, np.arange(N)) == ()
    assert "label_suspects" not in {f.kind for f in audit(given).findings}


def test_few_records_or_patients_say_nothing() -> None:
    truth = np.arange(30) % 2
    assert find_label_errors(features(of_targets(one_hot(truth, 2)), clusters(truth)), np.arange(30)) == ()
    truth = np.arange(N) % 2
    assert find_label_errors(features(of_targets(one_hot(truth, 2)), clusters(truth)), np.arange(N) % 4) == ()


def test_the_audit_names_them_as_a_notice() -> None:
    truth = np.arange(N) % 2
    told = truth.copy()
    told[8] = 1
    found = audit(features(of_targets(one_hot(told, 2)), clusters(truth)))
    finding = next(f for f in found.findings if f.kind == "label_suspects")
    assert finding.level == "notice"
    assert finding.count == len(found.suspects)
    assert finding.files[0] == ("00008", "class1 → class0?")


def test_probabilities_are_probabilities() -> None:
    truth = np.arange(N) % 4
    p = np.exp(score_labels(clusters(truth), one_hot(truth, 4), np.arange(N), task="multiclass"))
    assert np.allclose(p.sum(1), 1)
    assert (p.argmax(1) == truth).mean() > 0.9
