"""Say an answer in at most 160 bytes of JSON, as much as a text message holds, for gateways.

Nothing is decided here: state, labels and reason are those of model/decision.py.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medloupe.model.decision import WITHHELD

if TYPE_CHECKING:
    from medloupe.model.prediction import Prediction

BRIEF_BYTES = 160
"""Most bytes of a brief answer, as UTF-8."""
_CUT = "…"
_JOINER = "\u200d"
_LEAST_LABEL = 24  # bytes for a label, below which the reason is left out
_NOTES = {"clear": "no all-clear", "refused": "not judged", "unusable": "not judged", WITHHELD: "not shown"}
_NO_DIAGNOSIS = "no diagnosis"
_REASONED = ("unclear", "refused", "unusable")


def write_brief(answer: Prediction) -> dict[str, Any]:
    """Say an answer briefly.

    Returns
    -------
    dict
        s: the state. l: the finding that the headline names, else the most probable label; "" where nothing is said. p:
        its percentage, whole, 100 or 0 only where that is exact; None with an empty l. m: "model@version", of a model
        of the package "model", "" where none answered. o: how many more labels are flagged, where there are any. w:
        the code of the reason, of what is unclear, refused or unusable. n: what it is not.
        As compact JSON it has at most BRIEF_BYTES bytes. A label that is too long is cut, with "…" where something is
        left out.
    """
    label, share = _name_first(answer)
    said: dict[str, Any] = {"s": answer.state, "l": "", "p": None if share is None else _percent(share)}
    said["m"] = answer.model if answer.version is None else f"{answer.model}@{answer.version}"
    if len(answer.flagged) > 1:
        said["o"] = len(answer.flagged) - 1
    if answer.state in _REASONED and answer.said.why is not None:
        said["w"] = answer.said.why.code
    said["n"] = _NOTES.get(answer.state, _NO_DIAGNOSIS)
    if label and _room(said) < min(_LEAST_LABEL, _width(label)):
        said.pop("w", None)
    names = list(answer.probabilities)
    return {**said, "l": _shorten(label, _room(said), names)}


def write_brief_failure(code: str) -> dict[str, Any]:
    """Say briefly that one of several files could not be read. code: of the error."""
    return {"s": "failed", "w": code, "n": "not judged"}


def encode_brief(said: Mapping[str, Any]) -> bytes:
    """Write a brief answer as compact JSON in UTF-8."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _name_first(answer: Prediction) -> tuple[str, float | None]:
    """Give the label that the headline names, and how probable it is; of grades that one or a worse one."""
    said = answer.said
    if answer.state in ("refused", "unusable", WITHHELD):
        return "", None
    reach = said.at_least or {}
    if said.grade is not None and answer.state in ("flagged", "unclear") and said.grade != next(iter(reach), ""):
        return f">={said.grade}", reach.get(said.grade)
    label = said.flagged[0] if said.flagged else said.prediction
    if answer.boxes is not None and (answer.asked is None or label not in answer.probabilities):
        return label, max((box.score for box in answer.boxes if box.label == label), default=None)
    return label, answer.probabilities.get(label)


def _percent(share: float) -> int:
    """Round a probability to whole percent; what is not certain is not said to be."""
    rounded = round(100 * share)
    return min(max(rounded, 1), 99) if 0 < share < 1 else rounded


def _width(text: str) -> int:
    """Count the bytes of a text within JSON."""
    return len(encode_brief({"l": text})) - len(encode_brief({"l": ""}))


def _room(said: Mapping[str, Any]) -> int:
    return BRIEF_BYTES - len(encode_brief(said))


def _shorten(text: str, room: int, names: Sequence[str]) -> str:
    """Cut a label to a number of bytes within JSON, so that it cannot be taken for another one of names.

    Where its beginning is also that of another, it is cut in its middle; where that does not help, its place among them
    stands before it.
    """
    text = text.encode("utf-8", "replace").decode()
    if _width(text) <= room:
        return text
    own = text.removeprefix(">=")
    others = [name for name in names if name != own]
    head = _fit(text, room - _width(_CUT))
    if not any(name.startswith(head.removeprefix(">=")) for name in others):
        return head + _CUT
    number = f"#{names.index(own) + 1} " if own in names else ""
    for before in ("", number):
        half = (room - _width(before + _CUT)) // 2
        first, last = _fit(text, half), _fit(text, half, end=True)
        if not any(name.startswith(first.removeprefix(">=")) and name.endswith(last) for name in others):
            break
    return before + first + _CUT + last


def _fit(text: str, room: int, *, end: bool = False) -> str:
    """Take as many whole characters, marks and joined signs with them, from the beginning or the end as there is room.

    Source: the boundaries of Unicode Standard Annex 29, without those of Hangul syllables and flags.
    """
    clusters: list[str] = []
    for c in text:
        joined = clusters and (unicodedata.category(c) in ("Mn", "Mc", "Me", "Cf") or clusters[-1].endswith(_JOINER))
        if joined:
            clusters[-1] += c
        else:
            clusters.append(c)
    taken: list[str] = []
    left = room
    for cluster in reversed(clusters) if end else clusters:
        left -= _width(cluster)
        if left < 0:
            break
        taken.append(cluster)
    return "".join(reversed(taken) if end else taken)
