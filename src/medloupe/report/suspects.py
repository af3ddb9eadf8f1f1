"""Show the pictures whose labels deserve a second look: in the training report, and as a page of their own.

The report's part `suspects` is {"count", "things", "entries": [{"rank", "file", "given", "likely",
"probability_given", "probability_likely", "image": data URI}]}; any of it may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.report.formats import is_number
from medloupe.report.parts import entries, is_picture
from medloupe.report.sections import with_matter

HEADING = "Labels for a second look"


def section(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Choose what is shown of the suspects; None where there are none."""
    shown = [
        {**entry, "image": entry["image"] if is_picture(entry.get("image")) else None}
        for entry in entries(part.get("entries"))
        if is_number(entry.get("rank")) and entry.get("given") and entry.get("likely")
    ]
    if not shown:
        return None
    count = part.get("count")
    return {"entries": shown, "count": count if is_number(count) else len(shown), "things": part.get("things")}


def build(suspects: Mapping[str, Any], data: str, table: str) -> dict[str, Any]:
    """Return the context of the page that `medloupe check --suspects` writes beside its table."""
    shown = section(suspects)
    return {"data": data, "table": table, "suspects": shown, "sections": with_matter([("suspects", HEADING, shown)])}
