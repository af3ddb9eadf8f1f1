"""From the files of an ECG to its answer: read, cut into windows, one pass of the network, head, refusal.

Everything here blocks and runs in the server's worker threads.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from medloupe.ecg.recording_files import Source, bare_name, join_bytes
from medloupe.errors import ClinicalError, NotAnEcgError, NotAnImageError, SignalError
from medloupe.imaging import headers
from medloupe.model.prediction import Prediction, Refusal
from medloupe.serving.engine import kept
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.inputs import Beside, beside

if TYPE_CHECKING:
    from medloupe.ecg.reading import Reading
    from medloupe.ecg.signal import Signal
    from medloupe.inference.recordings import SignalAnswer, WindowOutputs
    from medloupe.serving.engine.checkup import CheckUp

Run = Callable[["CheckUp", Sequence[str], np.ndarray], list[np.ndarray]]
"""Outputs by name of a check-up's network for windows float32 (N, L, T)."""

BATCH = 256
"""Windows at once."""

MOST_SAMPLES = 24_000_000
"""Most samples of all leads together: more than twelve leads of an hour at 500 Hz."""

MOST_SECONDS = 3600
"""Longest recording that is read; `medloupe predict` reads a day."""

_MOST_LINES = 3_600_000  # of text, whose numbers are slow to read: an hour at 1,000 Hz

FIELDS = ("rate", "start")
"""Fields of a form that say how an ECG is to be read and drawn."""


def is_ecg(data: Source, file: str) -> bool:
    """Whether what was sent is an ECG rather than a picture."""
    if not isinstance(data, bytes):
        return True
    kind = headers.sniff(data[: headers.SNIFF_BYTES])
    if kind not in (None, "DICOM") or (kind == "DICOM" and headers.WAVEFORM_CLASSES not in data[:4096]):
        return False  # without parsing it
    from medloupe.ecg.files import is_ecg_bytes

    return is_ecg_bytes(data, file)


def of_kind(checkups: Sequence[CheckUp], data: Source, file: str) -> list[CheckUp]:
    """Those of the check-ups that read what was sent, ECGs or pictures."""
    ecgs = is_ecg(data, file)
    return [c for c in checkups if (c.ecg is not None) == ecgs]


def is_picture(data: Source) -> bool:
    """Whether the first bytes are a picture's. DICOM may be either, so it counts as none."""
    return isinstance(data, bytes) and headers.sniff(data[: headers.SNIFF_BYTES]) not in (None, "DICOM")


def hertz(fields: Mapping[str, str]) -> float | None:
    """The sampling rate told beside an ECG, None where there is none. Raises ClinicalError."""
    return _number("rate", fields, "a sampling rate in Hz, such as 500", 1, 1e6)


def start(fields: Mapping[str, str]) -> float:
    """From which second on an ECG is to be drawn. Raises ClinicalError."""
    return _number("start", fields, "a time in seconds from the start", 0, 1e6) or 0.0


def read(data: Source, file: str, checkups: Iterable[CheckUp], rate: float | None) -> Signal:
    """The ECG in what was sent. checkups: for which; named where it is a picture. Raises SignalError, ExtraError."""
    if is_picture(data):
        raise NotAnEcgError(
            f"{file or 'The file'} is a picture; {_listed(checkups)} reads ECG recordings.",
            "Send WFDB (.hea and .dat), CSV, EDF, .npz or a DICOM waveform, or ask a check-up of pictures.",
        )
    from medloupe.ecg.files import read_ecg

    if isinstance(data, bytes) and kept.suffix(data) == "csv" and (lines := data.count(b"\n")) > _MOST_LINES:
        raise SignalError(
            f"{file or 'The file'} has {lines:,} lines; up to {_MOST_LINES:,} are read here.",
            "Send a part of it, or ask on the command line: medloupe predict",
        )
    if isinstance(data, bytes):
        known = PurePosixPath(bare_name(file)).suffix
        data = {bare_name(file) if known else f"{bare_name(file) or 'ecg'}.{kept.suffix(data)}": data}
    signal = read_ecg(data, rate=rate)
    if signal.samples.size > MOST_SAMPLES:
        raise SignalError(
            f"The recording has {signal.samples.size / 1e6:.0f} million samples; up to {MOST_SAMPLES / 1e6:.0f} million"
            " are read here.",
            "Export it at 500 Hz, send a part of it, or ask on the command line: medloupe predict",
        )
    if signal.seconds > MOST_SECONDS:
        raise SignalError(
            f"The recording lasts {signal.seconds / 3600:.1f} hours; at most {MOST_SECONDS / 3600:.0f} is read here.",
            "Send a part of it, or ask on the command line: medloupe predict",
        )
    return signal


def not_a_picture(file: str, checkups: Iterable[CheckUp]) -> NotAnImageError:
    """The error for an ECG that was sent to a check-up of pictures."""
    able = _listed(c for c in checkups if c.ecg is not None)
    return NotAnImageError(
        f"{file or 'The file'} is an ECG recording, not a picture.",
        f"ECGs are read by: {able}." if able else "No check-up here reads ECGs.",
    )


def see(run: Run, checkup: CheckUp, windows: np.ndarray, *, maps: bool) -> WindowOutputs:
    """What a check-up's network and head make of windows float32 (N, L, T)."""
    from medloupe.inference.recordings import WindowOutputs

    names = ["embedding", *["logits"] * checkup.whole, *["heatmap" if checkup.whole else "map"] * maps]
    embeddings, logits, parts = [], [], []
    for at in range(0, len(windows), BATCH):
        found = dict(zip(names, run(checkup, names, windows[at : at + BATCH]), strict=True))
        embeddings.append(found["embedding"])
        logits.append(found["logits"] if checkup.whole else checkup.logits(found["embedding"]))
        if maps:
            parts.append(found["heatmap"] if checkup.whole else np.stack([*map(checkup.contributions, found["map"])]))
    return WindowOutputs(np.concatenate(embeddings), np.concatenate(logits), np.concatenate(parts) if maps else None)


def ask(
    run: Run, checkups: Sequence[CheckUp], data: Source, file: str, heatmap: bool, fields: Mapping[str, str]
) -> list[Answer]:
    """The answers of check-ups of ECGs to one ECG, in their order. Raises SignalError, ClinicalError, ExtraError."""
    started = time.perf_counter()
    rate, _ = hertz(fields), start(fields)
    known = [_beside(c, fields) for c in checkups]  # what cannot be read is told at once
    signal = read(data, file, checkups, rate)
    sent = _Sent(signal, file, hashlib.sha256(join_bytes(data)).hexdigest(), 1000 * (time.perf_counter() - started))
    return [_answered(run, c, sent, heatmap, more) for c, more in zip(checkups, known, strict=True)]


def choose(
    run: Run, checkups: Sequence[CheckUp], data: Source, file: str, heatmap: bool, fields: Mapping[str, str]
) -> Answer:
    """The answer of the check-up that fits an ECG best, by its leads; of several such the one to which it is least
    foreign. Raises as `ask` does, and NotAnImageError where none reads ECGs."""
    able = [c for c in checkups if c.ecg is not None]
    if not able:
        raise not_a_picture(file, ())
    started = time.perf_counter()
    rate, _ = hertz(fields), start(fields)
    signal = read(data, file, able, rate)
    sent = _Sent(signal, file, hashlib.sha256(join_bytes(data)).hexdigest(), 1000 * (time.perf_counter() - started))
    answers = [_answered(run, c, sent, heatmap, _beside(c, fields)) for c in _fitting(signal, able)]
    answered = [a for a in answers if a.prediction.refused is None]
    return min(answered or answers, key=lambda a: a.foreign)


def drawn_again(source: Source, said: Mapping[str, object], checkup: CheckUp | None) -> Reading:
    """An ECG that was kept, with what was found in it. said: the answer's entry `ecg`. Raises SignalError, and
    ValueError or the like where the entry is not as written here."""
    from medloupe.ecg.reading import restore_reading

    rate = said.get("rate")
    signal = read(source, "", [checkup] if checkup else [], float(rate) if isinstance(rate, int | float) else None)
    return restore_reading(signal, said)


@dataclass(frozen=True, slots=True)
class _Sent:
    """An ECG as it was read. milliseconds: that took."""

    signal: Signal
    file: str
    digest: str
    milliseconds: float


def _answered(run: Run, checkup: CheckUp, sent: _Sent, heatmap: bool, known: Beside) -> Answer:
    from medloupe.inference.recordings import answer_signal, list_influences

    assert checkup.ecg is not None
    at = time.perf_counter()
    found = answer_signal(
        sent.signal,
        checkup.ecg,
        checkup.rules,
        lambda windows: see(run, checkup, windows, maps=heatmap),
        extras=checkup.extras,
        novelty=checkup.novelty,
        given=known.given,
    )
    prediction = Prediction(
        file=sent.file,
        model=checkup.name,
        version=checkup.version,
        prediction="" if (refused := refusal(checkup, found.novelty)) else found.announced,
        probabilities={
            checkup.labels[k]: float(found.probabilities[k]) for k in checkup.rules.labels_shown(found.probabilities)
        },
        refused=refused,
        timings={"decode": sent.milliseconds, "network": 1000 * (time.perf_counter() - at)},
        inputs=list_influences(checkup.extras, checkup.labels, known.given),
        ecg=found.reading,
    )
    answer = Answer(
        id=secrets.token_hex(16),
        digest=sent.digest,
        prediction=prediction,
        checkup=checkup,
        given=known.given,
        ignored=known.ignored,
        foreign=found.novelty or 0.0,
    )
    return replace(answer, places=_places(checkup, found, prediction)) if found.parts is not None else answer


def _places(checkup: CheckUp, found: SignalAnswer, prediction: Prediction) -> dict[str, np.ndarray]:
    assert found.parts is not None
    return {label: found.parts[checkup.labels.index(label)] for label in prediction.probabilities}


def refusal(checkup: CheckUp, novelty: float | None) -> Refusal | None:
    """Why an ECG of this novelty is not judged, or None."""
    if novelty is None or novelty <= 1:
        return None
    from medloupe.inference.ecgs import FOREIGN

    return Refusal(reason=FOREIGN.format(checkup.name, novelty), looks_like="")


def _fitting(signal: Signal, checkups: Sequence[CheckUp]) -> list[CheckUp]:
    from medloupe.inference.recordings import select_fitting_backbones

    return [checkups[k] for k in select_fitting_backbones(signal, [c.ecg for c in checkups if c.ecg is not None])]


def _beside(checkup: CheckUp, fields: Mapping[str, str]) -> Beside:
    """What is given beside an ECG. The rhythm is measured, and no field of anybody's."""
    from medloupe.inference.recordings import list_askable_ecg_inputs

    found = beside(checkup, {name: value for name, value in fields.items() if name not in FIELDS})
    names = list_askable_ecg_inputs(checkup.extras)
    given = {name: value for name, value in found.given.items() if name in names}
    measured = tuple(name for name in found.given if name not in names)
    return replace(found, given=given, ignored=(*found.ignored, *measured))


def _number(name: str, fields: Mapping[str, str], expected: str, least: float, most: float) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise ClinicalError(name, text, expected)
    return value


def _listed(checkups: Iterable[CheckUp]) -> str:
    return ", ".join(c.name for c in checkups)
