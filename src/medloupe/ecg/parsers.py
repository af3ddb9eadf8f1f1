"""Read untrusted ECG files in other processes, so that a bad one costs its own request and not the server.

with EcgParsers(workers=2) as parsers:
    signal = parsers.read({"rec.hea": head, "rec.dat": samples})  # what ecg.files.read_ecg returns
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.ecg.channels import MAX_LEADS, ReadLimits
from medloupe.ecg.signal import Signal
from medloupe.ecg.worker import ANSWER, ERRORS, HERE, REQUEST
from medloupe.errors import MedloupeError, SignalError
from medloupe.imaging.sandbox.process import WorkerProcess
from medloupe.imaging.sandbox.processpool import Cancellation, PoolWords, ProcessPool
from medloupe.utils.spans import span

HOUR = ReadLimits(24_000_000, 3600, *HERE)
"""What a server reads of one recording: more than twelve leads of an hour at 500 Hz."""

_MOST_SAID = 2**20  # bytes of JSON
_MOST_NOTES, _LONGEST = 200, 2000
_WORDS = PoolWords(
    error=SignalError,
    what="The recording",
    work="read",
    process="The process that reads ECGs",
    part="its reader",
    late="Send a part of it.",
    failed="Export it again from where it came.",
)


@dataclass(frozen=True, slots=True)
class ParseReply:
    """What a process says of one recording: the signal, or why there is none. leaving: the process ends."""

    leaving: bool
    signal: Signal | None
    error: MedloupeError | None


class ParseProcess(WorkerProcess):
    """A process that reads ECG files."""

    def __init__(self, seconds: float, memory: int):
        super().__init__("medloupe.ecg.worker", seconds, memory)

    def ask(
        self, files: Mapping[str, bytes], *, rate: float | None, gain: float | None, limits: ReadLimits = HOUR
    ) -> ParseReply:
        """Ask for one recording.

        Raises
        ------
        OSError, EOFError
            Where the process ended, or answered what no sound process would.
        """
        listed = [[name, len(data)] for name, data in files.items()]
        told = {"files": listed, "rate": rate, "gain": gain, "samples": limits.samples, "seconds": limits.seconds}
        text = json.dumps(told).encode()
        data = next(iter(files.values())) if len(files) == 1 else b"".join(files.values())
        self.send(REQUEST.pack(len(text), len(data)) + text, data)
        head = bytearray(ANSWER.size)
        self.receive(head)
        status, leaving, length, size = ANSWER.unpack(head)
        if status > len(ERRORS) or length > _MOST_SAID or size > 4 * limits.samples or (status and size):
            raise EOFError("it answered what it should not")
        body = bytearray(length)
        self.receive(body)
        samples = np.empty(size // 4, np.float32)
        self.receive(samples.view(np.uint8).data)
        try:
            said = json.loads(body)
            if status:
                error = ERRORS[status - 1](str(said["message"])[:_LONGEST], str(said["hint"])[:_LONGEST])
                return ParseReply(leaving, None, error)
            return ParseReply(leaving, _make_signal(said, samples), None)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise EOFError("it answered what it should not") from None


class EcgParsers(ProcessPool[ParseProcess]):
    """Processes that read ECG files, started when first needed; for any number of threads.

    Parameters
    ----------
    workers : int
        How many processes.
    seconds : float
        After which a reading is ended.
    memory : int
        Bytes that reading may take beside what a process has at rest.
    """

    def __init__(self, workers: int, *, seconds: float = 20, memory: int = 768 * 2**20):
        super().__init__(lambda: ParseProcess(seconds, memory), workers, seconds=seconds, words=_WORDS)

    def read(
        self,
        files: Mapping[str, bytes],
        *,
        rate: float | None = None,
        gain: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Signal:
        """Read the ECG in the files of one upload, within the limits HOUR. Blocks until a process has done it.

        Parameters
        ----------
        files : Mapping
            Bytes by name.
        rate, gain : float, optional
            As `ecg.files.read_ecg` has them.
        cancellation : Cancellation, optional
            By which it may be given up.

        Raises
        ------
        SignalError
            As `ecg.files.read_ecg`; also where the files made their reader fail or took too long.
        ExtraError
            Where the package for its format is missing.
        MedloupeError
            Where no process can be started.
        """
        with span("decode", bytes=sum(map(len, files.values()))):
            answer = self.exchange(lambda process: process.ask(files, rate=rate, gain=gain), cancellation)
        if answer.signal is None:
            raise answer.error or SignalError("The recording could not be read.")
        return answer.signal


def _make_signal(said: Mapping[str, Any], samples: np.ndarray) -> Signal:
    """Make a Signal of what a process says, once it is sound. Raises ValueError, KeyError, TypeError."""
    count, length = (int(n) for n in said["shape"])
    rate = float(said["rate"])
    notes = tuple(str(note)[:_LONGEST] for note in said["notes"][:_MOST_NOTES])
    if not 1 <= count <= MAX_LEADS or count * length != samples.size or not math.isfinite(rate):
        raise ValueError("no ECG has such a shape")
    return Signal(
        samples=samples.reshape(count, length),
        rate=rate,
        leads=tuple(str(lead)[:40] for lead in said["leads"]),
        source=str(said["source"])[:40],
        notes=notes,
        told={str(key)[:40]: float(value) for key, value in dict(said["told"]).items()},
    )
