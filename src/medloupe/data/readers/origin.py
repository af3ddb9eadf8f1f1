"""Find where a data set comes from and under which licence, from the papers that lie beside it."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

from medloupe.data.readers.base import normalise_name

_ORDER = ("source", "dataset_description", "licence", "license", "citation", "readme")
_MOST = 64 * 1024  # bytes; a README may be a book, its first pages say what is needed
_LINE = re.compile(r"^\s*(?:[-*]\s+)?\**\"?([A-Za-z][A-Za-z \-]{1,40})\"?\**\s*:\**\s*(\S.*)$")

# For each key the words that introduce it, best first: the licence of the data goes before that of the code.
_WORDS = {
    "licence": (
        *("licence of the dataset", "licence of the data", "license of the dataset", "license of the data"),
        *("data licence", "data license", "dataset license", "dataset licence", "licence", "license"),
    ),
    "citation": ("citation", "cite", "please cite", "paper", "reference", "howtoacknowledge", "doi", "datasetdoi"),
    "source": ("original dataset", "original", "source", "homepage", "url", "repository"),
}


def read_origin(folder: Path, about: str = "") -> dict[str, str]:
    """Read what SOURCE, LICENSE, CITATION or README files in a folder say.

    Parameters
    ----------
    folder : Path
        Where they lie.
    about : str
        The name of the file read, where one SOURCE file describes several under headings of their own.

    Returns
    -------
    dict
        Keys "licence", "citation", "source", as far as they are said.
    """
    said: dict[str, str] = {}
    for path in _find_papers(folder):
        kind = path.name.lower()
        try:
            text = path.read_bytes()[:_MOST].decode("utf-8-sig", "replace")
        except OSError:
            continue
        lines = _json_lines(text) if path.suffix.lower() == ".json" else _find_section(text, about)
        stated = _parse_lines(lines)
        if kind.startswith(("licen", "licence")) and "licence" not in stated:
            title = next((line.strip() for line in lines if line.strip()), "")
            if title:
                stated["licence"] = title[:200]
        for key, value in stated.items():
            said.setdefault(key, value)
    return said


def _find_papers(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.iterdir()):
        rank = next((i for i, stem in enumerate(_ORDER) if path.name.lower().startswith(stem)), None)
        if rank is not None and path.is_file() and path.suffix.lower() in ("", ".md", ".txt", ".rst", ".json", ".cff"):
            found.append((rank, path.name, path))
    return [path for _, _, path in sorted(found)]


def _find_section(text: str, about: str) -> list[str]:
    """Return the lines under the top heading that names `about`; all lines where none does."""
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("# ")]
    for start, end in pairwise([*heads, len(lines)]):
        if about and normalise_name(about) in normalise_name(lines[start]):
            return lines[start:end]
    return lines


def _json_lines(text: str) -> list[str]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if not isinstance(content, dict):
        return []
    return [f"{key}: {value}" for key, value in content.items() if isinstance(value, str) and value]


def _parse_lines(lines: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in lines:
        match = _LINE.match(line)
        if match:
            pairs.setdefault(match[1].strip().lower(), match[2].strip().strip("\"'*").strip()[:500])
    stated = {}
    for key, words in _WORDS.items():
        values = [pairs[word] for word in words if word in pairs]
        if values:
            # The original and the copy it was taken from are both part of the source.
            stated[key] = "; ".join(dict.fromkeys(values)) if key == "source" else values[0]
    return stated
