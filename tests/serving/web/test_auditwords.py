"""Details of the audit log in the page's language: keys, known values, numbers; what people typed as it is."""

from __future__ import annotations

from typing import Any

import pytest

from medloupe.accounts.log import ACTIONS
from medloupe.serving.web.auditwords import describe_detail
from medloupe.serving.web.language import language

EN, FR = language("en"), language("fr")


@pytest.mark.parametrize(
    ("detail", "en", "fr"),
    [
        (None, "", ""),
        ({}, "", ""),
        ({"tokens": "kept"}, "tokens: kept", "jetons\u00a0: conservés"),
        ({"role": "reviewer"}, "role: Reviewer", "rôle\u00a0: Relecteur"),
        ({"basis": "house_rule", "model": "spots"}, "basis: rule of the house · check-up: spots", None),
        ({"lines": 12345}, "lines: 12,345", "lignes\u00a0: 12\u202f345"),
        ({"forced": True, "reason": "it's odd", "comparison": {"auc": 1}}, "gate overruled · reason: it's odd", None),
        ({"forced": False, "reason": "", "from": None}, "", ""),
        ({"counts": {"pictures": 3, "cases": 0, "x": {}}}, "deleted: (pictures: 3, review cases: 0)", None),
        ({"also": ["a", "b@2"]}, "others asked: a, b@2", "aussi consultées\u00a0: a, b@2"),
        ({"models": [{"name": "a"}, {"name": "b"}]}, "models that learned from it: 2", None),
        (
            {"reason": "worse", "passed": True, "gate": {"passed": True}},
            "passed the gate · gate: (passed the gate)",
            None,
        ),
        ({"a_new_key": 0.12345}, "a new key: 0.123", "a new key\u00a0: 0,123"),
    ],
)
def test_details_are_said(detail: dict[str, Any] | None, en: str, fr: str | None) -> None:
    assert describe_detail(detail, EN) == en
    said = describe_detail(detail, FR)
    assert said == fr if fr is not None else (said and said != en)


def test_a_long_detail_is_cut() -> None:
    said = describe_detail({"reason": "x" * 400}, EN)
    assert len(said) == 300 and said.endswith("…")


def test_what_shadow_comparisons_log_has_words() -> None:
    told = {"before": 1, "after": 2, "wanted": 200, "compared": 3, "dropped": 1, "failed": 2}
    assert "shadow.end" in ACTIONS
    for lang in (EN, FR):
        assert all(lang.has(f"audit.key_{key}") for key in told)
    assert "demandes voulues\u00a0: 200" in describe_detail(told, FR)
