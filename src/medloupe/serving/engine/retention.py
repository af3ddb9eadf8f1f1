"""Delete what is older than it is to be kept: lines of the audit log, answers, pictures kept with them."""

from __future__ import annotations

import datetime
import time

from medloupe import settings
from medloupe.accounts.log import AuditLog
from medloupe.accounts.person import LOCAL
from medloupe.serving.engine.journal import Journal

_DAY, _HOUR = 86400, 3600


class AuditRetention:
    """Removes old lines of an audit log, about once a day.

    Parameters
    ----------
    log
        The log.
    """

    def __init__(self, log: AuditLog):
        self._log = log
        self._next = 0.0

    def remove_old_lines(self) -> int:
        """Remove lines that are older than MEDLOUPE_AUDIT_DAYS, where a day has gone by; return how many.

        Raises
        ------
        StoreError
            The log is not whole, or the database cannot be used.
        """
        days = settings.setting("MEDLOUPE_AUDIT_DAYS")
        if not days or time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + _DAY
        limit = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=int(days))
        before = limit.isoformat(timespec="milliseconds")
        count = self._log.remove_before(before)
        if count:
            self._log.add(LOCAL.name, "audit.remove", before[:19], {"lines": count})
        return count


class AnswerRetention:
    """Erases old answers and the pictures kept with them, about once an hour.

    Parameters
    ----------
    journal
        That keeps them.
    log
        The audit log, which tells how many were erased.
    """

    def __init__(self, journal: Journal, log: AuditLog):
        self._journal, self._log = journal, log
        self._next = 0.0

    def erase_old(self) -> tuple[int, int]:
        """Erase what is older than MEDLOUPE_ANSWER_DAYS and MEDLOUPE_PICTURE_DAYS, where an hour has gone by.

        Returns
        -------
        tuple of int
            How many answers, and how many pictures of answers that stay.

        Raises
        ------
        StorageError, OSError
            As `sweeping.erase_answers`.
        """
        answers, images = (read_days(name) for name in ("MEDLOUPE_ANSWER_DAYS", "MEDLOUPE_PICTURE_DAYS"))
        if (answers is None and images is None) or time.monotonic() < self._next:
            return 0, 0
        self._next = time.monotonic() + _HOUR
        gone = self._journal.erase_old(answers=answers, images=images)
        if any(gone):
            self._log.add(LOCAL.name, "retention.erase", "", {"answers": gone[0], "pictures": gone[1]})
        return gone


def read_days(variable: str) -> int | None:
    """Read a setting that is a number of days; None where things are kept for as long as nobody deletes them."""
    days = settings.setting(variable)
    return int(days) if days else None
