"""Encode clinical columns: what a table says beside the picture, as numbers of which 0 means "nothing is known".

A number enters as itself and as hinges at a few quantiles, so that its effect need not be a straight line; a category
as one number a value. All are centred on the training data: a missing value counts as the average patient's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medloupe.data.values import LONGEST, is_age_column, is_stated, normalise_answer, parse_number, parse_numbers
from medloupe.errors import ClinicalError
from medloupe.inputs.limits import MOST_CHOICES, MOST_POOLED
from medloupe.utils.validation import read_entry

if TYPE_CHECKING:
    from medloupe.inputs.schema import ColumnEntry

OFTEN_MISSING = 0.02  # share of training rows from which a missing value is told apart from an average one
_FEWEST = 10  # stated values below which a column cannot be learned from
_RARE = 0.01  # share below which a category is pooled with other rare ones
_A_KNOT = 50  # stated values for each knot
_USUAL_KNOTS = 4
_MANY = 5_000  # stated values from which there are enough to bend in the tails, too, where rare things show
_IN_THE_TAILS = (0.02, 0.05, 0.15, 0.4, 0.6, 0.85, 0.95, 0.98)
_UNIT = re.compile(r"[(\[]([^()\[\]]{1,16})[)\]]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One clinical column as learned from training rows.

    Attributes
    ----------
    kind
        number or category.
    missing
        Whether a last number says that the value is missing.
    low, high
        Of a number, what values are held to (0.5 and 99.5 percentile).
    usual
        Of a number, the 1 and 99 percentile, for hints.
    knots
        Of a number, where hinges begin.
    mean, spread
        Of a number, float32 (1 + knots,), of the value and its hinges in training.
    choices
        Of a category, in order.
    share
        Of a category, float32 of each choice, in training.
    pooled
        Of a category, rare values that share the last number, of which `share` then has one more.
    """

    name: str
    kind: Literal["number", "category"]
    missing: bool
    low: float = 0
    high: float = 0
    usual: tuple[float, float] = (0, 0)
    knots: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()
    choices: tuple[str, ...] = ()
    pooled: tuple[str, ...] = ()
    share: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers encode it."""
        return (1 + len(self.knots) if self.kind == "number" else len(self.share)) + self.missing

    @property
    def unit(self) -> str:
        """Its unit where the name tells: "weight (kg)"; ages are in years."""
        if self.kind != "number":
            return ""
        found = _UNIT.fullmatch(self.name[max(self.name.rfind("("), self.name.rfind("["), 0) :].rstrip())
        return found[1].strip() if found else "years" if is_age_column(self.name) else ""

    @classmethod
    def fit(cls, name: str, values: Sequence[str | None]) -> Column | None:
        """Learn a column from the training rows' values.

        None for a column that says nothing (constant, empty, hardly ever stated) or names each row (identifiers, free
        text).
        """
        said = [v.strip() for v in values if v is not None and is_stated(v)]
        if len(said) < _FEWEST:
            return None
        missing = len(said) < (1 - OFTEN_MISSING) * len(values)
        known = np.array(parse_numbers(said, name))
        distinct = np.unique(known)
        if len(known) >= 0.95 * len(said) and len(distinct) > 2:
            return cls._number(name, known, missing)
        return cls._category(name, said, missing)

    @classmethod
    def _number(cls, name: str, x: np.ndarray, missing: bool) -> Column | None:
        low, first, last, high = (float(v) for v in np.quantile(x, (0.005, 0.01, 0.99, 0.995), method="nearest"))
        x = np.clip(x, low, high)
        if high - low <= 0:
            return None
        count = min(_USUAL_KNOTS, len(np.unique(x)) - 2, len(x) // _A_KNOT)
        shares = _IN_THE_TAILS if len(x) >= _MANY and count == _USUAL_KNOTS else np.arange(1, count + 1) / (count + 1)
        at = np.unique(np.quantile(x, shares)) if count > 0 else np.empty(0)
        knots = tuple(float(v) for v in at if low < v < high)
        parts = _add_hinges(x, knots)
        spread = parts.std(0)
        return cls(
            name=name,
            kind="number",
            missing=missing,
            low=low,
            high=high,
            usual=(first, last),
            knots=knots,
            mean=tuple(parts.mean(0).tolist()),
            spread=tuple(np.maximum(spread, 1e-6 * (high - low)).tolist()),
        )

    @classmethod
    def _category(cls, name: str, said: list[str], missing: bool) -> Column | None:
        spelled: dict[str, Counter[str]] = {}
        for v in said:
            spelled.setdefault(normalise_answer(v), Counter())[v] += 1
        counts = {c.most_common(1)[0][0]: c.total() for c in spelled.values()}
        if len(counts) < 2 or len(counts) > 0.5 * len(said) or max(map(len, counts)) > LONGEST:
            return None
        order = sorted(counts, key=lambda v: (-counts[v], v))
        least = max(5, _RARE * len(said))
        choices = [v for v in order[:MOST_CHOICES] if counts[v] >= least]
        rest = [v for v in order if v not in choices]
        pooled = sum(counts[v] for v in rest)
        if not choices or len(choices) + (pooled >= least) < 2:
            return None
        share = [counts[v] / len(said) for v in choices]
        if pooled >= least:
            share.append(pooled / len(said))
        return cls(
            name=name,
            kind="category",
            missing=missing,
            choices=tuple(choices),
            pooled=tuple(rest[:MOST_POOLED]) if pooled >= least else (),
            share=tuple(share),
        )

    def describe(self, value: str | None) -> str:
        """Say in words how a value is taken; "" when it says nothing.

        Raises
        ------
        ClinicalError
            It cannot be read.
        """
        if value is None or not is_stated(value):
            return ""
        if self.kind == "category":
            place = self._place(value)
            if place is None:
                return f"{value.strip()[:LONGEST]} (not seen in training, not used)"
            return self.choices[place] if place < len(self.choices) else value.strip()
        x = self._read(value)
        held = min(max(x, self.low), self.high)
        words = _format_number(x) + (f" {self.unit}" if self.unit else "")
        if held == x:
            return words
        end = "highest" if x > held else "lowest"
        return f"{words} (taken as {_format_number(held)}, the {end} in training)"

    def encode(self, values: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
        """Encode values; a missing one is 0 but for its own number, as is a category not seen in training.

        Returns
        -------
        np.ndarray, np.ndarray
            float32 (N, width), and bool (N,), which are stated.

        Raises
        ------
        ClinicalError
            A number cannot be read.
        """
        encoded = np.zeros((len(values), self.width), np.float32)
        rows, found = [], []
        for i, v in enumerate(values):
            if v is None or not is_stated(v):
                continue
            x = self._read(v) if self.kind == "number" else self._place(v)
            if x is not None:
                rows.append(i)
                found.append(x)
        known = np.zeros(len(values), bool)
        known[rows] = True
        if self.kind == "number":
            parts = _add_hinges(np.clip(np.array(found, float), self.low, self.high), self.knots)
            encoded[rows, : parts.shape[1]] = (parts - self.mean) / self.spread
        elif rows:
            encoded[rows, : len(self.share)] = np.eye(len(self.share))[found] - self.share
        if self.missing:
            encoded[~known, -1] = 1
        return encoded, known

    def drop_unreadable(self, values: Sequence[str | None]) -> list[str | None]:
        """Leave out the values that cannot be read."""
        if self.kind == "category":
            return list(values)
        return [v if v is None or parse_number(v, self.name) is not None else None for v in values]

    def _read(self, value: str) -> float:
        x = parse_number(value, self.name, self.unit, usual=self.high)
        if x is None:
            low, high = map(_format_number, self.usual)
            unit = f" in {self.unit}" if self.unit else ""
            raise ClinicalError(self.name, value, f"a number{unit}, usually {low} to {high}")
        return x

    def _place(self, value: str) -> int | None:
        """Find which number of a category stands for the value."""
        wanted = normalise_answer(value)
        for i, choice in enumerate(self.choices):
            if normalise_answer(choice) == wanted:
                return i
        return len(self.choices) if wanted in {normalise_answer(v) for v in self.pooled} else None

    def field(self) -> dict[str, Any]:
        """Give what forms and cards say of it, as JSON."""
        said: dict[str, Any] = {"name": self.name, "kind": self.kind, "label": self.name.replace("_", " ")}
        if self.kind == "category":
            return {**said, "choices": [*self.choices, *self.pooled]}
        low, high = (float(f"{v:.4g}") for v in self.usual)
        return {**said, "low": low, "high": high, **({"unit": self.unit} if self.unit else {})}

    def as_json(self) -> dict[str, Any]:
        """Give all of it, in types that JSON has."""
        return {
            "name": self.name,
            "kind": self.kind,
            "missing": self.missing,
            "numbers": [self.low, self.high, *self.usual, *self.mean, *self.spread, *self.share],
            "knots": list(self.knots),
            "choices": list(self.choices),
            "pooled": list(self.pooled),
        }

    @classmethod
    def from_json(cls, entry: object) -> Column:
        """Read back from as_json, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        from medloupe.inputs.schema import COLUMN_SENTENCES, ColumnEntry

        return cls.from_entry(read_entry(ColumnEntry, entry, COLUMN_SENTENCES))

    @classmethod
    def from_entry(cls, entry: ColumnEntry) -> Column:
        """Read back from an entry that was checked."""
        column, rest = cls(name=entry.name, kind=entry.kind, missing=entry.missing), tuple(entry.numbers[4:])
        if entry.kind == "category":
            return replace(column, choices=tuple(entry.choices), pooled=tuple(entry.pooled), share=rest)
        low, high, first, last = entry.numbers[:4]
        mean, spread = rest[: entry.parts], rest[entry.parts :]
        knots = tuple(entry.knots)
        return replace(column, low=low, high=high, usual=(first, last), knots=knots, mean=mean, spread=spread)


def encode(columns: Sequence[Column], rows: Sequence[Mapping[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Encode columns side by side.

    A row that states none of them is 0 throughout, so that a missing table is no information.

    Returns
    -------
    np.ndarray, np.ndarray
        float32 (N, F), and bool (N, columns), which are stated.

    Raises
    ------
    ClinicalError
        A number cannot be read.
    """
    parts = [c.encode([r.get(c.name) for r in rows]) for c in columns]
    if not parts:
        return np.zeros((len(rows), 0), np.float32), np.zeros((len(rows), 0), bool)
    encoded, known = np.concatenate([p for p, _ in parts], axis=1), np.column_stack([k for _, k in parts])
    encoded[~known.any(1)] = 0
    return encoded, known


def _add_hinges(x: np.ndarray, knots: Sequence[float]) -> np.ndarray:
    """Put beside x what it exceeds each knot by, float64 (N, 1 + knots)."""
    return np.column_stack([x, *(np.maximum(x - k, 0) for k in knots)]) if len(x) else np.zeros((0, 1 + len(knots)))


def _format_number(x: float) -> str:
    return f"{x:.6g}" if not 1e6 <= abs(x) < 1e15 else f"{x:.0f}"
