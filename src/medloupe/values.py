"""What a cell of a clinical table says: nothing, a number, or one of a few answers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

LONGEST = 200  # characters of a value, a name or a choice
_UNSTATED = frozenset(
    {"", "?", "-", "--", ".", "na", "n/a", "nan", "null", "nil", "unknown", "unk", "missing", "not available"}
    | {"not stated", "not recorded", "todo", "none given", "undetermined", "unspecified"}
)
_SAME = (  # spellings of one answer
    frozenset({"m", "male", "man", "boy", "homme", "h", "masculin"}),
    frozenset({"f", "female", "woman", "girl", "femme", "w", "féminin", "feminin"}),
    frozenset({"y", "yes", "true", "t", "1", "oui"}),
    frozenset({"n", "no", "false", "0", "non"}),
)
_PER_YEAR = {"y": 1, "m": 12, "w": 52, "d": 365}  # DICOM writes ages as 055Y, 006M, 013W or 021D
_SPACED = re.compile(r"(?<=\d)[ '’](?=\d{3}(?!\d))")  # between thousands
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_TINY = 1e-9
_AGE = re.compile(r"(?<![a-z])(patient_?)?age(?![a-z])", re.IGNORECASE)


def stated(value: str) -> bool:
    """Whether a cell says anything."""
    return value.strip().casefold() not in _UNSTATED


def number(text: str, column: str = "", unit: str = "", within: tuple[float, float] | None = None) -> float | None:
    """A number as people write it: 55, 55.0, 38,5, 1,234.5, 1.234,5, 250 000, 97 %, >89, ages as 055Y; None else.

    1,234 may be more than a thousand or more than one: whichever lies nearer to `within`, a thousand without it."""
    said = unicodedata.normalize("NFKC", text[:LONGEST]).strip().casefold().lstrip("<>≤≥~= ").rstrip("+% ")
    years = 1
    if unit and said.endswith(unit.casefold()):
        said = said.removesuffix(unit.casefold()).rstrip()
    elif is_age(column) and said[-1:] in _PER_YEAR and said[:1].isdigit():
        years, said = _PER_YEAR[said[-1]], said[:-1].rstrip()
    said = _SPACED.sub("", said)
    if within is not None and _EITHER.fullmatch(said):
        both = [float(said.replace(",", sign)) / years for sign in ("", ".")]
        return min(both, key=lambda x: _times(x, min(max(x, within[0]), within[1])))
    if said.count(",") == 1 and said.rfind(".") < said.find(",") and not _EITHER.fullmatch(said):
        said = said.replace(".", "").replace(",", ".")
    said = said.replace(",", "")
    if not re.fullmatch(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})(e[+-]?\d{1,2})?", said):
        return None
    value = float(said) / years
    return value if math.isfinite(value) else None


def numbers(texts: Sequence[str], column: str = "") -> list[float]:
    """Those of the texts that are numbers. What 1,234 is, those tell that can be read in one way."""
    sure = [x for t in texts if (x := number(t, column)) is not None and x == number(t, column, within=(0, 0))]
    within = (min(sure), max(sure)) if sure else None
    return [x for t in texts if (x := number(t, column, within=within)) is not None]


def _times(x: float, y: float) -> float:
    """How many times as large one is as the other, as a logarithm."""
    return abs(math.log(max(abs(x), _TINY) / max(abs(y), _TINY)))


def is_age(name: str) -> bool:
    """Whether a column of this name holds ages."""
    return bool(_AGE.search(name.replace(" ", "_")))


def alike(value: str) -> str:
    """One spelling for the values of a category that mean the same: case, 1.0 for 1, M for male, Y for yes."""
    said = " ".join(unicodedata.normalize("NFKC", value[: 2 * LONGEST]).casefold().split())
    if re.fullmatch(r"-?\d+\.0+", said):
        said = said.split(".")[0]
    return next((min(group) for group in _SAME if said in group), said)
