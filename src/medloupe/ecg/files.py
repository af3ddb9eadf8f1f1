"""Read files as an ECG: WFDB, CSV and other text, NumPy .npz, DICOM waveforms, EDF and BDF.

Files are untrusted: what a header claims is compared with the bytes that are there before memory is taken for it,
nothing is unpickled, and no file leads to another outside those given (or, for a path, its own folder).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from medloupe.ecg import csv, edf, wfdb
from medloupe.ecg.channels import MAX_LEADS, Channel, assemble_signal, check_size
from medloupe.ecg.signal import Signal
from medloupe.errors import DataError, MedloupeError, SignalError
from medloupe.imaging import headers
from medloupe.utils.arrays import NpzArrays, open_npz

MAX_FILE_BYTES = 64 * 2**20
"""Largest file of an ECG that is read."""

SUFFIXES = frozenset({".hea", ".dat", ".csv", ".tsv", ".txt", ".npz", ".edf", ".bdf", ".dcm", ".dicom"})
_CLASS_BYTES = 4096  # within which a DICOM file tells its class
_SURE = frozenset({".hea", ".edf", ".bdf"})  # of nothing but signals
_SAMPLES = ("signal", "ecg", "samples", "X", "x", "data", "p_signal")
_RATES = ("fs", "rate", "sampling_rate", "sampling_frequency", "freq")
_LEADS = ("lead_names", "leads", "lead", "sig_name")
_PER_MV = ("units_per_mv", "adu_per_mv", "gain")
_RATE_TOLD = frozenset({"CSV", "npz"})  # the formats whose rate may be told
_MOST_TOLD = 1000  # values that tell something of the samples
_FORMATS = "WFDB (.hea with its .dat), CSV or text, .npz, DICOM waveform, EDF and BDF"


def is_ecg_name(name: str) -> bool:
    """Tell whether a file's name is one that ECGs have; DICOM files, tables and text have it too."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_ecg_bytes(start: bytes, name: str = "") -> bool:
    """Tell whether a file is an ECG rather than a picture, by its content and its name.

    Parameters
    ----------
    start : bytes
        Its first bytes.
    name : str
        Its name.
    """
    kind = headers.sniff(start[: headers.SNIFF_BYTES])
    if kind == "DICOM":
        return headers.WAVEFORM_CLASSES in start[:_CLASS_BYTES]  # without parsing it
    if kind is not None:
        return False
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _SURE or edf.is_edf(start):
        return True
    if suffix == ".npz":
        return start.startswith(b"PK\x03\x04")
    if suffix == ".dat":
        return not headers.describe_foreign(start[: headers.SNIFF_BYTES])[0].startswith(("a ", "an "))
    return suffix in (".csv", ".tsv", ".txt") and b"\x00\x00\x00" not in start[:4096]


def read_ecg(source: Path | Mapping[str, bytes], *, rate: float | None = None, gain: float | None = None) -> Signal:
    """Read the ECG in a file, or in the files of one upload.

    Parameters
    ----------
    source : Path or Mapping
        The file, or bytes by name.
    rate : float, optional
        The sampling rate in Hz where the file (text or .npz) does not tell it; it goes before what the file says.
    gain : float, optional
        How many units make a millivolt where the file does not tell its unit: 1000 of µV, 200 of the MIT-BIH database.

    Raises
    ------
    SignalError
        Naming the file and what is wrong.
    ExtraError
        Where the package for its format is missing.
    """
    files = gather_files(source) if isinstance(source, (str, os.PathLike)) else _check_upload(source)
    name = _main_file(files)
    if gain is not None and not 0 < gain < float("inf"):
        raise SignalError(f"A gain of {gain:g} units a millivolt cannot be.", "Tell a number above 0, such as 200.")
    try:
        signal = _read_files(files, name, rate, gain)
        told = {"rate": rate} if rate and signal.source in _RATE_TOLD else {}
        return replace(signal, told={**told, **({"gain": gain} if gain else {})})
    except DataError as error:
        raise SignalError(error.message, error.hint) from None
    except MedloupeError:
        raise
    except MemoryError:
        raise SignalError(f"{name} does not fit into memory.", "Export a part of it.") from None
    except Exception as error:  # a damaged file may fail anywhere in its decoder
        what = f"{type(error).__name__}: {error}"[:200]
        raise SignalError(f"{name} is damaged or no ECG file that is read ({what}).", f"Expected {_FORMATS}.") from None


def _read_files(files: Mapping[str, bytes], name: str, rate: float | None, gain: float | None) -> Signal:
    data, suffix = files[name], PurePosixPath(name).suffix.lower()
    if not data:
        raise SignalError(f"{name} is empty.", "Copy it again.")
    kind = headers.sniff(data[: headers.SNIFF_BYTES])
    if kind == "DICOM":
        from medloupe.ecg import dicom

        return dicom.read(data, name, gain=gain)
    if kind is not None:
        raise SignalError(f"{name} is a picture ({kind}), not an ECG recording.", f"Expected {_FORMATS}.")
    if edf.is_edf(data[:256]):
        return edf.read(data, name, gain=gain)
    if data.startswith(b"PK\x03\x04") and suffix == ".npz":
        with open_npz(data, name) as arrays:
            return signal_from_arrays(arrays, name, rate, gain)
    if suffix == ".hea":
        return wfdb.read(files, name, gain=gain)
    if suffix == ".dat":
        stem = PurePosixPath(name).stem
        raise SignalError(
            f"{name} holds samples, but what they mean stands in {stem}.hea.", "Give both files together."
        )
    what, _ = headers.describe_foreign(data[: headers.SNIFF_BYTES])
    if what.startswith(("a ", "an ")) or (b"\x00" in data[:1024] and not data.startswith((b"\xff\xfe", b"\xfe\xff"))):
        what = what if what.startswith(("a ", "an ")) else "a binary file of no known format"
        raise SignalError(f"{name} seems to be {what}, not an ECG recording.", f"Expected {_FORMATS}.")
    return csv.read(data, name, rate, gain)


def signal_from_arrays(arrays: NpzArrays, name: str, rate: float | None = None, gain: float | None = None) -> Signal:
    """Find the ECG among the arrays of an .npz; what it claims is checked before it is unpacked.

    Parameters
    ----------
    arrays : NpzArrays
        Samples (L, n), (n, L) or (n,), with rate, lead names and unit beside them.
    name : str
        The file.
    rate : float, optional
        Hz, when the person tells it.
    gain : float, optional
        Units a millivolt, when the person tells it.

    Raises
    ------
    SignalError
        Where there is no ECG, no rate, or no unit and more than one is plausible.
    """
    key = next((key for key in _SAMPLES if key in arrays and arrays.shape(key)), None)
    key = key or next((key for key in arrays if len(arrays.shape(key)) == 2 and arrays.dtype(key).kind in "iuf"), None)
    if key is None:
        raise SignalError(f"{name} holds no samples; it holds {', '.join(arrays)[:200] or 'nothing'}.", _NPZ)
    shape, kind = arrays.shape(key), arrays.dtype(key)
    whole = shape[1:] if len(shape) == 3 and shape[0] == 1 else (1, *shape) if len(shape) == 1 else shape
    if len(whole) != 2 or kind.kind not in "iuf" or min(whole) > MAX_LEADS:
        raise SignalError(f"{name}: {key} is {kind} {shape}; one ECG was expected.", _NPZ)
    names = [str(text) for key in _LEADS if key in arrays for text in _few(arrays, key, name)]
    turned = whole[0] > whole[1] or (len(names) == whole[1] != whole[0])
    count, length = whole[::-1] if turned else whole
    told = next((float(v[0]) for k in _RATES if k in arrays and len(v := _few(arrays, k, name)) == 1), None)
    hertz = rate or told
    if not hertz:
        raise SignalError(f"{name} does not tell its sampling rate.", f"Add it as an array called fs. {_NPZ}")
    check_size(name, count, length, hertz)
    samples = arrays[key].reshape(whole)
    samples = samples.T if turned else samples
    units = _per_lead(arrays, ("units", "unit"), count, name) or [""] * count
    per_mv = _per_lead(arrays, _PER_MV, count, name)
    zeros = _per_lead(arrays, ("baseline", "adc_zero"), count, name)
    if per_mv is not None:
        units = ["mV"] * count
        numbers = np.array([float(value) for value in per_mv])[:, None]
        zero = np.array([float(value) for value in zeros])[:, None] if zeros is not None else 0.0
        samples = (samples - zero) / numbers
    names = names if len(names) == count else [""] * count
    channels = [Channel(*each) for each in zip(names, map(str, units), samples.astype(np.float32), strict=True)]
    return assemble_signal(channels, hertz, "npz", name, gain=gain)


def _few(arrays: NpzArrays, key: str, name: str) -> np.ndarray:
    """Unpack an array that tells something of the samples, flat; SignalError where it is too long for that."""
    if int(np.prod(arrays.shape(key))) > _MOST_TOLD:
        raise SignalError(f"{name}: {key} is {arrays.dtype(key)} {arrays.shape(key)}.", "Expected one value a lead.")
    return arrays[key].ravel()


def _per_lead(arrays: NpzArrays, keys: Sequence[str], count: int, name: str) -> list[Any] | None:
    """Read what is told of each lead, or once for all; None where it is not told."""
    key = next((key for key in keys if key in arrays), None)
    if key is None:
        return None
    values = _few(arrays, key, name)
    if values.size not in (1, count):
        raise SignalError(f"{name}: {key} has {values.size} values for {count} leads.", "Expected one, or one a lead.")
    return [values[k % values.size].item() for k in range(count)]


_NPZ = "Expected an array signal (leads, samples) in mV, and beside it fs and lead_names."


def gather_files(path: Path | str | os.PathLike[str]) -> dict[str, bytes]:
    """Read a file's bytes, and for WFDB those of its partners in the same folder, by name.

    Raises
    ------
    SignalError
        Where a file cannot be read, or is too large.
    """
    path = Path(path)
    if path.suffix.lower() == ".dat" and path.with_suffix(".hea").is_file():
        path = path.with_suffix(".hea")
    elif not path.suffix and not path.exists() and path.with_name(path.name + ".hea").is_file():
        path = path.with_name(path.name + ".hea")  # as WFDB's own tools name records
    files = {path.name: _read_bytes(path)}
    if path.suffix.lower() == ".hea":
        for partner in wfdb.read_header(files[path.name], path.name).files:
            beside = path.with_name(partner)
            if beside.is_file():
                files[partner] = _read_bytes(beside)
    return files


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _too_large(path.name, path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise SignalError(f"{path} cannot be read ({error.strerror or error}).", "Check the path.") from None


def _check_upload(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Check the files of an upload, and put them under their bare names."""
    if not files:
        raise SignalError("No file was given.", f"Expected {_FORMATS}.")
    for name, data in files.items():
        if len(data) > MAX_FILE_BYTES:
            raise _too_large(name, len(data))
    return {name.replace("\\", "/").rpartition("/")[2] or "file": data for name, data in files.items()}


def _too_large(name: str, size: int) -> SignalError:
    return SignalError(
        f"{name} has {size / 2**20:.0f} MiB; ECG files are read up to {MAX_FILE_BYTES >> 20} MiB.",
        "Export a part of it.",
    )


def _main_file(files: Mapping[str, bytes]) -> str:
    """Find the file that names the others, or the only one."""
    told = [name for name in files if name.lower().endswith(".hea")]
    if len(told) > 1:
        raise SignalError(f"Several recordings at once: {', '.join(sorted(told)[:5])}.", "Give them one by one.")
    if told:
        return told[0]
    names = [name for name in files if PurePosixPath(name).suffix.lower() not in (".atr", ".qrs", ".xyz")] or list(
        files
    )
    if len(names) > 1:
        raise SignalError(f"Several files at once: {', '.join(sorted(names)[:5])}.", "Give one ECG at a time.")
    return names[0]
