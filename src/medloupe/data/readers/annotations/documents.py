"""Read JSON and XML of annotation tools within bounds: sizes and depths are limited, XML may declare nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from medloupe.errors import DataError

MOST_BYTES = 1 << 30  # of one document
_DEEPEST = 100  # elements inside each other
_CHUNK = 1 << 20


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a document whole.

    Raises
    ------
    DataError
        Where it is larger than `most` bytes or cannot be opened.
    """
    try:
        size = path.stat().st_size
        if size > most:
            raise DataError(
                f"{path} has {size / 1e6:,.0f} MB; annotations of at most {most / 1e6:,.0f} MB are read.",
                "Split it, such as into one file for each of train, val and test.",
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.", "Check its permissions.") from None


def decode_text(data: bytes, path: Path) -> str:
    """Decode a document's text: UTF-8 with or without mark, UTF-16 with one, else Latin-1."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_json(path: Path, hook: Callable[[dict[str, Any]], Any] | None = None, data: bytes | None = None) -> Any:
    """Read a JSON document.

    Parameters
    ----------
    path : Path
        The file.
    hook : callable, optional
        Called with each object as soon as it is complete; what it returns stands in its place. So large parts that
        nobody needs never lie in memory together.
    data : bytes, optional
        The file's bytes, where they were read already.

    Raises
    ------
    DataError
        Naming line and column where it is broken.
    """
    text = decode_text(read_bytes(path) if data is None else data, path)
    del data
    try:
        return json.loads(text, object_hook=hook)
    except json.JSONDecodeError as error:
        rest = "it ends there, so it was cut short" if error.pos >= len(text.rstrip()) else f"{error.msg}"
        raise DataError(
            f"{path}, line {error.lineno}, column {error.colno}: this is no JSON ({rest}).",
            "Export or copy the annotations again.",
        ) from None
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path} is JSON that is not read: {error}.", "Export the annotations again.") from None


def read_xml(path: Path) -> Element:
    """Read a small XML document whole, as `iterate_xml` does."""
    builder = TreeBuilder()
    _parse(path, builder.start, builder.end, builder.data)
    return builder.close()


def iterate_xml(path: Path) -> Iterator[Element]:
    """Read an XML document, one child of the root after the other, so that memory stays small.

    Document types and with them entities are refused, as they can make a small file expand without end.

    Yields
    ------
    Element
        First the root, empty but for its attributes, then each of its children, complete.

    Raises
    ------
    DataError
        Naming line and column where it is broken, nested too deeply, or has a document type.
    """
    ready: list[Element] = []
    level = 0
    builder = TreeBuilder()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal level, builder
        level += 1
        if level == 1:
            ready.append(Element(name, attributes))
            return
        if level == 2:
            builder = TreeBuilder()
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal level
        level -= 1
        if level:
            builder.end(name)
        if level == 1:
            ready.append(builder.close())

    def text(words: str) -> None:
        if level > 1:
            builder.data(words)

    for _ in _feed(path, start, end, text):
        yield from ready
        ready.clear()
    yield from ready


def _parse(
    path: Path, start: Callable[[str, dict[str, str]], Any], end: Callable[[str], Any], text: Callable[[str], Any]
) -> None:
    for _ in _feed(path, start, end, text):
        pass


def _feed(
    path: Path, start: Callable[[str, dict[str, str]], Any], end: Callable[[str], Any], text: Callable[[str], Any]
) -> Iterator[None]:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def refuse(*_: Any) -> None:
        raise DataError(
            f"{path}, line {parser.CurrentLineNumber}: the XML declares a document type or entities, which are not"
            " read, as they can make a small file expand without end.",
            "Remove the <!DOCTYPE …> line; annotations need none.",
        )

    def enter(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataError(f"{path}, line {parser.CurrentLineNumber}: elements lie in each other too deeply.", "")
        start(name, attributes)

    def leave(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    parser.CharacterDataHandler = text
    try:
        if path.stat().st_size > MOST_BYTES:
            read_bytes(path)  # which says so
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk, False)
                yield
            parser.Parse(b"", True)
            yield
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}.", "Check its permissions.") from None
    except expat.ExpatError as error:
        raise DataError(
            f"{path}, line {error.lineno}, column {error.offset + 1}: this is no complete XML"
            f" ({expat.ErrorString(error.code)}).",
            "Export or copy the annotations again.",
        ) from None
