"""Read tables that give the colours or values of masks names: CVAT's labelmap.txt, or a CSV of name, r, g, b."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from medloupe.data.readers.annotations.documents import decode_text, read_bytes
from medloupe.data.readers.sheet import load_sheet
from medloupe.errors import DataError

_LABEL_MAPS = ("labelmap.txt", "label_map.txt")
_NAMES = ("name", "label", "class", "classname", "category")
_CHANNELS = (("r", "g", "b"), ("red", "green", "blue"))
_VALUES = ("value", "id", "index", "pixelvalue", "grey", "gray", "code")
_LONGEST = 1 << 20


def pack(red: int, green: int, blue: int) -> int:
    """Pack a colour into one number; a grey is its own value, black is 0."""
    return red if red == green == blue else 1 << 24 | red << 16 | green << 8 | blue


def write_colour(code: int) -> str:
    """Write a packed colour: "#ff0000", or the value of a grey."""
    return f"#{code & 0xFFFFFF:06x}" if code >> 24 else str(code)


def find_colours(root: Path, texts: Sequence[str], tables: Sequence[str]) -> tuple[dict[int, str], Path | None]:
    """Find the table of colours of a data set: names by packed colour, and its file; ({}, None) where there is none."""
    for text in sorted(texts, key=lambda text: (text.count("/"), text)):
        if PurePosixPath(text).name.lower() in _LABEL_MAPS:
            return _read_label_map(root / text), root / text
    for place in tables[:20]:
        try:
            sheet = load_sheet(root / place)
        except DataError:
            continue
        names = sheet.usual_columns(_NAMES)
        channels = next((c for form in _CHANNELS if len(c := sheet.usual_columns(form)) == 3), [])
        values = sheet.usual_columns(_VALUES)
        keys = channels or values[:1]
        if not names or not keys or len(sheet.rows) > 256:
            continue
        cells = [sheet.cells(key) for key in keys]
        if all(cell.isdigit() and int(cell) < 256 for column in cells for cell in column):
            codes = [pack(*row) if channels else row[0] for row in zip(*[map(int, c) for c in cells], strict=True)]
            return dict(zip(codes, sheet.cells(names[0]), strict=True)), root / place
    return {}, None


def _read_label_map(path: Path) -> dict[int, str]:
    """Read lines such as `lesion:128,0,0::`."""
    names: dict[int, str] = {}
    for at, line in enumerate(decode_text(read_bytes(path, _LONGEST), path).splitlines()):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.partition(":")
        cells = rest.split(":")[0].split(",")
        if len(cells) != 3 or not all(cell.strip().isdigit() and int(cell) < 256 for cell in cells):
            raise DataError(
                f"{path}, line {at + 1}: {line.strip()[:40]!r} where `name:r,g,b::` is expected.", "Correct the line."
            )
        names[pack(*map(int, cells))] = name.strip()
    return names
