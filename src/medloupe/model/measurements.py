"""Compute measurements from boxes: ratios of widths, heights or areas that boxes span, as a card describes them.

A measurement is written `NAME = SIDE(label + label …) / SIDE(label …)`, such as the cardiothoracic ratio:

    ctr = width(heart) / width(left_lung + right_lung)

SIDE is `width` or `height` of the smallest rectangle around all boxes named, or `area` of them together, in pixels of
the picture as given; a ratio of a width to a height needs square pixels. Of each label the surest box counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.errors import DataError
from medloupe.model.boxes import FoundBox

SIDES = ("width", "height", "area")
_TERM = re.compile(r"\s*([a-z]+)\s*\(([^()/=]+)\)\s*\Z")
_NAME = re.compile(r"[^\W\d]\w{0,39}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is measured of some boxes. side: one of SIDES; of: their labels."""

    side: str
    of: tuple[str, ...]

    def measure(self, boxes: Mapping[str, FoundBox]) -> float:
        """Measure the rectangle around the boxes of its labels, in pixels (or their square)."""
        own = [boxes[name] for name in self.of]
        width = max(b.x + b.width for b in own) - min(b.x for b in own)
        height = max(b.y + b.height for b in own) - min(b.y for b in own)
        return {"width": width, "height": height, "area": width * height}[self.side]

    def __str__(self) -> str:
        """Write it as it is typed."""
        return f"{self.side}({' + '.join(self.of)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement of one picture.

    Attributes
    ----------
    name : str
        Of the measurement.
    value, low, high : float or None
        And its 95 % interval; None where it could not be measured, or its error is not known.
    why : str
        Why it could not be measured; "" where it was.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Give all fields; `why` only where there is one."""
        told = {"name": self.name, "value": self.value, "low": self.low, "high": self.high}
        return {**told, "why": self.why} if self.why else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A ratio of two spans.

    Attributes
    ----------
    name : str
        Short, such as ctr.
    over, under : Span
        What is divided by what.
    below, above : float or None
        How far the truth lay below and above what was measured on pictures not seen, in all but the last few of 100.
    """

    name: str
    over: Span
    under: Span
    below: float | None = None
    above: float | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the boxes that it needs."""
        return tuple(dict.fromkeys((*self.over.of, *self.under.of)))

    def __str__(self) -> str:
        """Write it as it is typed."""
        return f"{self.name} = {self.over} / {self.under}"

    def as_json(self) -> dict[str, Any]:
        """Give the entry of a card, as `from_json` reads it."""
        return {"name": self.name, "formula": str(self), "below": self.below, "above": self.above}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Measurement:
        """Read the entry of a card. Raises DataError where its formula is none."""
        made = parse_measurement(str(entry["formula"]))
        return cls(name=made.name, over=made.over, under=made.under, below=entry.get("below"), above=entry.get("above"))

    def ratio(self, boxes: Mapping[str, FoundBox]) -> float | None:
        """Compute it from one box of each label; None where one is missing, or has no size."""
        if any(name not in boxes for name in self.labels):
            return None
        under = self.under.measure(boxes)
        return self.over.measure(boxes) / under if under > 0 else None

    def measure(self, boxes: Sequence[FoundBox], lines: Mapping[str, float]) -> Measured:
        """Measure a picture. lines: by label the score from which a box is marked; others do not count."""
        surest: dict[str, FoundBox] = {}
        for box in boxes:
            if box.score >= lines.get(box.label, 2.0) and (
                box.label not in surest or box.score > surest[box.label].score
            ):
                surest[box.label] = box
        value = self.ratio(surest)
        if value is None:
            missing = [name for name in self.labels if name not in surest]
            return Measured(name=self.name, value=None, why=f"not found: {', '.join(missing) or 'a box with a size'}")
        known = self.below is not None and self.above is not None
        return Measured(
            name=self.name,
            value=value,
            low=value - self.below if known and self.below is not None else None,
            high=value + self.above if known and self.above is not None else None,
        )


def parse_measurement(text: str) -> Measurement:
    """Read a measurement as it is typed. Raises DataError."""
    name, equals, formula = text.partition("=")
    parts = formula.split("/")
    found = [_TERM.match(part) for part in parts]
    if not equals or not _NAME.match(name.strip()) or len(parts) != 2 or None in found:
        raise DataError(
            f"{text!r} is no measurement.", "Write for example: ctr = width(heart) / width(left_lung + right_lung)"
        )
    spans = []
    for match in found:
        assert match is not None
        side, of = match[1], tuple(n.strip() for n in match[2].split("+"))
        if side not in SIDES or not all(of):
            raise DataError(f"{text!r} measures {side!r}.", f"Known are {', '.join(SIDES)} of boxes by their labels.")
        spans.append(Span(side=side, of=of))
    return Measurement(name=name.strip(), over=spans[0], under=spans[1])


def read_measurements(card: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """Read the measurements that a card describes."""
    return tuple(Measurement.from_json(entry) for entry in card.get("measurements") or ())
