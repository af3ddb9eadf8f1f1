"""The figures of the watch never keep the other figures of a server from being told."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from medloupe.errors import StorageError
from medloupe.serving.engine.service import Service
from medloupe.watch.board import Board
from medloupe.watch.exporter import BoardCollector


def figures(board: Board) -> str:
    registry = CollectorRegistry()
    registry.register(BoardCollector(board))
    return generate_latest(registry).decode()


@pytest.mark.parametrize("fault", [StorageError("The database is locked."), ValueError("odd")])
def test_a_fault_is_told_and_passes(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board(cast(Service, object()))

    def fail(self: Board) -> Any:
        raise fault

    monkeypatch.setattr(Board, "_compute", fail)
    assert "medloupe_watch_up 0.0" in figures(board)


def test_nobody_waits_for_somebody_who_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    board, begun, go_on = Board(cast(Service, object())), threading.Event(), threading.Event()

    def compute(self: Board) -> Any:
        begun.set()
        assert go_on.wait(60)
        return "state"

    monkeypatch.setattr(Board, "_compute", compute)
    first = threading.Thread(target=board.glance)
    first.start()
    assert begun.wait(60)
    assert board.glance() is None
    go_on.set()
    first.join(60)
    assert cast(Any, board.glance()) == "state"
