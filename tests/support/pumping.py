"""Text on which a regular expression that backtracks takes long, made from the expression itself.

Wherever the expression repeats something, its text is repeated thousands of times, after what has to stand before it
and before something that does not match; likewise each character that the expression knows.
"""

from __future__ import annotations

import re
import re._constants as ops
import re._parser as parser
from collections.abc import Iterator, Sequence
from typing import Any

_CATEGORIES = {
    ops.CATEGORY_DIGIT: "0",
    ops.CATEGORY_SPACE: " ",
    ops.CATEGORY_WORD: "a",
    ops.CATEGORY_NOT_DIGIT: "x",
    ops.CATEGORY_NOT_SPACE: "x",
    ops.CATEGORY_NOT_WORD: " ",
}
_MOST_CHARACTERS = 16
_LONG = 32  # a repeat of more than this can be pumped
_ENDS = ("", "\x00", "!\n", "é")


def attacks(pattern: str, flags: int, length: int) -> Iterator[str]:
    """Texts of about `length` characters, each once."""
    tree = parser.parse(pattern, flags & ~re.DEBUG)
    known = list(dict.fromkeys(_characters(tree)))[:_MOST_CHARACTERS]
    seen: set[str] = set()
    places = list(dict.fromkeys(("", *(before for before, _ in _repeats(tree, "")))))[:12]
    whole = _sample(tree)
    between = [whole[len(before) :][:_LONG] for before, _ in _repeats(tree, "")] + [whole[:_LONG]]
    pumps = dict.fromkeys(filter(None, [*(body for _, body in _repeats(tree, "")), *between, *known, " ", "0", "a"]))
    for before in places:
        for pump in pumps:
            for end in _ENDS:
                text = before + pump * (length // len(pump)) + end
                if text not in seen:
                    seen.add(text)
                    yield text


def _characters(tree: Sequence[Any]) -> Iterator[str]:
    for op, value in tree:
        if op in (ops.LITERAL, ops.NOT_LITERAL):
            yield chr(value) if op is ops.LITERAL else "x"
        elif op is ops.IN:
            yield from _members(value)
        elif op is ops.ANY:
            yield "x"
        else:
            for part in _parts(op, value):
                yield from _characters(part)


def _members(members: Sequence[Any]) -> list[str]:
    found: list[str] = []
    if members[0][0] is ops.NEGATE:
        inside = re.compile("[" + "".join(f"\\x{c:02x}" for c in range(128) if _within(members[1:], chr(c))) + "]|(?!)")
        return [c for c in "xX0 \t_.-" if not inside.match(c)][:3] or ["é"]
    for op, value in members:
        if op is ops.LITERAL:
            found.append(chr(value))
        elif op is ops.RANGE:
            found.append(chr(value[0]))
        elif op is ops.CATEGORY:
            found.append(_CATEGORIES[value])
    return found


def _within(members: Sequence[Any], one: str) -> bool:
    for op, value in members:
        if op is ops.LITERAL and chr(value) == one:
            return True
        if op is ops.RANGE and chr(value[0]) <= one <= chr(value[1]):
            return True
        if op is ops.CATEGORY:
            shown = {"0": r"\d", " ": r"\s", "a": r"\w"}.get(_CATEGORIES[value])
            if shown and re.match(shown, one):
                return True
    return False


def _parts(op: Any, value: Any) -> list[Sequence[Any]]:
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        return [value[2]]
    if op is ops.SUBPATTERN:
        return [value[3]]
    if op is ops.BRANCH:
        return list(value[1])
    if op in (ops.ASSERT, ops.ASSERT_NOT):
        return [value[1]]
    if op is ops.ATOMIC_GROUP:
        return [value]
    if op is ops.GROUPREF_EXISTS:
        return [part for part in value[1:] if part is not None]
    return []


def _sample(tree: Sequence[Any]) -> str:
    """A text that the expression matches, short, with each repeat once."""
    out = ""
    for op, value in tree:
        if op is ops.LITERAL:
            out += chr(value)
        elif op is ops.NOT_LITERAL:
            out += "x" if value != ord("x") else "y"
        elif op is ops.ANY:
            out += "x"
        elif op is ops.IN:
            out += _members(value)[0]
        elif op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
            out += _sample(value[2]) * max(1, value[0])
        elif op in (ops.SUBPATTERN, ops.BRANCH, ops.ATOMIC_GROUP, ops.GROUPREF_EXISTS):
            out += _sample(_parts(op, value)[0])
    return out


def _repeats(tree: Sequence[Any], before: str) -> Iterator[tuple[str, str]]:
    """What has to stand before each repeat, and what it repeats."""
    for op, value in tree:
        if op in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and (
            value[1] is ops.MAXREPEAT or value[1] > _LONG
        ):
            yield before, _sample(value[2])
        for part in _parts(op, value):
            yield from _repeats(part, before)
        before += _sample([(op, value)])
