"""Read which of several findings a person chose in a form, where "none of these" is an answer of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medloupe.errors import StoreError


def read_findings(fields: Mapping[str, Sequence[str]]) -> list[str]:
    """Read the fields `label`, of each finding chosen, and `none`, where none is there.

    Raises
    ------
    StoreError
        Nothing was chosen, or none of them and yet one.
    """
    labels = [name for name in fields.get("label", ()) if name]
    none = any(fields.get("none", ()))
    if none and labels:
        raise StoreError("None of these and one of them cannot both be right.", "Choose one or the other.")
    if not none and not labels:
        raise StoreError("Nothing was chosen.", 'Choose what is there, or "none of these".')
    return labels
