"""Corrections of a check-up of several findings: learned, judged as those of one class, refused if poisoned."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from findings import FINDINGS, NAME, FindingsLoop, make_findings_loop
from medloupe.errors import PromotionRefusedError, StoreError
from medloupe.metrics.evidence import OUT_OF_FOLD, Evidence
from medloupe.retrain.begin import start_candidate
from medloupe.retrain.conclude import conclude_candidate
from medloupe.store.frozen_tests import FOLDS, find_frozen_test
from once import once

pytestmark = pytest.mark.slow


@pytest.fixture
def loop(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FindingsLoop:
    made = once(tmp_path_factory, "findings", make_findings_loop)[0]
    shutil.copytree(made / "home", tmp_path / "home")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    return FindingsLoop(tmp_path / "home")


def test_from_corrections_to_production(loop: FindingsLoop) -> None:
    card = loop.store.get(NAME, 1, report=False).card
    assert (card["task"], tuple(card["labels"])) == ("multilabel", FINDINGS)
    with pytest.raises(StoreError, match="no correction"):
        start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    loop.correct(5000, 16)
    candidate = start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    assert candidate.added == 16
    loop.work()
    made, figures = conclude_candidate(loop.store, candidate.id)
    assert made.version == 2
    frozen = find_frozen_test(loop.store.engine, loop.dataset)
    assert frozen is not None and frozen.kind == FOLDS and len(frozen.digests) == 48, "a picture untold judges nothing"
    across = Evidence.read(loop.store.folder(NAME, 2), OUT_OF_FOLD)
    assert across is not None and across.task == "multilabel" and len(across.digests) == 64
    none = Evidence.digest([bytes.fromhex(i.digest) for i in loop.sets.items(loop.dataset) if i.labels and not i.found])
    rows = np.isin(across.digests, none)
    assert rows.sum() == 16 and (across.targets[rows] == 0).all(), "none of the findings is an answer, not a gap"
    assert figures.gate.records == 48 and figures.gate.auc is not None
    assert figures.gate.passed, figures.gate.words
    assert figures.paired is not None and {row.label for row in figures.paired.per_label} == set(FINDINGS)
    assert figures.prequential is not None and figures.prequential.corrections == 16
    assert figures.prequential.wrong is not None
    assert figures.prequential.wrong.a == pytest.approx(0.5), "of 16 pictures half of all findings were missed"
    assert figures.prequential.wrong.b < 0.5
    assert figures.added["corrections"] == 16 and figures.added["wrong"] == 12
    assert figures.added["labels"] == {"": 4, "dots": 8, "stripes": 8}
    loop.store.promote(NAME, 2, actor="ada")
    with pytest.raises(StoreError, match="no correction"):
        start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    item = next(i for i in loop.sets.items(loop.dataset) if i.origin.get("case") and i.found == ("dots",))
    loop.sets.tell_findings(loop.dataset, [item.id], FINDINGS, by="ada")
    again = start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
    assert again.added == 1, "a set that was changed is learned anew"


def test_a_poisoned_round_is_refused_and_named(loop: FindingsLoop) -> None:
    loop.correct(5000, 12, "rea")
    wrong = loop.correct(8000, 72, "mallory", turned=True)
    candidate = start_candidate(loop.store, loop.sets, NAME, cause="count", by="schedule")
    loop.work()
    refused, figures = conclude_candidate(loop.store, candidate.id)
    assert (refused.state, refused.decided_by) == ("refused", "gate"), figures.gate.words
    with pytest.raises(PromotionRefusedError):
        loop.store.promote(NAME, 2, actor="ada")
    told = figures.contradicted
    assert told["readers"][0]["reader"] == "mallory"
    named = {case["case"] for case in told["cases"]}
    own = {case.id for case in wrong}
    assert len(named & own) >= 0.7 * len(own)
    assert len(named & own) >= 0.8 * len(named)
    assert {case["finding"] for case in told["cases"]} <= set(FINDINGS)


def test_a_data_set_of_one_class_does_not_teach_a_check_up_of_several(loop: FindingsLoop) -> None:
    loop.correct(5000, 2)
    with loop.store.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE datasets SET task = 'multiclass' WHERE name = '{NAME}'")
    with pytest.raises(StoreError, match="one class each"):
        start_candidate(loop.store, loop.sets, NAME, cause="button", by="ada")
