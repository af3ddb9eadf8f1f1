"""Root of the tables, and the time as they keep it."""

from __future__ import annotations

import datetime

from sqlalchemy.orm import DeclarativeBase


def now() -> str:
    """Tell the time as the tables keep it: UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class Base(DeclarativeBase):
    """Root of the tables."""
