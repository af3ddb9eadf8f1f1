"""Cut the audit log to the days that it is to be kept."""

from __future__ import annotations

import datetime
import time

from medloupe import settings
from medloupe.accounts.log import AuditLog
from medloupe.accounts.person import LOCAL

_DAY = 86400


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
