"""Decide what is said of an example: the one rule that page, history, API, command line and reports follow.

In this order: `unusable` (quality), `refused` (foreign or inverted), `flagged` (a finding is at or over its line, or is
the most probable label), `unclear` (too close to call), `clear` (not flagged, which is no all-clear), `answered`
(nothing is looked for).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medloupe.data.labels import Roles
from medloupe.metrics.lines import MOST_PROBABLE, FlagRule
from medloupe.model.boxes import FoundBox
from medloupe.model.cells import AskedCells, Estimate
from medloupe.model.legibility import answers_photographs
from medloupe.model.measurements import Measurement, read_measurements

State = Literal["unusable", "refused", "flagged", "unclear", "clear", "answered", "pilot"]
FEWEST_BEATS, LEAST_SHARE = 2, 0.01
"""Beats, and share of all, from which on a finding among the beats of a recording is flagged."""
MOST_REFUSED = 1 / 3  # share of the things found on a picture, above which the rest is not spoken of either
STATES: tuple[State, ...] = ("unusable", "refused", "flagged", "unclear", "clear", "answered")
WITHHELD: State = "pilot"
"""The state of an answer that was recorded in a pilot and is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The reason for a state.

    Attributes
    ----------
    code : str
        "over_line", "most_probable", "close", "grade", "not_announced", "boxes", "foreign", "inverted"; of a picture
        whose things were asked about "cells", "few_cells", "no_cells", "cells_refused", "cells_unusual"; where the app
        chose also "unasked", "unfamiliar", "no_normal" and "not_meant" (model/choosing.py), "photo_corners"
        and "photo_untrained" (model/quality.py), "printed_ecg" (model/printed_ecg.py), or a code of quality.
    text : str
        The same as a sentence.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of one example.

    Attributes
    ----------
    state : str
        One of STATES, or WITHHELD.
    why : Why or None
        None where it is clear or answered.
    prediction : str
        The most probable label; "" where it is unusable or refused.
    flagged : tuple of str
        Labels flagged, the most dangerous first.
    grade : str or None
        Of ordered classes the median.
    at_least : mapping of float or None
        Of ordered classes the probability of each grade or a worse one.
    """

    state: State
    why: Why | None
    prediction: str
    flagged: tuple[str, ...] = ()
    grade: str | None = None
    at_least: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a card says of deciding.

    Attributes
    ----------
    roles : Roles
        Of the labels.
    rule : FlagRule
        When a label is flagged.
    thresholds : np.ndarray
        float32 (K,), operating points of all labels, as the card has them; one half where it has none.
    top : int or None
        How many labels are shown; None for all.
    scope : tuple of str
        Whom and what the check-up is for, in up to three short lines.
    weak : bool
        Whether it misses too many.
    calibrated : bool
        Whether its percentages were shown to hold.
    legacy : bool
        Made before roles were in cards: by the names of the labels, and never unclear.
    false_flags : float or None
        Share of examples without a finding that were flagged when it was judged; None where that is not known.
    count_lines : tuple of float
        Of a detector, by label the score from which on its boxes are counted, above 1 where none are.
    measurements : tuple of Measurement
        What is computed from its boxes.
    crops : tuple of str
        Labels of the boxes that it takes crops of; () of one that looks at whole pictures.
    photographs : bool
        Whether photographs of a screen, film or print are answered (model/legibility.py).
    """

    task: str
    labels: tuple[str, ...]
    roles: Roles
    rule: FlagRule
    thresholds: np.ndarray
    top: int | None
    scope: tuple[str, ...] = ()
    weak: bool = False
    calibrated: bool = False
    legacy: bool = False
    false_flags: float | None = None
    count_lines: tuple[float, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    crops: tuple[str, ...] = ()
    photographs: bool = True

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Decision:
        """Read a card; what it lacks is recognised by the names of its labels."""
        labels, task = tuple(card["labels"]), str(card["task"])
        roles = Roles.from_json(labels, card.get("roles"))
        decision = card.get("decision") or {}
        points = {row["label"]: row["operating_point"].get("threshold") for row in card.get("per_label") or ()}
        limits = np.array([0.5 if points.get(n) is None else points[n] for n in labels], np.float32)
        top = np.float32(MOST_PROBABLE if task == "multiclass" else 1.0)
        quiet = decision.get("not_announced") or ()
        return cls(
            task=task,
            labels=labels,
            roles=roles,
            rule=FlagRule(
                task=task,
                sought=roles.sought,
                announced=np.array([n not in quiet for n in labels], bool),
                settled=roles.settled,
                lines=np.where(roles.sought, np.minimum(limits, top), limits),
                unclear_from=decision.get("unclear"),
            ),
            thresholds=limits,
            top=card.get("top_shown"),
            scope=tuple(card.get("scope") or ()),
            weak=bool(decision.get("weak")),
            calibrated=bool(decision.get("calibrated")),
            legacy=not card.get("roles"),
            count_lines=_read_count_lines(labels, card, limits),
            measurements=read_measurements(card),
            crops=tuple((card.get("crop") or {}).get("labels") or ()),
            photographs=answers_photographs(card),
            false_flags=((decision.get("measured") or {}).get("flagged_without") or {}).get("value"),
        )

    def require_crop(self, cropped: bool) -> Why | None:
        """Say why a picture is not answered that is not said to be a crop; None where crops are not needed."""
        if cropped or not self.crops:
            return None
        text = (
            f"This check-up looks at crops of {', '.join(self.crops)} alone, and nobody said that this is one. Let a"
            " detector find what to crop to, or crop the picture and say so."
        )
        return Why(code="whole_picture", text=text)

    def line(self, label: str) -> float | None:
        """Give the probability from which a label is flagged; None of one that never is."""
        k = self.labels.index(label)
        return float(self.rule.lines[k]) if (self.rule.sought & self.rule.announced)[k] else None

    def decide(self, p: np.ndarray, *, refused: Why | None = None, unusable: Why | None = None) -> Said:
        """Decide what is said of probabilities (K,).

        Parameters
        ----------
        p : np.ndarray
            (K,), calibrated.
        refused : Why, optional
            Why the example is not judged: it is foreign, or inverted.
        unusable : Why, optional
            What is wrong with its quality.
        """
        if unusable is not None:
            return Said(state="unusable", why=unusable, prediction="")
        if refused:
            return Said(state="refused", why=refused, prediction="")
        flags = self.rule.flags(p)
        prediction = self.labels[int(p.argmax())]
        at_least, grade = self._grade(p)
        known = {"prediction": prediction, "grade": grade, "at_least": at_least}
        if flags.any():
            flagged = self.by_danger([n for n, up in zip(self.labels, flags, strict=True) if up], p)
            return Said(state="flagged", why=self._why_flagged(flagged, p), flagged=flagged, **known)
        if self.rule.unclear(p) or (grade is not None and self.roles.of(grade) == "sought"):
            return Said(state="unclear", why=self._why_unclear(prediction), **known)
        return Said(state="clear" if self.rule.sought.any() else "answered", why=None, **known)

    def decide_beats(self, p: np.ndarray) -> Said:
        """Decide what is said of a recording whose beats have probabilities p (N, K).

        A finding is flagged where two beats and a hundredth of all show it, by their flags and by the mean of its
        probability; where fewer do, the answer is unclear.
        """
        mean = p.mean(0)
        each = self.rule.flags(p)
        hidden = self.rule.leading(p) & self.rule.sought & ~self.rule.announced
        counts, unsure = each.sum(0), hidden.sum()
        least = max(FEWEST_BEATS, LEAST_SHARE * len(p))
        up = [n for k, n in enumerate(self.labels) if counts[k] >= least and mean[k] >= LEAST_SHARE]
        prediction = self.labels[int(mean.argmax())]
        if up:
            flagged = self.by_danger(up, mean)
            n = int(counts[self.labels.index(flagged[0])])
            text = f"{n:,} of {len(p):,} beats are {flagged[0]}."
            return Said(state="flagged", why=Why(code="beats", text=text), prediction=prediction, flagged=flagged)
        if counts.any() or unsure >= least or self.roles.of(prediction) == "sought":
            n = int(counts.sum() + unsure)
            text = f"{n:,} of {len(p):,} beats look unusual, too few or too unsure to be called. Have them looked at."
            return Said(state="unclear", why=Why(code="few_beats", text=text), prediction=prediction)
        return Said(state="clear" if self.rule.sought.any() else "answered", why=None, prediction=prediction)

    def decide_boxes(
        self,
        p: np.ndarray,
        boxes: Sequence[FoundBox],
    ) -> Said:
        """Decide what is said of a picture in which boxes were found.

        A finding is flagged where one of its boxes has a score at or over its line.

        Parameters
        ----------
        p : np.ndarray
            (K,), of the whole picture, calibrated.
        boxes : sequence of FoundBox
            What was found.
        """
        best: dict[str, float] = {}
        for box in boxes:
            best[box.label] = max(box.score, best.get(box.label, 0.0))
        up = [n for n in self.labels if (line := self.line(n)) is not None and best.get(n, 0.0) >= line]
        prediction = self.labels[int(p.argmax())]
        if up:
            flagged = self.by_danger(up, np.array([best.get(n, 0.0) for n in self.labels]))
            first = flagged[0]
            text = (
                f"A place is marked as {first} with {best[first]:.1%}, at or over its line of {self.line(first):.1%}."
            )
            return Said(state="flagged", why=Why(code="boxes", text=text), prediction=prediction, flagged=flagged)
        return Said(state="clear" if self.rule.sought.any() else "answered", why=None, prediction=prediction)

    def decide_cells(self, asked: AskedCells) -> Said:
        """Decide what is said of a picture whose things, such as cells, were each asked about.

        A finding is flagged where more things are flagged than would be if none had it; where that cannot be told from
        mistakes the answer is unclear. Where more than MOST_REFUSED of the things are foreign, or too
        many lie at the edge of what the check-up knows, as with another stain, nothing is said.
        """
        what, of = asked.what, f"{asked.judged:,} {asked.what}"
        if not asked.cells:
            why = Why(code="no_cells", text=f"No {what} was found, so that nothing could be asked about it.")
            return Said(state="unclear", why=why, prediction="")
        if asked.refused > MOST_REFUSED * len(asked.cells):
            text = f"{asked.refused:,} of {len(asked.cells):,} {what} are unlike those that {asked.checkup} knows."
            return Said(state="refused", why=Why(code="cells_refused", text=text), prediction="")
        if asked.is_unusual:
            text = (
                f"{asked.unusual:,} of {len(asked.cells):,} {what} lie farther from those that {asked.checkup} learned"
                " from than 97 in 100 of these: stained, prepared or taken otherwise. Flags on them say nothing."
            )
            return Said(state="refused", why=Why(code="cells_unusual", text=text), prediction="")
        prediction = self.labels[int(asked.mean.argmax())]
        certain = [e for e in asked.estimates if e.certain]
        if certain:
            flagged = self.by_danger([e.label for e in certain], asked.mean)
            first = next(e for e in certain if e.label == flagged[0])
            text = f"{first.flagged:,} of {of} are flagged as {first.label}; {_word_mistakes(first)}"
            return Said(state="flagged", why=Why(code="cells", text=text), prediction=prediction, flagged=flagged)
        doubtful = max(asked.estimates, key=lambda e: e.flagged, default=None)
        if doubtful is not None and (doubtful.flagged or self.roles.of(prediction) == "sought"):
            text = (
                f"{doubtful.flagged:,} of {of} are flagged as {doubtful.label}. {_word_mistakes(doubtful)} That says"
                " neither that there are some nor that there are none. Have it looked at."
            )
            return Said(state="unclear", why=Why(code="few_cells", text=text), prediction=prediction)
        return Said(state="clear" if self.rule.sought.any() else "answered", why=None, prediction=prediction)

    def of_boxes(self, boxes: Sequence[FoundBox]) -> dict[str, Any]:
        """Give what an answer tells of its boxes: the boxes, the lines from which they are marked, and how many."""
        counted = [b.label for b in boxes if b.score >= self.count_lines[self.labels.index(b.label)]]
        quiet = [n for n, up in zip(self.labels, self.rule.announced, strict=True) if not up]
        return {
            "boxes": tuple(boxes),
            "lines": {n: float(line) for n, line in zip(self.labels, self.thresholds, strict=True) if n not in quiet},
            "counts": {n: counted.count(n) for n in self.labels},
        }

    def by_danger(self, labels: Sequence[str], p: np.ndarray) -> tuple[str, ...]:
        """Put labels in order: the most dangerous first, of equals the most probable."""
        return tuple(sorted(labels, key=lambda n: (self.roles.danger.get(n, 1), -p[self.labels.index(n)])))

    def labels_shown(self, p: np.ndarray) -> Sequence[int]:
        """List which labels an answer shows, by number, in what order."""
        return np.argsort(-p)[: self.top].tolist() if self.top else range(len(self.labels))

    def _grade(self, p: np.ndarray) -> tuple[Mapping[str, float] | None, str | None]:
        if not self.roles.ordered:
            return None, None
        reach = np.minimum(p[::-1].cumsum()[::-1], 1.0)
        median = int(np.flatnonzero(reach >= MOST_PROBABLE)[-1]) if (reach >= MOST_PROBABLE).any() else 0
        return {n: float(v) for n, v in zip(self.labels, reach, strict=True)}, self.labels[median]

    def _why_flagged(self, flagged: Sequence[str], p: np.ndarray) -> Why:
        first = flagged[0]
        k = self.labels.index(first)
        at, line = f"{p[k]:.1%}", float(self.rule.lines[k])
        if np.float32(p[k]) >= self.rule.lines[k]:
            return Why(code="over_line", text=f"{first} is at {at}, at or over its line of {line:.1%}.")
        return Why(code="most_probable", text=f"{first} is the most probable label, at {at}.")

    def _why_unclear(self, prediction: str) -> Why:
        if self.roles.of(prediction) == "sought":
            text = f"{prediction} is the most probable label, but such calls are hardly ever right. Have it looked at."
            return Why(code="not_announced", text=text)
        return Why(code="close", text="It is too close to call. Have it looked at.")


def _word_mistakes(estimate: Estimate) -> str:
    """Say how many would be flagged by mistake."""
    if estimate.mistakes is None:
        return "How many would be flagged by mistake is not known."
    return f"If none had it, about {estimate.mistakes:.0f} would be flagged by mistake, up to {estimate.most_mistakes}."


def _read_count_lines(labels: Sequence[str], card: Mapping[str, Any], marks: np.ndarray) -> tuple[float, ...]:
    """Read from which scores on a detector's boxes are counted; as they are marked where its card does not say."""
    rows = {row.get("label"): row for row in (card.get("detection") or {}).get("per_label") or ()}
    found = []
    for name, mark in zip(labels, marks, strict=True):
        line = (rows.get(name) or {}).get("count_line", float(mark))
        found.append(2.0 if line is None else float(line))
    return tuple(found)
