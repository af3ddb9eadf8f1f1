"""Read the little YAML that describes a YOLO data set: words, lists and one level of names."""

from __future__ import annotations

from pathlib import Path

from medloupe.data.readers.annotations.documents import decode_text, read_bytes
from medloupe.errors import DataError

_MOST_BYTES = 1 << 24
Value = str | list[str] | dict[str, str]


def read_yaml(path: Path) -> dict[str, Value]:
    """Read the top level of a YAML file, where each key has a word, a list of words, or words by key.

    What lies deeper is passed over; anchors, tags and text over several lines are not understood.

    Raises
    ------
    DataError
        Naming the line that is not understood.
    """
    found: dict[str, Value] = {}
    key = ""
    lines = decode_text(read_bytes(path, _MOST_BYTES), path).splitlines()
    at = 0
    while at < len(lines):
        line, at = _strip_comment(lines[at]), at + 1
        text = line.strip()
        if not text or text in ("---", "..."):
            continue
        if line[0] in " \t" or (text.startswith("- ") or text == "-"):
            _add(found, key, text)
            continue
        name, colon, rest = text.partition(":")
        if not colon:
            raise DataError(f"{path}, line {at}: {text[:40]!r} where `key: value` is expected.", "Correct the line.")
        key, rest = _unquote(name.strip()), rest.strip()
        while rest[:1] in ("[", "{") and rest.count(rest[0]) > rest.count("]" if rest[0] == "[" else "}"):
            if at >= len(lines):
                raise DataError(f"{path}: the list of {key!r} does not end.", "Add the closing bracket.")
            rest, at = f"{rest} {_strip_comment(lines[at]).strip()}", at + 1
        found[key] = _parse(rest)
    return found


def _add(found: dict[str, Value], key: str, text: str) -> None:
    """Add an indented line to the value of the key above: an item of a list, or a word by its key."""
    held = found.get(key)
    if text.startswith("-"):
        if not isinstance(held, list):
            held = found[key] = []
        held.append(_unquote(text[1:].strip()))
    elif ":" in text and not isinstance(held, list):
        if not isinstance(held, dict):
            held = found[key] = {}
        name, _, rest = text.partition(":")
        held[_unquote(name.strip())] = _unquote(rest.strip())


def _parse(text: str) -> Value:
    if text.startswith("[") and text.endswith("]"):
        return [word for part in _split(text[1:-1]) if (word := _unquote(part))]
    if text.startswith("{") and text.endswith("}"):
        pairs = (part.partition(":") for part in _split(text[1:-1]) if ":" in part)
        return {_unquote(name.strip()): _unquote(rest.strip()) for name, _, rest in pairs}
    return _unquote(text)


def _split(text: str) -> list[str]:
    """Split at commas outside quotes."""
    parts, quote = [""], ""
    for character in text:
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        if character == "," and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _strip_comment(line: str) -> str:
    quote = ""
    for at, character in enumerate(line):
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        if character == "#" and not quote and (at == 0 or line[at - 1] in " \t"):
            return line[:at].rstrip()
    return line.rstrip()
