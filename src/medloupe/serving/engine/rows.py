"""Make of an answer what is written down: its row in the journal, and the line that says who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medloupe.accounts.log import REQUEST_ID, audit_row
from medloupe.accounts.person import Person
from medloupe.serving.engine import ecg_storage
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.journal import drop_input_values, shorten_answers
from medloupe.store.tables import now

if TYPE_CHECKING:
    from medloupe.model.prediction import Prediction


def journal_row(answer: Answer, person: Person, suffix: str | None) -> dict[str, Any]:
    """Make the row of PredictionRow. suffix: under which the image is kept, if it is."""
    return {
        "id": answer.id,
        "at": now(),
        "user_id": person.id,
        "model": answer.prediction.model or "",
        "version": answer.prediction.version,
        "answer": journal_json(answer, kept=suffix is not None),
        "digest": answer.digest,
        "kept": suffix,
        "state": answer.prediction.state,
    }


def asking_row(answer: Answer, person: Person) -> dict[str, Any]:
    """Make the row of AuditRow that says who asked which model and when, but not about what, nor what it said."""
    main = _called(answer.prediction)
    others = [name for other in answer.prediction.answers if (name := _called(other)) != main]
    detail = {"id": answer.id, **({"also": others} if others else {})}
    return audit_row(person.name, "predict", main, detail, REQUEST_ID.get())


def _called(prediction: Prediction) -> str:
    """Name the model that answered; "" where all refused."""
    return prediction.model if prediction.version is None else f"{prediction.model}@{prediction.version}"


def journal_json(answer: Answer, *, kept: bool) -> dict[str, Any]:
    """Make the Prediction's JSON as the journal has it, without the file's name.

    Parameters
    ----------
    answer
        What was answered.
    kept
        Whether the image is kept. Then what was given beside it is kept too, for retraining; else only which inputs
        were.
    """
    said = answer.prediction.as_json()
    del said["file"]
    if "ecg" in said:
        said["ecg"] = ecg_storage.shorten_entry(said["ecg"])
    if "answers" in said:
        said["answers"] = shorten_answers(said["answers"])
    if not kept:
        return drop_input_values(said)
    return {**said, "given": dict(answer.given)} if answer.given else said
