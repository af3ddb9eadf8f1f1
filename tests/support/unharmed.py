"""A server after bad requests: as before."""

from __future__ import annotations

import httpx

import drills
from live import Live


def at_work(server: Live) -> dict[str, float]:
    """The gauges of /metrics that must be back at 0."""
    lines = httpx.get(server.url + "/metrics").text.splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {key: float(told[key]) for key in ("medloupe_requests_at_work", "medloupe_upload_bytes")}


def unharmed(server: Live) -> None:
    """It answers, holds nothing of what was asked, and has not stumbled."""
    assert server.ask(drills.NAME, drills.picture()).status_code == 200
    assert set(at_work(server).values()) == {0}
    assert [line["traceback"] for line in server.lines() if "traceback" in line] == []
