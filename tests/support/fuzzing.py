"""What reads bytes from elsewhere, each as a target for damaged input: it reads them or refuses on purpose.

`hammer` gives a target files damaged from sound ones, the same for the same seed. benchmarks/fuzz.py runs all of it by
hand, also guided by coverage; a twentieth runs as a test.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import ecgmaker
import ecgwriters
import mutations
from medloupe.errors import MedloupeError
from medloupe.serving.http.errors import HttpError

SLOWEST = 2.0  # seconds that one file may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader: sound files to begin with, and what takes one file and raises only what is raised on purpose."""

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], object]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How many files were read and refused, the slowest in seconds, and what went wrong."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: list[str] | None = None

    def note(self, what: str) -> None:
        self.faults = [*(self.faults or ()), what]


def try_one(target: Target, data: bytes, outcome: Outcome, called: str) -> None:
    """Give a target one file, and note how it went."""
    began = time.process_time()
    try:
        target.run(data)
        outcome.read += 1
    except (MedloupeError, HttpError):
        outcome.refused += 1
    except Exception as e:
        outcome.note(f"{called}: {type(e).__name__}: {str(e)[:200]}")
    spent = time.process_time() - began
    outcome.slowest = max(outcome.slowest, spent)
    if spent > SLOWEST:
        outcome.note(f"{called}: {spent:.1f} s of the processor")


def hammer(name: str, count: int, seed: int) -> Outcome:
    """Give a target count damaged files."""
    target, outcome = TARGETS[name], Outcome()
    seeds = target.seeds()
    for data in seeds:  # so that what follows is about damage; some bundled DICOM files are refused as they are
        try_one(target, data, outcome, "sound")
    if outcome.refused > len(seeds) / 4:
        outcome.note(f"{outcome.refused} of {len(seeds)} sound files are refused")
    outcome.read = outcome.refused = 0
    outcome.slowest = 0.0
    rng = np.random.default_rng(seed)
    for number in range(count):
        at = int(rng.integers(len(seeds)))
        data = mutations.damage(seeds[at], rng, seeds[int(rng.integers(len(seeds)))])
        try_one(target, data, outcome, f"seed {seed}, file {number} from {at}")
    return outcome


def _picture(data: bytes) -> object:
    from medloupe.imaging.decode import decode_picture

    return decode_picture(data)


def _ecg_named(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        from medloupe.ecg.files import read_ecg

        return read_ecg({name: data})

    return read


def _wfdb(data: bytes) -> object:
    """The header, then the samples, parted by two zero bytes and an A."""
    from medloupe.ecg.files import read_ecg

    header, _, samples = data.partition(b"\0\0A")
    return read_ecg({"r1.hea": header, "r1.dat": samples})


def _table(data: bytes) -> object:
    from medloupe.data.readers.sheet import load_sheet

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_bytes(data)
        return load_sheet(path)


def _card(data: bytes) -> object:
    from medloupe.modelfile.schema import card_fault

    try:
        fault = card_fault(json.loads(data))
    except (ValueError, RecursionError):
        fault = "is no JSON"
    if fault:
        raise MedloupeError(f"Its card {fault}.")
    return fault


def _model(data: bytes) -> object:
    from medloupe.modelfile.card import parse_card

    return parse_card(data, "model.onnx")


def _inference(data: bytes) -> object:
    from medloupe.serving.api.tensors import parse_request

    text, mark, rest = data.partition(b"\0\0A")
    return parse_request(text + rest, str(len(text)) if mark else None)


def _pictures(*kinds: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [data for kind in kinds for _, data in mutations.sound_files()[kind]]


@cache
def _signal() -> ecgmaker.Signal:
    return ecgmaker.ecg(ecgmaker.even(6.0), 6.0, 250.0, ("I", "II", "V1"))


def _text_seeds() -> Sequence[bytes]:
    return [
        ecgwriters.text(_signal(), time=1.0),
        ecgwriters.text(_signal(), separator=";", decimal=",", time=1.0),
        ecgwriters.text(_signal(), separator="\t", time=1000.0, header="time (ms)\tI (mV)\tII (mV)\tV1 (mV)"),
    ]


def _npz_seeds() -> Sequence[bytes]:
    samples = _signal().samples.astype(np.float32)
    whole = {"fs": _signal().rate, "leads": list(_signal().leads)}
    packed = io.BytesIO()
    np.savez_compressed(packed, signal=samples, fs=_signal().rate)
    return [ecgwriters.npz(signal=samples, **whole), ecgwriters.npz(ecg=samples.T, **whole), packed.getvalue()]


def _edf_seeds() -> Sequence[bytes]:
    return [ecgwriters.edf(_signal()), ecgwriters.edf(_signal(), bdf=True)]


def _wfdb_seeds() -> Sequence[bytes]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for form in ("16", "212", "80"):
            header = ecgwriters.wfdb_record(_signal(), Path(folder) / form, form=form)
            made.append(header.read_bytes() + b"\0\0A" + header.with_suffix(".dat").read_bytes())
    return made


def _table_seeds() -> Sequence[bytes]:
    rows = "\n".join(f"images/{i:03d}.png;{'ab'[i % 2]};{40 + i},5;P{i // 3}" for i in range(30))
    return [
        f"file;label;age;patient\n{rows}\n".encode("utf-8-sig"),
        f"file,label,age,patient\n{rows}\n".replace(",5", ".5").replace(";", ",").encode("utf-16"),
        b'"a.png","x, y",1\n"b.png","z ""q""",2\n',
    ]


def _card_seeds() -> Sequence[bytes]:
    from medloupe.starter import shipped

    return [json.dumps(dict(shipped.load_shipped(name).card)).encode() for name in ("pneumonia", "arrhythmia")]


def _model_seeds() -> Sequence[bytes]:
    import tiny
    from medloupe.modelfile.writer import write_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(tiny.model(Path(folder)), path)
        return [path.read_bytes()]


def _inference_seeds() -> Sequence[bytes]:
    files = b"".join(len(f).to_bytes(4, "little") + f for f in (b"one", b"", b"three"))
    named = {"name": "image", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(files)}}
    text = json.dumps({"id": "7", "inputs": [named], "outputs": [{"name": "logits"}]}).encode()
    pixels = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": list(range(12))}
    signal = {"name": "signal", "datatype": "FP32", "shape": [1, 2, 3], "data": [[0.1, 0.2, 0.3], [1, 2, 3]]}
    return [
        text + b"\0\0A" + files,
        json.dumps({"inputs": [pixels, {**signal, "name": "clinical", "shape": [1, 6]}]}).encode(),
        json.dumps({"inputs": [signal]}).encode(),
    ]


TARGETS: dict[str, Target] = {
    "pictures": Target(seeds=_pictures("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM"), run=_picture),
    "dicom": Target(seeds=_pictures("DICOM"), run=_picture),
    "ecg-text": Target(seeds=_text_seeds, run=_ecg_named("r1.csv")),
    "ecg-npz": Target(seeds=_npz_seeds, run=_ecg_named("r1.npz")),
    "ecg-edf": Target(
        seeds=lambda: [ecgwriters.edf(_signal()), ecgwriters.edf(_signal(), bdf=True)], run=_ecg_named("r1.edf")
    ),
    "ecg-dicom": Target(seeds=lambda: [ecgwriters.dicom_waveform(_signal())], run=_ecg_named("r1.dcm")),
    "ecg-wfdb": Target(seeds=_wfdb_seeds, run=_wfdb),
    "table": Target(seeds=_table_seeds, run=_table),
    "card": Target(seeds=_card_seeds, run=_card),
    "model": Target(seeds=_model_seeds, run=_model),
    "inference": Target(seeds=_inference_seeds, run=_inference),
}
