"""Say what had to be decided about a picture whose file contradicts itself, or holds more than is looked at.

A fact is a code and its values, so that it can pass between processes and be said in a reader's language; `text` is the
sentence in English.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SENTENCES = {
    "frame": "It holds {frames} frames; only frame {frame} is looked at.",
    "frame_skipped": "It holds {frames} frames and the first is blank; frame {frame} is looked at instead.",
    "thumbnail": "It holds {frames} pages and the first is a thumbnail; page {frame} is looked at instead.",
    "blank": "All pixels that were read have one value.",
    "window": "The window in the file holds hardly any pixel; its grey levels are spread by the pixels themselves.",
    "table": "The file's lookup table is said to hold {declared} bits and holds {held}; what it holds counts.",
    "table_flat": "The file's lookup table leaves nothing to see; the grey levels are spread by the pixels themselves.",
    "colour": "The file says {declared}, but its compressed picture is {found}; that counts.",
    "colour_values": "The file says {declared}, but its values are those of {found}; that counts.",
    "high_bit": "The file says that the values end at bit {declared}, but they end at bit {found}; that counts.",
    "bits": "The file says {declared} bits a value, but they take {found}; that counts.",
    "sign": "The file says {declared} values, but only as {found} ones do they make a picture; that counts.",
    "slope": "The file's rescale slope is {declared}, which cannot be; 1 is taken.",
    "polarity": "The file says {declared} and a presentation of {found}, which contradict each other: black and white"
    " may be swapped. {declared} counts.",
    "photograph": "It is the photograph of a picture; what lies between its four corners was cut out and looked at.",
    "photograph_given": "It is the photograph of a picture; what lies between the four corners given was looked at.",
    "photograph_unfound": "It is said to be the photograph of a picture, whose corners were not found.",
    "shrunk": "It had {width} x {height} pixels and was shrunk before it was sent.",
    "transparent": "The picture is wholly transparent; its transparency is left out.",
}
"""By code."""

_LONGEST = 4096  # bytes of all facts of a picture
_MOST = 12
_MOST_CHARACTERS = 60  # of a value


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that had to be decided.

    Attributes
    ----------
    code : str
        A key of SENTENCES.
    values : mapping
        What its sentence names.
    """

    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The same as a sentence."""
        return SENTENCES[self.code].format_map(self.values)

    def as_json(self) -> dict[str, Any]:
        """Give the entry of an answer's JSON."""
        return {"code": self.code, "text": self.text, "values": dict(self.values)}


def pack_facts(facts: Iterable[Fact]) -> bytes:
    """Pack facts for another process."""
    return json.dumps([[fact.code, dict(fact.values)] for fact in facts]).encode()


def unpack_facts(packed: bytes) -> tuple[Fact, ...]:
    """Unpack facts, trusting nothing: what is no fact is left out."""
    try:
        entries = json.loads(packed[:_LONGEST]) if packed else []
    except (ValueError, RecursionError):
        return ()
    facts = []
    for entry in entries[:_MOST] if isinstance(entries, list) else ():
        match entry:
            case [str(code), dict(values)] if code in SENTENCES:
                kept = {
                    str(k)[:_MOST_CHARACTERS]: v if isinstance(v, int) else str(v)[:_MOST_CHARACTERS]
                    for k, v in list(values.items())[:_MOST]
                }
                try:
                    _ = Fact(code, kept).text
                except (KeyError, ValueError, IndexError):
                    continue
                facts.append(Fact(code, kept))
    return tuple(facts)
