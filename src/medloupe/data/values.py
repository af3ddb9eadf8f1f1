"""Read the cells of a clinical table: nothing, a number, or one of a few answers."""

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
_SIGNS = {"−": "-", "٫": ".", "٬": ","}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)  # thousands, or a decimal comma
_BY_COMMA = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{2,3})*,\d{3}(\.\d*)?", re.ASCII)  # of two digits in India
_BY_SPACE = re.compile(r"[+-]?[1-9]\d{0,2}([ '’]\d{3})+([.,]\d*)?", re.ASCII)
_BY_DOT = re.compile(r"[+-]?[1-9]\d{0,2}((\.\d{3})+,\d+|(\.\d{3}){2,})", re.ASCII)
_PLAIN = re.compile(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})(e[+-]?\d{1,2})?", re.ASCII)
_FAR = 30  # times a high value of a column, from which a thousand too much is more likely
_HIGH = 0.95
_AGE = re.compile(r"(?<![a-z])(patient_?)?age(?![a-z])", re.IGNORECASE)


def is_stated(value: str) -> bool:
    """Tell whether a cell says anything."""
    return value.strip().casefold() not in _UNSTATED


def parse_number(text: str, column: str = "", unit: str = "", usual: float = 0) -> float | None:
    """Read a number as people write it; None where it is none.

    Understood are 55, 38,5, 1,234.5, 1.234,5, 250 000, 97 %, >89, and ages as 055Y. 1,234 is read as 1234, unless that
    is many times `usual`; then it is 1.234.

    Parameters
    ----------
    text : str
        The cell.
    column : str
        Its column's name, which tells ages.
    unit : str
        The unit that may follow the number.
    usual : float
        A high value of its column; 0 unknown.
    """
    return _choose_value(*_possible_values(text, column, unit), usual)


def parse_numbers(texts: Sequence[str], column: str = "") -> list[float]:
    """Read those of a column's texts that are numbers, in their order.

    What `usual` is, those tell that have no 1,234.
    """
    read = [(x, other) for x, other in (_possible_values(t, column, "") for t in texts) if x is not None]
    sure = sorted(x for x, other in read if other is None)
    usual = sure[int(_HIGH * len(sure))] if sure else 0
    return [x for pair in read if (x := _choose_value(*pair, usual)) is not None]


def _choose_value(x: float | None, other: float | None, usual: float) -> float | None:
    return other if x is not None and other is not None and 0 < usual * _FAR < abs(x) else x


def _possible_values(text: str, column: str, unit: str) -> tuple[float | None, float | None]:
    """Return what a text is as a number; and what else it may be, of 1,234."""
    said = unicodedata.normalize("NFKC", text[:LONGEST])
    if not said.isascii():
        said = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else _SIGNS.get(c, c) for c in said)
    said = said.strip().casefold().lstrip("<>≤≥~= ").rstrip("+% ")
    years = 1
    if unit and said.endswith(unit.casefold()):
        said = said.removesuffix(unit.casefold()).rstrip()
    elif is_age_column(column) and said[-1:] in _PER_YEAR and said[:1].isdigit():
        years, said = _PER_YEAR[said[-1]], said[:-1].rstrip()
    if _EITHER.fullmatch(said):
        return float(said.replace(",", "")) / years, float(said.replace(",", ".")) / years
    if _BY_SPACE.fullmatch(said):
        said = re.sub("[ '’]", "", said).replace(",", ".")
    elif _BY_COMMA.fullmatch(said):
        said = said.replace(",", "")
    elif _BY_DOT.fullmatch(said):
        said = said.replace(".", "").replace(",", ".")
    elif "." not in said and said.count(",") == 1:
        said = said.replace(",", ".")
    if not _PLAIN.fullmatch(said):
        return None, None
    value = float(said) / years
    return (value if math.isfinite(value) else None), None


def is_age_column(name: str) -> bool:
    """Tell whether a column of this name holds ages."""
    return bool(_AGE.search(name.replace(" ", "_")))


def normalise_answer(value: str) -> str:
    """Return one spelling for the values of a category that mean the same: case, 1.0 for 1, M for male, Y for yes."""
    said = " ".join(unicodedata.normalize("NFKC", value[: 2 * LONGEST]).casefold().split())
    if re.fullmatch(r"-?\d+\.0+", said):
        said = said.split(".")[0]
    return next((min(group) for group in _SAME if said in group), said)
