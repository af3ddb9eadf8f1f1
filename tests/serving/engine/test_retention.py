"""Old answers go with their pictures, old pictures without their answers; what is younger stays."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

import belongings
from medloupe.accounts.log import AuditLog
from medloupe.serving.engine.journal import Journal
from medloupe.serving.engine.retention import AnswerRetention
from medloupe.store.database import transaction
from medloupe.store.tables import PredictionRow


def test_what_is_old_is_deleted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = belongings.fill(home).store
    ids = _age(store, (40, 10, 0))
    journal, log = Journal(store.engine, home / "kept"), AuditLog(store.engine)
    try:
        assert AnswerRetention(journal, log).erase_old() == (0, 0), "for as long as nobody says how long"
        monkeypatch.setenv("MEDLOUPE_ANSWER_DAYS", "30")
        monkeypatch.setenv("MEDLOUPE_PICTURE_DAYS", "7")
        retention = AnswerRetention(journal, log)
        assert retention.erase_old() == (1, 1)
        assert retention.erase_old() == (0, 0), "an hour later again"
    finally:
        journal.close()
    with transaction(store.engine) as session:
        left = {row.id: row.kept for row in session.scalars(select(PredictionRow))}
    assert left == {ids[1]: None, ids[2]: "png"}
    assert [p.stem for p in (home / "kept").glob("*/*")] == [ids[2]]
    (line,) = log.entries(action="retention.erase")
    assert line.detail == {"answers": 1, "pictures": 1}


def _age(store: belongings.Store, days: tuple[int, ...]) -> list[str]:
    with transaction(store.engine, write=True) as session:
        ids = sorted(session.scalars(select(PredictionRow.id)))
        for id, n in zip(ids, days, strict=True):
            at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=n)
            row = update(PredictionRow).where(PredictionRow.id == id)
            session.execute(row.values(at=at.isoformat(timespec="milliseconds")))
    return ids
