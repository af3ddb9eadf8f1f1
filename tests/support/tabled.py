"""Small sets with tables beside their pictures, and what was read of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from medloupe.data.records import Dataset
from readers_cases import picture, write

TWELVE = tuple(f"{i}.png" for i in range(12))


def tabled(root: Path, text: str, name: str = "labels.csv", images: Sequence[str] = TWELVE) -> Path:
    """A folder with these pictures and one table."""
    for k, image in enumerate(images):
        picture(root / image, k)
    write(root / name, text)
    return root


def rows(head: str, row: Callable[[int], str], n: int = 12) -> str:
    """A table of n rows below a header; none above them where that is ""."""
    return "\n".join([*([head] if head else []), *map(row, range(n))])


def labels(data: Dataset) -> dict[str, dict[str, int]]:
    return {record.id: dict(record.labels) for record in data.records}


def said(data: Dataset) -> str:
    return " ".join(data.notes)
