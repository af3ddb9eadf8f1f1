"""Read files as an ECG: WFDB, CSV and other text, NumPy .npz, DICOM waveforms, EDF and BDF.

Files are untrusted: what a header claims is compared with the bytes that are there before memory is taken for it,
nothing is unpickled, and no file leads to another outside those given (or, for a path, its own folder).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from medloupe.ecg import csv, edf, wfdb
from medloupe.ecg.channels import MAX_LEADS, Channel, assemble_signal, check_size
from medloupe.ecg.signal import Signal
from medloupe.errors import DataError, MedloupeError, SignalError
from medloupe.imaging import headers
from medloupe.utils.arrays import load_npz

MAX_FILE_BYTES = 64 * 2**20
"""Largest file of an ECG that is read."""

SUFFIXES = frozenset({".hea", ".dat", ".csv", ".tsv", ".txt", ".npz", ".edf", ".bdf", ".dcm", ".dicom"})
_SURE = frozenset({".hea", ".edf", ".bdf"})  # of nothing but signals
_SAMPLES = ("signal", "ecg", "samples", "X", "x", "data", "p_signal")
_RATES = ("fs", "rate", "sampling_rate", "sampling_frequency", "freq")
_LEADS = ("lead_names", "leads", "lead", "sig_name")
_PER_MV = ("units_per_mv", "adu_per_mv", "gain")
_FORMATS = "WFDB (.hea with its .dat), CSV or text, .npz, DICOM waveform, EDF and BDF"


def is_ecg_name(name: str) -> bool:
    """Tell whether a file's name is one that ECGs have; DICOM files, tables and text have it too."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def is_ecg_bytes(start: bytes, name: str = "") -> bool:
    """Tell whether a file is an ECG rather than a picture, by its content and its name.

    Parameters
    ----------
    start : bytes
        Its first bytes; for DICOM all of them are needed.
    name : str
        Its name.
    """
    kind = headers.sniff(start[: headers.SNIFF_BYTES])
    if kind == "DICOM":
        from medloupe.ecg import dicom  # here, as pydicom is slow to import

        return dicom.is_waveform(start)
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


def read_ecg(source: Path | Mapping[str, bytes], *, rate: float | None = None) -> Signal:
    """Read the ECG in a file, or in the files of one upload.

    Parameters
    ----------
    source : Path or Mapping
        The file, or bytes by name.
    rate : float, optional
        The sampling rate in Hz where the file (text or .npz) does not tell it; it goes before what the file says.

    Raises
    ------
    SignalError
        Naming the file and what is wrong.
    ExtraError
        Where the package for its format is missing.
    """
    files = gather_files(source) if isinstance(source, (str, os.PathLike)) else _check_upload(source)
    name = _main_file(files)
    try:
        return _read_files(files, name, rate)
    except DataError as error:
        raise SignalError(error.message, error.hint) from None
    except MedloupeError:
        raise
    except MemoryError:
        raise SignalError(f"{name} does not fit into memory.", "Export a part of it.") from None
    except Exception as error:  # a damaged file may fail anywhere in its decoder
        what = f"{type(error).__name__}: {error}"[:200]
        raise SignalError(f"{name} is damaged or no ECG file that is read ({what}).", f"Expected {_FORMATS}.") from None


def _read_files(files: Mapping[str, bytes], name: str, rate: float | None) -> Signal:
    data, suffix = files[name], PurePosixPath(name).suffix.lower()
    if not data:
        raise SignalError(f"{name} is empty.", "Copy it again.")
    kind = headers.sniff(data[: headers.SNIFF_BYTES])
    if kind == "DICOM":
        from medloupe.ecg import dicom

        return dicom.read(data, name)
    if kind is not None:
        raise SignalError(f"{name} is a picture ({kind}), not an ECG recording.", f"Expected {_FORMATS}.")
    if edf.is_edf(data[:256]):
        return edf.read(data, name)
    if data.startswith(b"PK\x03\x04") and suffix == ".npz":
        return signal_from_arrays(load_npz(data, name), name, rate)
    if suffix == ".hea":
        return wfdb.read(files, name)
    if suffix == ".dat":
        stem = PurePosixPath(name).stem
        raise SignalError(
            f"{name} holds samples, but what they mean stands in {stem}.hea.", "Give both files together."
        )
    what, _ = headers.describe_foreign(data[: headers.SNIFF_BYTES])
    if what.startswith(("a ", "an ")) or (b"\x00" in data[:1024] and not data.startswith((b"\xff\xfe", b"\xfe\xff"))):
        what = what if what.startswith(("a ", "an ")) else "a binary file of no known format"
        raise SignalError(f"{name} seems to be {what}, not an ECG recording.", f"Expected {_FORMATS}.")
    return csv.read(data, name, rate)


def signal_from_arrays(arrays: Mapping[str, np.ndarray], name: str, rate: float | None = None) -> Signal:
    """Find the ECG among the arrays of an .npz.

    Parameters
    ----------
    arrays : Mapping
        Samples (L, n), (n, L) or (n,), with rate, lead names and unit beside them.
    name : str
        The file.
    rate : float, optional
        Hz, when the person tells it.

    Raises
    ------
    SignalError
        Where there is no ECG, or no rate.
    """
    key = next((key for key in _SAMPLES if key in arrays and arrays[key].ndim), None)
    key = key or next((key for key, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "iuf"), None)
    if key is None:
        raise SignalError(f"{name} holds no samples; it holds {', '.join(arrays) or 'nothing'}.", _NPZ)
    samples = arrays[key]
    if samples.ndim == 3 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim == 1:
        samples = samples[None]
    names = [str(text) for key in _LEADS if key in arrays for text in np.atleast_1d(arrays[key]).ravel()[:1000]]
    if samples.ndim != 2 or samples.dtype.kind not in "iuf" or min(samples.shape) > MAX_LEADS:
        raise SignalError(f"{name}: {key} is {samples.dtype} {samples.shape}; one ECG was expected.", _NPZ)
    if samples.shape[0] > samples.shape[1] or (len(names) == samples.shape[1] != samples.shape[0]):
        samples = samples.T
    told = next((float(arrays[k].ravel()[0]) for k in _RATES if k in arrays and arrays[k].size == 1), None)
    hertz = rate or told
    if not hertz:
        raise SignalError(f"{name} does not tell its sampling rate.", f"Add it as an array called fs. {_NPZ}")
    check_size(name, samples.shape[0], samples.shape[1], hertz)
    per_mv = next((arrays[k].astype(np.float64) for k in _PER_MV if k in arrays), None)
    unit = str(arrays["units"].ravel()[0]) if "units" in arrays and arrays["units"].size else ""
    if per_mv is not None:
        samples, unit = samples / per_mv.reshape(-1, 1), "mV"
    names = names if len(names) == len(samples) else [""] * len(samples)
    channels = [Channel(lead, unit, row.astype(np.float32)) for lead, row in zip(names, samples, strict=True)]
    return assemble_signal(channels, hertz, "npz", name)


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
