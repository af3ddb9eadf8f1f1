"""Read the labels of a table's rows, and settle what several rows or readers say of one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from medloupe.data.readers import cells, joined
from medloupe.data.readers.base import list_some, normalise_name
from medloupe.data.readers.column_names import GENERAL
from medloupe.data.readers.label_columns import LabelChoice
from medloupe.data.readers.label_spelling import merge_spellings
from medloupe.errors import DataError


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row of the table whose image is there."""

    place: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowReader:
    """What is needed to read the label columns of rows.

    Attributes
    ----------
    columns : tuple of str
        Names of all columns.
    rows : sequence of PlacedRow
        The rows.
    rater : str or None
        The column that names who stated the row.
    boxed : bool
        Whether each row is a box, so that an image with boxes of two kinds has two labels.
    several : bool
        Whether it was told that an image may have any number of the labels, so that this is not found out.
    """

    columns: tuple[str, ...]
    rows: Sequence[PlacedRow]
    rater: str | None = None
    boxed: bool = False
    several: bool = False

    def cells(self, column: str) -> list[str]:
        """Return one column of the rows."""
        k = self.columns.index(column)
        return [row.cells[k] for row in self.rows]

    def voters(self) -> list[str]:
        """Return who stated each row; where no column says so, every row counts for itself."""
        return self.cells(self.rater) if self.rater else [str(k) for k in range(len(self.rows))]

    def read(self, choice: LabelChoice) -> cells.Labelling:
        """Read the labels of each row.

        Parameters
        ----------
        choice : LabelChoice
            The columns that state them, at least one.

        Raises
        ------
        DataError
            For cells that are no labels.
        """
        if choice.raters:
            return self._read_raters(choice.raters)
        if len(choice.columns) > 1:
            return cells.read_indicators({name: self.cells(name) for name in choice.columns}, several=self.several)
        return self._read_column(*choice.columns)

    def _read_column(self, name: str) -> cells.Labelling:
        stated = self.cells(name)
        if joined.holds_dictionaries(stated):
            first = next(filter(None, stated))
            raise DataError(
                f"Column {name!r} holds dictionaries ({first[:60]}), which say more than labels.",
                "Add a column of labels, several of them joined by '|', and name it with --labels.",
            )
        sign = joined.find_sign(name, stated)
        if not sign and not self.boxed and cells.is_free_text(stated) and not cells.is_measure(stated):
            raise DataError(
                f"Column {name!r} holds {len(set(stated))} different texts in {len(stated)} rows, and no classes.",
                "Add a column that says the class of each, and name it with --labels.",
            )
        if cells.is_measure(stated):
            raise DataError(
                f"Column {name!r} holds {len(set(stated))} different numbers: it is a measure and no classes.",
                "Add a column that says the class of each, such as low and high, and name it with --labels.",
            )
        if self.boxed:
            # One row a box: an image with boxes of two kinds has two labels, not a contradiction.
            together = self._join_rows([_with_pipes(cell, sign) for cell in stated])
            if sign or any("|" in cell for cell in together):
                return joined.read_joined(name, together)
        if self.several and cells.is_binary(stated):
            return cells.read_indicators({name: stated}, several=True)
        if sign or self.several:
            return joined.read_joined(name, stated, sign or "|")
        # A 1/0 column named after a finding speaks of it; one called "label" or "target" has classes 0 and 1.
        if normalise_name(name) not in GENERAL and cells.is_binary(stated):
            return cells.read_presence(name, stated)
        found = cells.read_one_label(stated)
        return replace(found, notes=[*joined.note_single(name, stated), *found.notes])

    def _join_rows(self, stated: Sequence[str]) -> list[str]:
        """Return for each row all that the rows of its image say, of the same reader where that is told."""
        by_image: dict[tuple[str, str], list[str]] = {}
        keys = [(row.place, who) for row, who in zip(self.rows, self._readers(), strict=True)]
        for key, cell in zip(keys, stated, strict=True):
            by_image.setdefault(key, []).append(cell)
        return ["|".join(dict.fromkeys(filter(None, by_image[key]))) for key in keys]

    def _readers(self) -> list[str]:
        return self.cells(self.rater) if self.rater else [""] * len(self.rows)

    def _read_raters(self, raters: Sequence[str]) -> cells.Labelling:
        """Take what most of the columns say, row by row; what as many say as not states nothing."""
        columns = [self.cells(name) for name in raters]
        spelled = merge_spellings([cell for column in columns for cell in column])
        n = len(self.rows)
        votes = [[spelled.cells[k * n + i] for k in range(len(raters))] for i in range(n)]
        said = [Counter(filter(cells.states_label, row)) for row in votes]
        settled = ["" if (top := _most_said(row)) is None else top for row in said]
        found = cells.read_one_label(settled)
        differ = sum(len(row) > 1 for row in said)
        ties = sum(len(row) > 1 and not cell for row, cell in zip(said, settled, strict=True))
        note = (
            f"{', '.join(raters)} each state the label: the one that most of them say is taken. "
            f"They differ in {differ} of {n} rows ({differ / max(1, n):.0%})"
            + (f", {ties} of them evenly: these count as unlabelled." if ties else ".")
        )
        return replace(found, notes=[note, *spelled.notes, *found.notes])


def _with_pipes(cell: str, sign: str | None) -> str:
    return "|".join(part.strip() for part in cell.split(sign)) if sign and sign not in (joined.LIST, "|") else cell


def _most_said(votes: Mapping[str, int]) -> str | None:
    """Return what most say; None where two are said as often, or nothing is."""
    ranked = Counter(votes).most_common(2)
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


def settle_labels(reader: RowReader, labelling: cells.Labelling) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Settle the labels of each image by the majority of its rows, or of its readers.

    Returns
    -------
    labels : dict
        1 or 0 by label name, by the image's place; what as many say as not is missing.
    notes : list of str
        How many images stand in several rows, and in how many these differ.
    """
    by_place: dict[str, dict[str, dict[str, int]]] = {}
    count = Counter(row.place for row in reader.rows)
    for row, who, labels in zip(reader.rows, reader.voters(), labelling.rows, strict=True):
        said = by_place.setdefault(row.place, {})
        if labels:
            before = said.get(who, {})
            # One row a finding: what one of a reader's rows calls present is present.
            said[who] = {name: max(value, before.get(name, 0)) for name, value in (before | labels).items()}
    result: dict[str, dict[str, int]] = {}
    differing, undecided = [], []
    several = labelling.task == "multilabel"
    for place, said in by_place.items():
        votes = list(said.values())
        if all(vote == votes[0] for vote in votes[1:]):
            result[place] = votes[0] if votes else {}
            continue
        differing.append(place)
        result[place], tied = _vote_each(votes) if several else _vote_one(votes)
        if tied:
            undecided.append(place)
    twice = [place for place in by_place if count[place] > 1]
    notes = []
    if twice:
        notes.append(f"{len(twice)} images stand in several rows, such as {twice[0]}; each is one record.")
    if differing:
        notes += _note_differing(differing, undecided, len(twice), several)
    return result, notes


def _vote_one(votes: Sequence[Mapping[str, int]]) -> tuple[dict[str, int], bool]:
    top = _most_said(Counter(name for vote in votes for name in vote))
    return ({}, True) if top is None else ({top: 1}, False)


def _vote_each(votes: Sequence[Mapping[str, int]]) -> tuple[dict[str, int], bool]:
    labels: dict[str, int] = {}
    tied = False
    for name in dict.fromkeys(name for vote in votes for name in vote):
        said = [vote[name] for vote in votes if name in vote]
        if 2 * sum(said) == len(said):
            tied = True
        else:
            labels[name] = int(2 * sum(said) > len(said))
    return labels, tied


def _note_differing(differing: Sequence[str], undecided: Sequence[str], twice: int, several: bool) -> list[str]:
    decided = len(differing) - len(undecided)
    notes = []
    if decided or several:
        notes.append(
            f"{len(differing)} of them ({len(differing) / max(1, twice):.0%}) have different labels there; "
            "what most of the rows say is taken."
        )
    if undecided and several:
        notes.append(f"In {len(undecided)} as many rows say that a label is present as absent: it is missing there.")
    elif undecided:
        notes.append(
            f"{len(undecided)} of them have different labels there and count as unlabelled: {list_some(undecided)}. "
            f"That is {len(undecided) / max(1, twice):.0%} of the images in several rows. "
            "If images have several labels, join them by '|' in one cell."
        )
    return notes
