"""Make of an answer what is written down: its row in the journal, and the line that says who asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medloupe.accounts.log import audit_row
from medloupe.accounts.person import Person
from medloupe.model.decision import WITHHELD
from medloupe.serving.engine import ecg_storage
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.box_storage import pack_boxes
from medloupe.serving.engine.circumstances import ORDINARY, Circumstances
from medloupe.store.tables import now

if TYPE_CHECKING:
    from medloupe.model.prediction import Prediction

_ANSWERS_KEPT, _LABELS_KEPT = 12, 12  # of what the check-ups of one kind said beside the main answer
_OF_EACH = ("model", "version", "state", "why", "prediction", "flagged", "probabilities", "grade", "scope", "refused")


def journal_row(answer: Answer, person: Person, suffix: str | None, asked: Circumstances = ORDINARY) -> dict[str, Any]:
    """Make the row of PredictionRow.

    Parameters
    ----------
    answer
        What was answered, whether it is shown or not.
    person
        Who asked.
    suffix
        Under which the image is kept, if it is.
    asked
        Under which circumstances.
    """
    return {
        "id": answer.id,
        "at": now(),
        "user_id": person.id,
        "model": answer.prediction.model or "",
        "version": answer.prediction.version,
        "answer": journal_json(answer, kept=suffix is not None),
        "digest": answer.digest,
        "kept": suffix,
        "state": answer.prediction.state if asked.pilot is None else WITHHELD,
        "watched": answer.watched or None,
        "site": asked.site or None,
        "patient": asked.patient,
        "ms": round(sum(answer.prediction.timings.values())) or None,
        "pilot": asked.pilot,
    }


def asking_row(answer: Answer, person: Person, keyed: Callable[[str], str], request_id: str) -> dict[str, Any]:
    """Make the row of AuditRow that says who asked which model and when, but not what it said.

    The answer and the picture are named by keyed hashes: who has one of them can find its lines, nobody else can tell
    which they are.
    """
    main = _called(answer.prediction)
    others = [name for other in answer.prediction.answers if (name := _called(other)) != main]
    detail = {"answer": keyed(answer.id), "asked": keyed(answer.digest), **({"also": others} if others else {})}
    return audit_row(person.name, "predict", main, detail, request_id)


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
        if answer.prediction.ecg is not None and (told := answer.prediction.ecg.signal.told):
            said["ecg"] = {**said["ecg"], "told": dict(told)}  # by which it is read again
    if "boxes" in said:
        said["boxes"] = pack_boxes(said["boxes"], said["lines"])
    if "answers" in said:
        said["answers"] = shorten_answers(said["answers"])
    if not kept:
        return drop_input_values(said)
    return {**said, "given": dict(answer.given)} if answer.given else said


def drop_input_values(answer: dict[str, Any]) -> dict[str, Any]:
    """Drop from an answer's JSON what tells the values of the inputs given beside the picture; their names stay.

    From how an input moved the answer, its value could be found again.
    """
    if not answer.get("inputs"):
        return answer
    names = [{"name": i["name"]} for i in answer["inputs"] if i.get("value") or "effect" not in i]
    return {**{key: value for key, value in answer.items() if key != "given"}, "inputs": names}


def shorten_answers(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shorten what all check-ups of a kind said to what is remembered: states and the most probable labels.

    The main answer is remembered in full elsewhere.
    """

    def short(one: dict[str, Any]) -> dict[str, Any]:
        ranked = sorted(one["probabilities"].items(), key=lambda entry: -entry[1])
        told = dict.fromkeys([*(name for name, _ in ranked[:_LABELS_KEPT]), *one["flagged"][:_LABELS_KEPT]])
        p = {name: one["probabilities"][name] for name in told if name in one["probabilities"]}
        kept = {key: value for key, value in one.items() if key in _OF_EACH}
        found = _summarise_boxes(one["boxes"], one["lines"]) if "boxes" in one else {}
        if "boxes" in one and one.get("measurements"):
            found["measurements"] = one["measurements"][:_LABELS_KEPT]
        return {**kept, "flagged": one["flagged"][:_LABELS_KEPT], "probabilities": p, **found}

    return [short(one) for one in answers[:_ANSWERS_KEPT]]


def _summarise_boxes(boxes: Sequence[Mapping[str, Any]], lines: Mapping[str, float]) -> dict[str, Any]:
    """Say of some labels how many boxes are marked, and the score of the surest one."""
    names = [name for name in lines if any(b["label"] == name for b in boxes)][:_LABELS_KEPT]
    own = {name: [b["score"] for b in boxes if b["label"] == name] for name in names}
    return {
        "marked": {name: sum(score >= lines[name] for score in scores) for name, scores in own.items()},
        "surest": {name: max(scores) for name, scores in own.items()},
    }
