"""Tell ids that tell people apart from what stands in their place: ANONYMOUS, 0, the arm of a study, the site."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from medloupe.data.readers.base import list_some, natural_key

FEW, MANY = 5, 20  # fewer than FEW ids among at least MANY rows are study arms or sites, not patients

_PLACEHOLDER = re.compile(
    r"(anon(ym(ous|i[sz]ed?|e|isiert)?)?(patient|id)?|de-?identified|removed|redacted|deleted|private|hidden|confidential"
    r"|unknown|none|null|nil|nan|na|notavailable|notapplicable|missing|empty|dummy|default|noid|noname|patient|patientid"
    r"|subject|phantom|test|x+)?"
)
_ZERO = re.compile(r"0+")


def find_placeholders(ids: Iterable[str]) -> frozenset[str]:
    """Find the ids, of one a record, that stand in place of a person's: blanks, ANONYMOUS, unknown, many zeros."""
    counts = Counter(ids)
    found = {text for text in counts if _PLACEHOLDER.fullmatch(re.sub(r"[\W_]+", "", text.casefold()))}
    most = max((n for text, n in counts.items() if text not in found and not _ZERO.fullmatch(text)), default=0)
    # Who numbers from 0 has a patient 0, of no more records than others have.
    return frozenset(found | {text for text, n in counts.items() if _ZERO.fullmatch(text) and n > max(1, 2 * most)})


def are_too_few(ids: Iterable[str]) -> bool:
    """Tell whether these ids, one a row, are too few to be patients; blank ones do not count."""
    stated = [text for text in ids if text]
    return len(set(stated)) < FEW and len(stated) >= MANY


def explain_unusable(ids: Sequence[str], what: str) -> str:
    """Say why ids, one a file, tell no patients apart, as a sentence; "" where they do.

    Parameters
    ----------
    ids : sequence of str
        One a file; "" where none is stated.
    what : str
        What holds them: "The tag PatientID", "Column 'subject'".
    """
    stated = [text for text in ids if text]
    blank = find_placeholders(stated)
    named = [text for text in stated if text not in blank]
    alone = len(set(named)) == 1 and len(named) >= MANY // 2  # of one person nothing could be judged
    if not stated or (named and not alone and not are_too_few(named)):
        return ""
    values = sorted(set(stated), key=natural_key)
    if len(values) == 1:
        return f"{what} is {values[0]} in all {len(stated)} files, so it tells no patients apart and is not used."
    return (
        f"{what} has only {len(values)} values in {len(stated)} files ({list_some(values)}): these are no patients, and"
        " it is not used."
    )


def settle_ids(ids: Mapping[str, str], column: str) -> tuple[dict[str, str], list[str]]:
    """Leave out placeholders, and give all spellings of an id (7 and 7.0, P7 and p7) the commonest one.

    Parameters
    ----------
    ids : Mapping
        Of a column of patients, by record.
    column : str
        Its name, for the notes.

    Returns
    -------
    settled : dict
        Those that name a person.
    notes : list of str
        What was done.
    """
    blank = sorted(find_placeholders(ids.values()))
    counts = Counter(text for text in ids.values() if text not in blank)
    spelt: dict[str, list[str]] = {}
    for text in sorted(counts, key=lambda text: (-counts[text], len(text), text)):
        spelt.setdefault(re.sub(r"^(\d+)\.0+$", r"\1", text.strip().casefold()), []).append(text)
    chosen = {text: several[0] for several in spelt.values() for text in several}
    notes = []
    if blank:
        count = sum(text in blank for text in ids.values())
        notes.append(f"{count} images have no patient: {column!r} says {list_some(blank)} of them.")
    if merged := [several for several in spelt.values() if len(several) > 1]:
        listed = " and ".join(merged[0])
        notes.append(
            f"{len(merged)} patients are spelled in several ways in {column!r}, such as {listed}: each is one."
        )
    return {place: chosen[text] for place, text in ids.items() if text in chosen}, notes
