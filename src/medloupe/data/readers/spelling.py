"""Compare names of files that are spelled differently: accents, case, zeros, %20, suffix."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit

LONGEST = 1000  # characters of a name that are compared
_NUMBER = re.compile(r"[0-9]{1,30}")
_KINDS = ("accents", "upper and lower case", "a web address", "leading zeros", "blanks and underscores")


def strip_address(name: str) -> str:
    """Return the path inside a web address, without its query, and with %20 as a blank; other names as they are."""
    name = name[:LONGEST]
    if re.match(r"(?i)(?:https?|s3|gs|ftp|file)://", name):
        try:
            name = urlsplit(name).path
        except ValueError:
            return name
    return unquote(name) if "%" in name else name


def fold(path: str) -> str:
    """Write a path without differences of case, and accents in their composed form."""
    return unicodedata.normalize("NFC", path[:LONGEST]).casefold()


def fold_numbers(path: str) -> str:
    """Write a path folded, its last part also without zeros before numbers, ".0" behind them, and with _ for blanks."""
    head, slash, name = fold(path).rpartition("/")
    name = re.sub(r"^([0-9]{1,30})\.0$", r"\1", name)
    name = _NUMBER.sub(lambda match: match[0].lstrip("0") or "0", name)
    return head + slash + re.sub(r"[\s_]", "_", name)


def describe_spellings(found: Mapping[str, str]) -> list[str]:
    """Say which names were found in another spelling only.

    Parameters
    ----------
    found : Mapping
        Place by the name in the table.
    """
    kinds: Counter[str] = Counter()
    example = ""
    for name, place in found.items():
        kind = _difference(name, place)
        if kind:
            kinds[kind] += 1
            example = example or f"{name} for {place}"
    if not kinds:
        return []
    why = ", ".join(f"{kind}: {kinds[kind]}" for kind in _KINDS if kinds[kind])
    return [
        f"{kinds.total()} names are spelled otherwise in the table than on disk ({why}), such as {example}; "
        "each fits one file only, and is taken for it."
    ]


def _difference(name: str, place: str) -> str:
    """Tell in which way the last parts differ, the suffix aside; "" where they do not, or in all."""
    there = _last_parts([place])
    plain = _last_parts([PureWindowsPath(name).name])
    if plain & there:
        return ""
    address = _last_parts([PurePosixPath(strip_address(name)).name])
    steps = (
        (_KINDS[2], lambda names: names),
        (_KINDS[0], lambda names: {unicodedata.normalize("NFC", n) for n in names}),
        (_KINDS[1], lambda names: set(map(fold, names))),
        (_KINDS[3], lambda names: {_NUMBER.sub(lambda m: m[0].lstrip("0") or "0", fold(n)) for n in names}),
        (_KINDS[4], lambda names: set(map(fold_numbers, names))),
    )
    return next((kind for kind, change in steps if change(address) & change(there)), "")


def _last_parts(names: Iterable[str]) -> set[str]:
    """Return the last part of each path, with and without its suffix."""
    paths = [PurePosixPath(name) for name in names]
    return {p.name for p in paths} | {p.stem for p in paths}
