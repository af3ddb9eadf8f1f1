"""Files → ECG: every format there and back at several rates, what is missing told, and what is hostile refused."""

from __future__ import annotations

import builtins
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgmaker import ecg, even
from ecgwriters import dicom_waveform, edf, npz, text, wfdb_record
from medloupe.ecg.files import MAX_FILE_BYTES, is_ecg_bytes, is_ecg_name, read_ecg
from medloupe.ecg.quality import describe_fault
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.errors import ExtraError, ImageError, SignalError
from medloupe.utils import arrays
from readers_cases import dicom, picture

LEADS = ("II", "V1", "V5")
RATES = (250, 360, 500)


def made(rate: float = 360, leads: tuple[str, ...] = LEADS, seconds: float = 6) -> Signal:
    return ecg(even(seconds), seconds, rate, leads, noise=0.005)


def as_wfdb(signal: Signal, folder: Path) -> Path:
    return wfdb_record(signal, folder)


def as_csv(signal: Signal, folder: Path) -> Path:
    (folder / "a.csv").write_bytes(text(signal, before=f"# fs={signal.rate}\n"))
    return folder / "a.csv"


def as_npz(signal: Signal, folder: Path) -> Path:
    stored = np.rint(signal.samples * 1000).astype(np.int16)
    made = npz(signal=stored, fs=signal.rate, lead_names=signal.leads, units_per_mv=1000)
    (folder / "a.npz").write_bytes(made)
    return folder / "a.npz"


def as_dicom(signal: Signal, folder: Path) -> Path:
    (folder / "a.dcm").write_bytes(dicom_waveform(signal))
    return folder / "a.dcm"


def as_edf(signal: Signal, folder: Path) -> Path:
    (folder / "a.edf").write_bytes(edf(signal))
    return folder / "a.edf"


def as_bdf(signal: Signal, folder: Path) -> Path:
    (folder / "a.bdf").write_bytes(edf(signal, bdf=True))
    return folder / "a.bdf"


FORMATS = {"WFDB": as_wfdb, "CSV": as_csv, "npz": as_npz, "DICOM": as_dicom, "EDF": as_edf, "BDF": as_bdf}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("source", FORMATS)
def test_every_format_there_and_back(source: str, rate: int, tmp_path: Path):
    for leads in (LEADS, TWELVE):
        signal = made(rate, leads)
        got = read_ecg(FORMATS[source](signal, tmp_path))
        assert (got.source, got.rate, got.leads) == (source, rate, leads)
        assert got.samples.dtype == np.float32
        assert got.samples.shape == signal.samples.shape
        assert np.abs(got.samples - signal.samples).max() < 0.002
        assert describe_fault(got) == ""


@pytest.mark.parametrize("source", FORMATS)
def test_an_upload_reads_as_the_file_does(source: str, tmp_path: Path):
    path = FORMATS[source](made(), tmp_path)
    files = {f"C:\\ecgs\\{file.name}": file.read_bytes() for file in tmp_path.iterdir()}
    np.testing.assert_array_equal(read_ecg(files).samples, read_ecg(path).samples)


@pytest.mark.parametrize("source", FORMATS)
def test_a_file_cut_short_says_so(source: str, tmp_path: Path):
    path = FORMATS[source](made(), tmp_path)
    shown = path.with_suffix(".dat") if source == "WFDB" else path
    data = shown.read_bytes()
    if source == "CSV":
        data = data[:60]
    shown.write_bytes(data[: len(data) // 2])
    with pytest.raises(SignalError) as raised:
        read_ecg(path)
    assert shown.name in raised.value.message
    assert isinstance(raised.value, ImageError)


@pytest.mark.parametrize("source", FORMATS)
def test_damaged_bytes_raise_nothing_else(source: str, tmp_path: Path):
    """Whatever bits flip in the first kilobytes: an ECG or a SignalError."""
    path = FORMATS[source](made(seconds=3), tmp_path)
    data = path.read_bytes()
    others = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file != path}
    random = np.random.default_rng(5)
    read = 0
    for _ in range(60):
        changed = bytearray(data)
        for at in random.integers(0, min(len(data), 1500), 3):
            changed[at] = int(random.integers(0, 256))
        try:
            signal = read_ecg({path.name: bytes(changed), **others})
        except SignalError as error:
            assert path.name in error.message or "bytes" in error.message
        else:
            read += 1
            assert signal.samples.dtype == np.float32
    assert read < 60


def refuse(files: dict[str, bytes], match: str, rate: float | None = None) -> None:
    with pytest.raises(SignalError, match=match):
        read_ecg(files, rate=rate)


def test_partners_are_asked_for(tmp_path: Path):
    path = wfdb_record(made(), tmp_path)
    both = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    refuse({"r1.hea": both["r1.hea"]}, r"r1\.hea needs r1\.dat.*together")
    refuse({"r1.dat": both["r1.dat"]}, r"r1\.hea.*together")
    assert read_ecg(path.with_suffix(".dat")).leads == LEADS
    assert read_ecg(path.with_suffix("")).leads == LEADS
    refuse({**both, "r2.hea": both["r1.hea"]}, "Several recordings")
    refuse({"a.csv": b"1", "b.csv": b"1"}, "Several files")
    refuse({}, "No file")


def test_other_files_are_told_apart(tmp_path: Path):
    png = picture(tmp_path / "a.png").read_bytes()
    scan = dicom(tmp_path / "b.dcm", PatientID="p").read_bytes()
    refuse({"a.csv": png}, "a picture")
    refuse({"a.dcm": scan}, "an image")
    refuse({"a.edf": b"%PDF-1.7 " + b"0" * 600}, "a PDF document")
    refuse({"a.csv": b""}, "empty")
    refuse({"a.bin": bytes(range(256)) * 8}, "not an ECG recording")
    refuse({"a.csv": b"name,age\nx,y\n"}, "no columns of numbers")
    with pytest.raises(SignalError, match="cannot be read"):
        read_ecg(tmp_path / "absent.hea")


def test_what_is_an_ecg(tmp_path: Path):
    waveform = dicom_waveform(made())
    scan = dicom(tmp_path / "b.dcm", PatientID="p").read_bytes()
    recording = edf(made())
    assert is_ecg_bytes(waveform, "a.dcm")
    assert is_ecg_bytes(waveform)
    assert not is_ecg_bytes(scan, "b.dcm")
    assert not is_ecg_bytes(picture(tmp_path / "a.png").read_bytes(), "a.csv")
    assert is_ecg_bytes(recording)
    assert is_ecg_bytes(text(made()), "a.csv")
    assert is_ecg_bytes(b"r1 1 360 10\n", "r1.hea")
    assert is_ecg_bytes(npz(signal=[1.0]), "a.npz")
    assert not is_ecg_bytes(npz(signal=[1.0]), "a.zip")
    assert not is_ecg_bytes(b"%PDF-1.7", "a.dat")
    assert [is_ecg_name(name) for name in ("a.HEA", "b.edf", "c.png", "d.dcm", "e")] == [True, True, False, True, False]


@pytest.mark.parametrize(
    ("given", "shape", "leads"),
    [
        ({"X": "T", "fs": 360}, (3, 2160), ("", "", "")),
        ({"ecg": "L", "sampling_rate": 360.0, "leads": LEADS}, (3, 2160), LEADS),
        ({"samples": "1", "rate": [360], "lead": "AVR"}, (1, 2160), ("aVR",)),
        ({"signal": "thousandfold", "fs": 360, "lead_names": LEADS, "units": "uV"}, (3, 2160), LEADS),
        ({"signal": "thousandfold", "fs": 360, "lead_names": LEADS}, (3, 2160), LEADS),
        ({"anything": "L", "fs": 360}, (3, 2160), ("", "", "")),
    ],
)
def test_arrays_go_by_several_names(given: dict, shape: tuple[int, int], leads: tuple[str, ...]):
    signal = made()
    forms = {"T": signal.samples.T, "L": signal.samples, "1": signal.samples[0], "thousandfold": signal.samples * 1000}
    filled = {name: forms.get(value, value) if isinstance(value, str) else value for name, value in given.items()}
    got = read_ecg({"a.npz": npz(**filled)})
    assert (got.samples.shape, got.leads, got.rate) == (shape, leads, 360)
    np.testing.assert_allclose(got.samples, signal.samples[: shape[0]], atol=1e-5)
    assert bool(got.notes) == ("units" not in given and "thousandfold" in given.values())


def test_arrays_that_are_no_ecg():
    samples = made().samples
    refuse({"a.npz": npz(signal=samples)}, "sampling rate")
    assert read_ecg({"a.npz": npz(signal=samples)}, rate=360).rate == 360
    refuse({"a.npz": npz(fs=360, names=["a"])}, "no samples")
    refuse({"a.npz": npz(X=np.zeros((5, 100, 12)), fs=360)}, "one ECG was expected")
    refuse({"a.npz": npz(X=np.zeros((100, 100)), fs=360)}, "one ECG was expected")
    refuse({"a.npz": npz(X=samples, fs=-1)}, "-1 Hz")


def test_nothing_is_unpickled():
    class Trap:
        def __reduce__(self):
            return (builtins.exec, ("raise SystemExit('unpickled')",))

    out = io.BytesIO()
    np.savez(out, allow_pickle=True, signal=np.array([Trap()], object), fs=360)
    refuse({"a.npz": out.getvalue()}, "pickled objects")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "MAX_UNPACKED_BYTES", 20 * 2**20)
    out = io.BytesIO()
    np.savez_compressed(out, signal=np.zeros((3, 2_000_000), np.float32), fs=360)
    assert len(out.getvalue()) < 100_000
    refuse({"a.npz": out.getvalue()}, "unpacks to 22 MiB; 20 are read")


def test_sizes_are_bounded(tmp_path: Path):
    refuse({"a.csv": bytes(MAX_FILE_BYTES + 1)}, "read up to 64 MiB")
    large = tmp_path / "large.edf"
    with large.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(SignalError, match="read up to 64 MiB"):
        read_ecg(large)


@pytest.mark.parametrize(("source", "package"), [("EDF", "edfio")])
def test_a_missing_package_is_named(source: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = FORMATS[source](made(), tmp_path)
    real: Callable = builtins.__import__

    def without(name: str, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraError, match=rf"{package}.*medloupe\[ecg\]"):
        read_ecg(path)
