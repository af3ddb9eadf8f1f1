"""Define what can go wrong, as a tree.

    MedloupeError
    ├── DataError                  the data set as a whole: not found, no labels, one class, too few
    │   ├── ColumnError            a column named that the table lacks (offers the nearest)
    │   ├── QuestionError          it can be read in more than one way: the person is asked (exit code 2)
    │   └── UnknownLayoutError     no reader recognises the folder or file
    ├── ImageError                 one image or ECG
    │   ├── NotAnImageError        not an image format we read
    │   ├── UnreadableImageError   an image, but broken or without pixels
    │   ├── ImageTooLargeError     more pixels than allowed, told from the header
    │   └── SignalError            one ECG: cannot be read, or nothing in it can be used
    │       └── NotAnEcgError      the file is a picture or of another kind
    ├── ClinicalError              a clinical value given beside an image cannot be read
    │   └── NotesError             notes are given, and the network that reads them is not at hand
    ├── DecoderLostError           the process that decodes was ended from outside; the image is not to blame
    ├── ModelFileError             a model file
    │   ├── NotOurModelError       ONNX, but without our card or outputs
    │   └── UnsafeModelError       external data, custom operators, oversized
    ├── ParityError                the exported file does not agree with the training path
    ├── CompressionRefusedError    a model in fewer bits loses more accuracy than is allowed
    ├── StoreError                 the store: unknown model or version, cannot write
    │   ├── UnknownError           no such model, version or prediction
    │   ├── StorageError           the disk or the database fails
    │   │   ├── BusyError          another program holds the store or the database for longer than one waits
    │   │   └── RemoteError        a place elsewhere (s3://, https://) cannot be reached, read or written
    │   │       ├── RemoteMissingError    nothing lies there
    │   │       └── RemoteRefusedError    an address that is never asked, such as one of this network
    │   └── PromotionRefusedError  the candidate is worse than production, or the two cannot be compared
    ├── BackboneError              unknown backbone, or its weights are not installed
    ├── FinetuneError              this network cannot be fine-tuned here, or PyTorch is not installed
    ├── KeyReusedError             an Idempotency-Key came with another request than before
    └── ExtraError                 an optional part of the installation is missing

Each carries what happened and, as `hint`, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class MedloupeError(Exception):
    """Base of all errors raised on purpose.

    Attributes
    ----------
    message : str
        Names the thing and what was expected.
    hint : str
        What to do, or "".
    """

    exit_code = 1
    """Of the command line when it ends with this error."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class DataError(MedloupeError):
    """The data set as a whole cannot be used."""


class ColumnError(DataError):
    """A named column does not exist in the table."""

    def __init__(self, column: str, available: Iterable[str], table: str):
        names = list(available)
        super().__init__(
            f"{table} has no column {column!r}; it has: {', '.join(names)}.",
            did_you_mean(column, names),
        )


class QuestionError(DataError):
    """The data can be read in more than one way, and a wrong guess would turn the result round.

    Attributes
    ----------
    answers : tuple of str
        Options of the command line that each answer it, the likeliest first: "--labels Edema,Mass".
    """

    def __init__(self, message: str, answers: Iterable[str], hint: str = ""):
        self.answers = tuple(answers)
        super().__init__(message, hint or f"Say which: {' or '.join(self.answers)}.")


class UnknownLayoutError(DataError):
    """No reader recognises the folder or file."""


class ImageError(MedloupeError):
    """One image, or one ECG, cannot be used."""


class NotAnImageError(ImageError):
    """The bytes are of no image format that is read."""


class UnreadableImageError(ImageError):
    """An image, but truncated, broken or without pixels."""


class ImageTooLargeError(ImageError):
    """The header claims more pixels than allowed; nothing was decoded."""


class CornersError(ImageError):
    """The corners given with a photograph cannot be those of a picture in it."""


class SignalError(ImageError):
    """One ECG cannot be read, or nothing in it can be used."""


class NotAnEcgError(SignalError):
    """A picture, where an ECG was expected."""


class DecoderLostError(MedloupeError):
    """The process that decodes was ended from outside, or cannot be started; the image is not to blame."""


class ClinicalError(MedloupeError):
    """A clinical value cannot be read.

    Attributes
    ----------
    column : str
        Its name.
    value : str
        What was given.
    """

    def __init__(self, column: str, value: str, expected: str):
        shown = value if len(value) <= 60 else value[:57] + "..."
        super().__init__(f"{column} is given as {shown!r}; expected {expected}.", "Correct it, or leave it empty.")
        self.column, self.value = column, value


class NotesError(ClinicalError):
    """Notes are given, and the network that reads them is not at hand; `column` is theirs."""

    def __init__(self, column: str, message: str, hint: str):
        MedloupeError.__init__(self, message, hint)
        self.column, self.value = column, ""


class ModelFileError(MedloupeError):
    """A model file cannot be used."""


class NotOurModelError(ModelFileError):
    """An ONNX file without our card, or with other inputs and outputs."""


class UnsafeModelError(ModelFileError):
    """A model file that refers to other files, uses custom operators or is oversized."""


class ParityError(MedloupeError):
    """The exported file does not agree with the training path."""


class CompressionRefusedError(MedloupeError):
    """A model in fewer bits loses more accuracy than is allowed.

    Attributes
    ----------
    before, after : Mapping
        Its figures, as `training/compress/fidelity.py` has them.
    """

    def __init__(self, message: str, hint: str, before: Mapping[str, Any], after: Mapping[str, Any]):
        super().__init__(message, hint)
        self.before, self.after = before, after


class StoreError(MedloupeError):
    """The store lacks the model or version, or cannot be written."""


class UnknownError(StoreError):
    """There is no such model, version or prediction."""


class PilotError(MedloupeError):
    """A pilot runs, in which answers are recorded and not shown, and this would show one."""


class KeyReusedError(MedloupeError):
    """An Idempotency-Key came with another request than before."""


class StorageError(StoreError):
    """The disk or the database cannot be used, or what lies there is damaged."""

    exit_code = 74  # EX_IOERR of sysexits.h


class BusyError(StorageError):
    """Another program holds the store or the database for longer than one waits."""


class RemoteError(StorageError):
    """A place elsewhere, told by a URL, cannot be reached, read or written."""


class RemoteMissingError(RemoteError):
    """Nothing lies at a place elsewhere."""


class RemoteRefusedError(RemoteError):
    """An address that is not asked: of this machine or network, or of another kind than was allowed."""


class PromotionRefusedError(StoreError):
    """The candidate is worse than production, or the two cannot be compared.

    Attributes
    ----------
    comparison : Comparison
        What the gate saw (`metrics/gate.py`).
    """

    def __init__(self, message: str, hint: str, comparison: Any):
        super().__init__(message, hint)
        self.comparison = comparison


class BackboneError(MedloupeError):
    """The backbone is unknown or its weights are not installed."""


class FinetuneError(MedloupeError):
    """The network cannot be fine-tuned here, or PyTorch is not installed."""


class ExtraError(MedloupeError):
    """An optional part of the installation is needed and missing."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Ask whether the nearest of the choices was meant; "" where none is near."""
    by_lower = {c.lower(): c for c in choices}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"Did you mean {by_lower[near[0]]!r}?" if near else ""
