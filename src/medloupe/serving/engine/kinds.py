"""The table of how check-ups that read no pictures are asked, and what is kept of what was sent.

Pictures are asked by `pictures.Answerer` itself, which has the decoders and the router. Kinds added from outside are
asked by what their entries in data/modalities and embed/modalities say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from medloupe.data.modalities import MODALITIES, Modality, recognise_upload
from medloupe.ecg.parsers import EcgParsers
from medloupe.ecg.recording_files import Source
from medloupe.errors import NotAnImageError
from medloupe.inference.examples import refusal
from medloupe.model.prediction import Refusal
from medloupe.serving.engine import ecg, ecg_storage, examples
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.windows import Run
from medloupe.utils.tables import Table


class Asking(ABC):
    """How check-ups of one kind are asked. name: the kind's, as in data/modalities."""

    name: str

    @abstractmethod
    def ask(
        self, run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None
    ) -> list[Answer]:
        """Get the answers of check-ups of this kind to an example, in order. Raises ImageError, ClinicalError.

        parsers: the processes that read ECGs.
        """

    @abstractmethod
    def choose(
        self, run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None
    ) -> Answer:
        """Get the answer of the check-up that fits an example best. checkups: of this kind, at least one."""

    @abstractmethod
    def refusal(self, checkup: CheckUp, novelty: float | None) -> Refusal | None:
        """Say why an example of this novelty is not judged; None where it is."""

    @abstractmethod
    def pack(self, data: Source) -> tuple[str, bytes]:
        """Return under what suffix an example is kept, and its bytes."""


class _EcgAsking(Asking):
    name = "ecg"

    def ask(
        self, run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None
    ) -> list[Answer]:
        return ecg.ask(run, checkups, question, parsers)

    def choose(
        self, run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None
    ) -> Answer:
        return ecg.choose(run, checkups, question, parsers)

    def refusal(self, checkup: CheckUp, novelty: float | None) -> Refusal | None:
        return ecg.refusal(checkup, novelty)

    def pack(self, data: Source) -> tuple[str, bytes]:
        return ecg_storage.pack(data)


class _AddedAsking(Asking):
    def __init__(self, kind: Modality):
        self.name = kind.name
        self._kind = kind

    def ask(
        self, run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None
    ) -> list[Answer]:
        return examples.ask(run, checkups, question)

    def choose(
        self, run: Run, checkups: Sequence[CheckUp], question: Question, parsers: EcgParsers | None = None
    ) -> Answer:
        return examples.choose(run, checkups, question)

    def refusal(self, checkup: CheckUp, novelty: float | None) -> Refusal | None:
        return refusal(self._kind, checkup.name, novelty)

    def pack(self, data: Source) -> tuple[str, bytes]:
        return (min(self._kind.suffixes)[1:], data) if isinstance(data, bytes) else ecg_storage.pack(data)


ASKING: Table[Asking] = Table("asking", _EcgAsking())


def asking(kind: str) -> Asking:
    """Find how check-ups of a kind other than pictures are asked."""
    return ASKING.find(kind) or _AddedAsking(MODALITIES[kind])


def select_by_kind(checkups: Sequence[CheckUp], data: Source, file: str) -> list[CheckUp]:
    """Select the check-ups that read what was sent, by its kind."""
    sent = recognise_upload(data, file).name
    return [c for c in checkups if c.modality == sent]


def not_a_picture_error(file: str, sent: Modality, checkups: Iterable[CheckUp]) -> NotAnImageError:
    """Make the error for an example of another kind that was sent to a check-up of pictures."""
    able = ", ".join(c.name for c in checkups if c.modality == sent.name)
    many = f"{sent.many[:1].upper()}{sent.many[1:]}"
    return NotAnImageError(
        f"{file or 'The file'} is {sent.a_file}, not a picture.",
        f"{many} are read by: {able}." if able else f"No check-up here reads {sent.many}.",
    )
