"""A column that names the answer is caught, also where only its gaps do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from medloupe.inputs.clinical import Column
from medloupe.training.audit.leaks import leak_finding, names_identity, names_outcome, names_place, probe_column
from synthetic import one_hot

N = 200
RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, N)
Y = one_hot(CLASSES, 3)
LABELS = ("a", "b", "c")


def probed(values: Sequence[str | None], name: str = "x", groups: np.ndarray | None = None, y: np.ndarray = Y):
    column = Column.fit(name, values)
    assert column is not None
    encoded, _ = column.encode(values)
    group = np.arange(N) if groups is None else groups
    return probe_column(name, encoded, y, LABELS, group, "multiclass", afterwards=names_outcome(name))


def test_a_column_that_copies_the_label() -> None:
    found = probed([f"code {c}" for c in CLASSES])
    assert found.leaks and found.strong and (found.auc["value"] or 0) > 0.99
    said = leak_finding(found, N, kept=False)
    assert (said.kind, said.level) == ("leaking_column", "serious")
    assert "'x' names the answer" in said.title and "left out" in said.detail
    assert "as was asked" in leak_finding(found, N, kept=True).detail
    assert leak_finding(found, N, kept=None).level == "notice"


def test_a_column_filled_in_for_one_class_only() -> None:
    values: list[str | None] = [
        f"{v:.1f}" if c == 2 else None for v, c in zip(RNG.normal(5, 1, N), CLASSES, strict=True)
    ]
    found = probed(values, "dose")
    assert found.leaks and found.label == "c" and found.best > 0.97


def test_what_is_known_beforehand_passes() -> None:
    found = probed([f"{v:.0f}" for v in RNG.normal(50 + 8 * CLASSES, 12)], "age")
    assert not found.leaks
    assert 0.55 < (found.auc["value"] or 0) < 0.85
    assert found.auc["low"] is None, "an interval is drawn for what leaks alone"


def test_names_that_say_it_is_known_only_afterwards() -> None:
    found = probed([str(v) for v in RNG.choice(["Y", "N"], N)], "in_icu")
    assert found.leaks and found.afterwards and not found.strong
    assert leak_finding(found, N, kept=False).level == "warning"
    leaning = [("Y" if c == 0 else "N") if RNG.random() < 0.9 else "Y" for c in CLASSES]
    assert leak_finding(probed(leaning, "survival"), N, kept=False).level == "serious"
    assert not probed(leaning, "smoker").leaks


def test_patients_are_kept_whole() -> None:
    """A column that names patients tells the label of seen ones only."""
    groups = RNG.integers(0, 40, N)
    truth = one_hot(RNG.integers(0, 3, 40)[groups], 3)
    values = [f"dr {g % 20}" for g in groups]
    assert (probed(values, groups=groups, y=truth).auc["value"] or 0) < 0.75
    assert (probed(values, y=truth).auc["value"] or 0) > 0.75


def test_too_few_to_cross_validate_says_nothing() -> None:
    y = np.zeros((N, 3), np.float32)
    y[:, 0] = 1
    found = probed([str(v) for v in RNG.choice(["Y", "N"], N)], y=y)
    assert found.auc["value"] is None and not found.leaks


@pytest.mark.parametrize(
    "name",
    ["survival", "in_icu", "dx_type", "Diagnosis", "findingLabels", "follow_up", "class", "outcome", "intubated"],
)
def test_known_afterwards(name: str) -> None:
    assert names_outcome(name)


@pytest.mark.parametrize("name", ["age", "sex", "localization", "nyha_class", "smoker", "temperature", "dxa_t_score"])
def test_known_beforehand(name: str) -> None:
    assert not names_outcome(name)


def test_identifiers_and_places_by_name() -> None:
    assert all(names_identity(n) for n in ("filename", "Patient ID", "imageId", "doi", "url", "license", "case"))
    assert not any(names_identity(n) for n in ("patient_age", "steroid", "thyroid", "covid", "number_of_lesions"))
    assert (
        names_place("hospital")
        and names_place("scanner model")
        and names_place("location")
        and not names_place("localization")
    )
