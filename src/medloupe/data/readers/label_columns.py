"""Choose the columns that state the labels: by name, by structure, or by asking."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from medloupe.data.modalities import sure_suffixes
from medloupe.data.readers import cells, joined
from medloupe.data.readers.base import list_some, normalise_name
from medloupe.data.readers.column_names import (
    GENERAL,
    NAMED,
    are_codes,
    is_about,
    is_finding,
    is_label_name,
    split_words,
)
from medloupe.data.readers.sheet import Sheet
from medloupe.errors import QuestionError

_RATER = re.compile(
    r"rater|reader|annotator|expert|radiologist|pathologist|cardiologist|ophthalmologist|dermatologist|grader|observer"
    r"|reviewer|doctor|physician",
    re.IGNORECASE,
)
_KEYS = frozenset({"id", "uid", "name", "path", "file", "url", "date", "time"})
_HALF, _WHOLE = 0.5, 0.95  # a column that states less than half is passed over for one that states nearly all
_APART = 0.05  # difference in coverage worth a word
_ENOUGH = 10  # rows; fewer are no evidence that columns exclude each other
_FEW_VALUES = 30  # different answers that a column of classes may have


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Which columns state the labels.

    Attributes
    ----------
    columns : tuple of str
        One column, or several of 1 and 0; none where nothing does.
    raters : tuple of str
        Columns in each of which one person states the same; then `columns` is empty.
    notes : tuple of str
        What was decided.
    question : QuestionError or None
        What to ask where nothing tells.
    pressing : bool
        Whether the columns hold labels in a form that is not read, so that no folder's name may stand for them.
    """

    columns: tuple[str, ...] = ()
    raters: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    question: QuestionError | None = None
    pressing: bool = False

    @property
    def used(self) -> tuple[str, ...]:
        """All columns that were chosen."""
        return self.columns + self.raters


def choose_label_columns(sheet: Sheet, taken: Collection[str | None], told: str | None) -> LabelChoice:
    """Choose the columns that state the labels.

    Parameters
    ----------
    sheet : Sheet
        The table.
    taken : collection of str
        Columns that are something else: the file, the patient, the split.
    told : str or None
        What the person says.

    Raises
    ------
    ColumnError
        For a told column that is not there.
    """
    if told:
        several = "," in told and not sheet.has_column(told)
        names = told.split(",") if several else [told]
        return LabelChoice(tuple(dict.fromkeys(sheet.find_column(name.strip()) for name in names)))
    free = [column for column in sheet.columns if column not in taken and any(sheet.cells(column))]
    usual = [column for column in sheet.usual_columns(GENERAL) if column in free]
    usual += [column for column in free if column not in usual and is_label_name(column)]
    usable = [column for column in usual if _may_be_classes(column, sheet.cells(column))]
    if usable:
        choice = _choose_named(sheet, usable)
        return replace(choice, notes=(*choice.notes, *_note_findings(sheet, free)))
    marks = [c for c in free if not is_about(c) and cells.is_binary(sheet.cells(c))]
    findings = [column for column in marks if is_finding(column)]
    named = [c for c in sheet.usual_columns(NAMED) if c in free and _may_be_classes(c, sheet.cells(c))]
    if named and len(findings) - len(set(findings) & set(named)) < 2:
        return LabelChoice((named[0],), notes=_note_others(named[0], [c for c in marks if c != named[0]]))
    raters = _find_raters(sheet, free)
    if raters:
        return LabelChoice(raters=raters)
    return _choose_marks(sheet, free, marks, findings)


def _may_be_classes(column: str, held: Sequence[str]) -> bool:
    """Tell whether cells can be labels at all: no dictionaries, measures, texts of their own or names of files."""
    if joined.holds_dictionaries(held) or cells.is_measure(held) or _hold_file_names(held):
        return False
    return not cells.is_free_text(held) or joined.find_sign(column, held) is not None


def _hold_file_names(held: Sequence[str]) -> bool:
    stated = [cell for cell in held if cells.states_label(cell)]
    suffixes = sum(PurePosixPath(cell).suffix.lower() in sure_suffixes() for cell in stated)
    return bool(stated) and 2 * suffixes > len(stated)


def _note_findings(sheet: Sheet, free: Sequence[str]) -> tuple[str, ...]:
    """Say which columns of findings stand beside the label column."""
    findings = [c for c in free if is_finding(c) and cells.is_binary(sheet.cells(c))]
    if len(findings) < 2:
        return ()
    told = shlex.quote(",".join(findings))
    return (f"The columns of findings beside it are not learned: {', '.join(findings)} (--labels {told}).",)


def _choose_named(sheet: Sheet, usual: Sequence[str]) -> LabelChoice:
    """Choose among columns named like a label: the first, unless it states next to nothing and another nearly all."""
    stated = {column: _share_stated(sheet.cells(column)) for column in usual}
    label = usual[0]
    if stated[label] < _HALF and (fuller := next((c for c in usual if stated[c] >= _WHOLE), None)):
        label = fuller
    label = _find_words(sheet, label, usual)
    others = [column for column in usual if column != label]
    if not others:
        return LabelChoice((label,))
    notes = [f"Labels are those of column {label!r}; there is also {list_some(map(repr, others))} (--labels)."]
    notes += [
        f"Column {c!r} holds several labels an image (multi-label)."
        for c in others
        if joined.find_sign(c, sheet.cells(c))
    ]
    apart = [column for column in others if abs(stated[column] - stated[label]) > _APART]
    if apart:
        shares = ", ".join(f"{column!r} in {stated[column]:.0%}" for column in apart)
        notes.append(
            f"{label!r} states a label in {stated[label]:.0%} of the rows, {shares}; "
            f"the other is chosen by --labels {shlex.quote(apart[0])}."
        )
    return LabelChoice((label,), notes=tuple(notes))


def _find_words(sheet: Sheet, label: str, usual: Sequence[str]) -> str:
    """Find a column that says in words what the label column says in numbers, row by row."""
    numbers = sheet.cells(label)
    if not all(cell.replace(".", "", 1).isdigit() for cell in numbers if cell):
        return label
    for column in usual:
        words = sheet.cells(column)
        pairs = set(zip(numbers, words, strict=True))
        if (
            len(pairs) == len(set(numbers)) == len(set(words)) > 1
            and "" not in words
            and not any(cell.replace(".", "", 1).isdigit() for cell in words)
        ):
            return column
    return label


def _share_stated(column: Sequence[str]) -> float:
    return sum(map(cells.states_label, column)) / max(1, len(column))


def _find_raters(sheet: Sheet, free: Sequence[str]) -> tuple[str, ...]:
    """Find columns in which several people state the same thing: rater1 and rater2 with the same words."""
    named = [
        column
        for column in free
        if _RATER.search(column) and not {"id", "name"} & set(split_words(column)) and not is_about(column)
    ]
    words = {column: set(filter(cells.states_label, sheet.cells(column))) for column in named}
    alike = [c for c in named if words[c] and any(words[c] & words[other] for other in named if other != c)]
    if len(alike) < 2 or any(len(words[c]) > _FEW_VALUES for c in alike):
        return ()
    return tuple(alike)


def _choose_marks(sheet: Sheet, free: Sequence[str], marks: Sequence[str], findings: Sequence[str]) -> LabelChoice:
    """Choose among columns of 1 and 0 where none is named like a label: findings, classes that exclude each other."""
    coded = [c for c in free if c not in marks and is_finding(c) and _odd_codes(sheet.cells(c))]
    absent = [c for c in free if c not in marks and is_finding(c) and _says_only_no(sheet.cells(c))]
    notes = _note_left(sheet, coded, absent)
    if are_codes(marks) or _excludes(sheet, marks):
        return LabelChoice(tuple(marks), notes=notes)
    if findings:
        first, last = marks.index(findings[0]), marks.index(findings[-1])
        # What stands between findings, coded as they are, is one of them under a name that is not known here.
        labels = tuple(marks[first : last + 1])
        left = [column for column in marks if column not in labels]
        if len(labels) > 1 or not left:
            return LabelChoice(labels, notes=(*notes, *_note_others(", ".join(labels), left)))
    others = [c for c in free if c not in marks and not is_about(c) and not _is_key(c)]
    if len(marks) == 1 and not others and not coded:
        return LabelChoice(tuple(marks), notes=notes)
    return _ask(sheet, free, marks, notes)


def _ask(sheet: Sheet, free: Sequence[str], marks: Sequence[str], notes: Sequence[str]) -> LabelChoice:
    possible = [c for c in free if not is_about(c) and not _is_key(c)]
    dictionaries = [c for c in free if joined.holds_dictionaries(sheet.cells(c))]
    measures = [c for c in possible if cells.is_measure(sheet.cells(c), 10)]
    likely = [c for c in possible if 1 < len(set(sheet.cells(c)) - {""}) <= min(_FEW_VALUES, len(sheet.rows) // 2)]
    answers = [c for c in likely or possible if c not in {*dictionaries, *measures}][:4]
    said = [f"{sheet.path} has no label column that goes by a usual name; it has: {', '.join(sheet.columns)}."]
    hint = ""
    if len(marks) > 1:
        said.append(f"{', '.join(marks)} hold 1 and 0, but may say anything.")
        answers.insert(0, ",".join(marks))
    if dictionaries:
        said.append(f"{dictionaries[0]!r} holds dictionaries ({_first(sheet, dictionaries[0])}), which are not read.")
        hint = "Add a column of labels, several of them joined by '|', and name it with --labels."
        answers = []
    elif texts := [c for c in possible if not _may_be_classes(c, sheet.cells(c)) and c not in measures]:
        said.append(f"{list_some(map(repr, texts))} holds a text or name of its own in each row, and no classes.")
        answers = [answer for answer in answers if answer not in texts]
        hint = "Add a column that says the class of each image, and name it with --labels."
    elif measures and not answers:
        hold = "hold" if len(measures) > 1 else "holds"
        said.append(f"{list_some(map(repr, measures))} {hold} numbers that measure something, and no classes.")
        hint = "Add a column that says the class of each image, such as low and high, and name it with --labels."
    question = QuestionError(
        " ".join([*said, *notes, *sheet.notes]),
        [f"--labels {shlex.quote(answer)}" for answer in dict.fromkeys(answers)],
        hint if hint or answers else "Add a column that says the class of each image, and name it with --labels.",
    )
    return LabelChoice(notes=tuple(notes), question=question, pressing=bool(dictionaries))


def _first(sheet: Sheet, column: str) -> str:
    cell = next(filter(None, sheet.cells(column)), "")
    return cell if len(cell) <= 60 else cell[:57] + "..."


def _is_key(column: str) -> bool:
    """Tell whether a column identifies rows, by its name."""
    return bool(_KEYS & set(split_words(column))) or normalise_name(column).endswith("id")


def _odd_codes(column: Sequence[str]) -> list[str]:
    """List codes beside 1 and 0 of a column that holds hardly anything else; none for other columns."""
    odd = {cell for cell in column if cells.states_label(cell) and not cells.is_mark(cell)}
    held = {cell for cell in column if cells.is_mark(cell)}
    return sorted(odd) if len(held) > 1 and len(odd) <= 4 and all(len(cell) < 12 for cell in odd) else []


def _says_only_no(column: Sequence[str]) -> bool:
    stated = {cell for cell in column if cells.states_label(cell)}
    return bool(stated) and all(cells.is_mark(cell) and not cells.is_yes(cell) for cell in stated)


def _note_left(sheet: Sheet, coded: Sequence[str], absent: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if coded:
        listed = "; ".join(f"{column!r} also holds {', '.join(_odd_codes(sheet.cells(column)))}" for column in coded)
        notes.append(
            f"Left aside, as they hold other codes than 1, 0, blank and -1 (uncertain): {listed}. "
            "To learn them, write what the codes mean as 1, 0 or blank."
        )
    if absent:
        notes.append(f"Left aside, as they are 1 in no row: {', '.join(absent)}.")
    return tuple(notes)


def _note_others(labels: str, left: Sequence[str]) -> tuple[str, ...]:
    if not left:
        return ()
    return (f"Labels are {labels}; other columns of 1 and 0 are not learned: {', '.join(left)} (--labels).",)


def _excludes(sheet: Sheet, marks: Sequence[str]) -> bool:
    """Tell whether exactly one of the columns is 1 in every row."""
    if len(marks) < 2 or len(sheet.rows) < _ENOUGH:
        return False
    columns = [sheet.cells(column) for column in marks]
    return all(sum(cells.is_yes(cell) for cell in row) == 1 for row in zip(*columns, strict=True))
