"""A candidate from corrections to a decision: made once, judged on what it never learned, refused where poisoned."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from loops import NAME, Loop, make_loop, once
from medloupe.accounts.log import AuditLog
from medloupe.errors import PromotionRefusedError, StoreError
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.retrain.begin import start_candidate
from medloupe.retrain.conclude import SETTING, conclude_candidate
from medloupe.store.candidates import Candidates
from medloupe.store.frozen_tests import FOLDS, find_frozen_test

pytestmark = pytest.mark.slow


@pytest.fixture
def loop(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    made = once(tmp_path_factory, "loop", make_loop)[0]
    shutil.copytree(made / "home", tmp_path / "home")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    return Loop(tmp_path / "home")


def digests(loop: Loop, source: str) -> set[int]:
    items = [i for i in loop.sets.items(loop.dataset) if (i.origin.get("source") == "review") == (source == "review")]
    return set(Evidence.digest([bytes.fromhex(i.digest) for i in items]).tolist())


def test_from_corrections_to_production(loop: Loop) -> None:
    with pytest.raises(StoreError, match="no correction"):
        start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    loop.correct(5000, 20)
    first = start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    again = start_candidate(loop.store, loop.sets, NAME, cause="button", by="bob")
    assert (again.id, first.added, first.state) == (first.id, 20, "waiting")
    loop.work()
    made, figures = conclude_candidate(loop.store, first.id)
    assert made.version == 2
    assert start_candidate(loop.store, loop.sets, NAME, cause="api", by="bob").id == first.id

    frozen = find_frozen_test(loop.store.engine, loop.dataset)
    assert frozen is not None and frozen.kind == FOLDS and len(frozen.digests) == 48
    judged = Evidence.read(loop.store.folder(NAME, 2))
    across = Evidence.read(loop.store.folder(NAME, 2), OUT_OF_FOLD)
    assert judged is not None and across is not None
    assert set(judged.digests.tolist()) == digests(loop, "base")
    assert set(across.digests.tolist()) == digests(loop, "base") | digests(loop, "review")
    assert figures.gate.records == 48
    assert figures.prequential is not None and figures.prequential.corrections == 20
    assert figures.prequential.wrong is not None and figures.prequential.wrong.a == pytest.approx(0.5)
    assert figures.added["corrections"] == 20 and figures.added["wrong"] == 10
    assert figures.added["readers"] == {"rea": 20}
    assert figures.gate.passed, figures.gate.words
    lines = [line for line in AuditLog(loop.store.engine).entries() if line.action.startswith("candidate.")]
    assert {line.action for line in lines} >= {"candidate.add", "candidate.judge"}

    loop.store.promote(NAME, 2, actor="ada")
    Candidates(loop.store.engine).decide(first.id, "promoted", by="ada")
    with pytest.raises(StoreError, match="no correction"):
        start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")

    loop.correct(7000, 4, version=2)
    second = start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    assert (second.added, second.production) == (4, 2)
    loop.work()
    _, later = conclude_candidate(loop.store, second.id)
    assert later.gate.records == 48  # corrections that production has learned judge nothing
    assert later.prequential is not None and later.prequential.corrections == 24
    assert later.fresh is not None and later.fresh.corrections == 4
    assert loop.store.rollback(NAME, actor="ada") == 1


def test_a_poisoned_round_is_refused_and_named(loop: Loop) -> None:
    loop.correct(5000, 12, "rea")
    wrong = loop.correct(8000, 60, "mallory", turned=True)
    candidate = start_candidate(loop.store, loop.sets, NAME, cause="count", by="schedule")
    loop.work()
    refused, figures = conclude_candidate(loop.store, candidate.id)
    assert (refused.state, refused.decided_by) == ("refused", "gate")
    with pytest.raises(PromotionRefusedError):
        loop.store.promote(NAME, 2, actor="ada")
    told = figures.contradicted
    assert told["readers"][0]["reader"] == "mallory"
    named = {case["case"] for case in told["cases"]}
    own = {case.id for case in wrong}
    assert len(named & own) >= 0.7 * len(own)
    assert len(named & own) >= 0.8 * len(named)


def test_automatic_promotion_only_where_it_is_turned_on(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    loop.correct(5000, 16)
    candidate = start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    monkeypatch.setenv(SETTING, "other")
    loop.work()
    made, figures = conclude_candidate(loop.store, candidate.id)
    assert figures.gate.passed and made.state == "ready" and loop.store.production()[NAME][0] == 1
    monkeypatch.setenv(SETTING, f"other, {NAME}")
    promoted, _ = conclude_candidate(loop.store, candidate.id)
    assert (promoted.state, promoted.decided_by) == ("promoted", "automatic")
    assert loop.store.production()[NAME][0] == 2
    change = loop.store.history(NAME)[-1]
    assert change.actor == "automatic" and candidate.id in change.reason


def test_the_shipped_head_and_the_frozen_test_have_no_patient_in_common_with_corrections(loop: Loop) -> None:
    cases = loop.correct(5000, 6)
    base = next(i for i in loop.sets.items(loop.dataset) if i.patient and i.label == "spots")
    loop.sets.change(loop.dataset, "assign", {cases[1].item or "": {"patient": base.patient}})
    candidate = start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    loop.work()
    conclude_candidate(loop.store, candidate.id)
    across = Evidence.read(loop.store.folder(NAME, 2), OUT_OF_FOLD)
    assert across is not None
    both = Evidence.digest([bytes.fromhex(i.digest) for i in (base, loop.sets.item(loop.dataset, cases[1].item or ""))])
    groups = [int(across.groups[np.flatnonzero(across.digests == d)[0]]) for d in both]
    assert groups[0] == groups[1]  # one patient, never on both sides of a fold
