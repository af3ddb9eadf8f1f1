r"""Read ECG files in one process: `python -m medloupe.ecg.worker SECONDS MEMORY`.

Started by parsers.py and only by it, and bounded as the processes are that decode images (imaging/sandbox): address
space, files, time. Frames are plain structures, never pickles.

Request:  REQUEST (length of JSON, length of files), {"files": [[name, bytes], ...], "rate", "gain", "samples",
          "seconds"}, then the files' bytes one after the other. samples and seconds: most that is read.
Answer:   ANSWER (status, leaving, length of JSON, length of samples), then {"shape", "rate", "leads", "source",
          "notes", "told"} and the samples, float32. Where status is an error's: {"message", "hint"} and no samples.
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from typing import Any

import numpy as np

from medloupe.ecg.channels import ReadLimits, reading_within
from medloupe.ecg.files import read_ecg
from medloupe.errors import ExtraError, MedloupeError, NotAnEcgError, SignalError
from medloupe.imaging.sandbox.bounds import (
    ORPHAN_SECONDS,
    READY,
    Resident,
    open_streams,
    set_alarm,
    set_limits,
    write_all,
)

REQUEST = struct.Struct("<QQ")
ANSWER = struct.Struct("<B?QQ")

ERRORS: tuple[type[MedloupeError], ...] = (SignalError, NotAnEcgError, ExtraError)
"""Status 1, 2 and 3."""

HERE = (
    " here",
    "Send a part of it, or ask on the command line: medloupe predict",
)
"""What is said where a recording is longer than a server reads, and what to do."""


def main() -> None:
    """Answer requests until the input ends."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    requests, answers = open_streams()
    with contextlib.suppress(ImportError):  # before the bounds: libraries are no fault of a file
        import edfio  # noqa: F401

        import medloupe.ecg.dicom  # noqa: F401
    set_limits(memory)
    resident = Resident()
    write_all(answers, [READY])
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        told, length = REQUEST.unpack(head)
        asked, data = requests.read(told), requests.read(length)
        if len(asked) < told or len(data) < length:
            break
        set_alarm(seconds + ORPHAN_SECONDS)
        status, said, samples = _answer(json.loads(asked), data)
        set_alarm(0)
        del data
        text = json.dumps(said).encode()
        leaving = resident.settle()
        write_all(answers, [ANSWER.pack(status, leaving, len(text), len(samples)), text, samples])
        del samples
        if leaving:
            break


def _answer(asked: dict[str, Any], data: bytes) -> tuple[int, dict[str, Any], Any]:
    """Return status, what is said, and the samples' bytes."""
    files, at = {}, 0
    for name, size in asked["files"]:
        files[name] = data[at : at + size]
        at += size
    try:
        with reading_within(ReadLimits(asked["samples"], asked["seconds"], *HERE)):
            signal = read_ecg(files, rate=asked["rate"], gain=asked["gain"])
    except MedloupeError as e:
        status = max((k for k, kind in enumerate(ERRORS, 1) if isinstance(e, kind)), default=1)
        return status, {"message": e.message, "hint": e.hint}, b""
    said = {
        "shape": signal.samples.shape,
        "rate": signal.rate,
        "leads": signal.leads,
        "source": signal.source,
        "notes": signal.notes,
        "told": dict(signal.told),
    }
    return 0, said, np.ascontiguousarray(signal.samples).reshape(-1).view(np.uint8).data


if __name__ == "__main__":
    main()
