"""Find spellings of one label: Normal, normal and NORMAL; 0, 0.0 and False; no_dr and No DR."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_LONGEST = 200  # characters that are compared
_WHOLE = re.compile(r"([+-]?\d{1,15})(?:\.0{1,15})?")
# Between letters, or a letter and a digit: "no_dr" and "No DR" are one, "1-2" and "12" are not.
_BETWEEN = re.compile(r"(?<=[^\W\d_])[\s_-]+(?=\w)|(?<=\d)[\s_-]+(?=[^\W\d_])")
_TRUTH = {"true": "1", "false": "0"}


@dataclass(frozen=True, slots=True)
class Spelled:
    """Cells in which each label has one spelling.

    Attributes
    ----------
    cells : list of str
        In the order given.
    notes : list of str
        Which spellings were read as one.
    """

    cells: list[str]
    notes: list[str]


def merge_spellings(cells: Sequence[str]) -> Spelled:
    """Give all spellings of a label the commonest one. Different words stay different."""
    counts = Counter(cell for cell in cells if cell)
    groups: dict[str, list[str]] = {}
    for cell in sorted(counts, key=lambda c: (-counts[c], c)):
        groups.setdefault(_key_of(cell), []).append(cell)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return Spelled(list(cells), [])
    chosen = {cell: _choose(group) for group in several for cell in group}
    listed = "; ".join(
        f"{_choose(group)!r} is also written "
        + ", ".join(f"{cell!r} ({counts[cell]})" for cell in group if cell != _choose(group))
        for group in several
    )
    return Spelled([chosen.get(cell, cell) for cell in cells], [f"Spellings of one label are read as one: {listed}."])


def _choose(group: Sequence[str]) -> str:
    """Choose the spelling to keep: 1 before 1.0, else the commonest."""
    plain = [cell for cell in group if cell.isdigit()]
    return plain[0] if plain and all(_key_of(cell).isdigit() for cell in group) else group[0]


def _key_of(cell: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", cell[:_LONGEST]).casefold().split()) + cell[_LONGEST:]
    if whole := _WHOLE.fullmatch(text):
        return str(int(whole[1]))
    return _TRUTH.get(text) or _BETWEEN.sub("", text)
