"""What the numbers of an ECG are in millivolts: told, proved or asked, and never another answer by the container."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

import ecgwriters
from ecgmaker import ecg, even, with_ectopics
from medloupe.ecg.beats import find_r_peaks
from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import Signal, remove_noise
from medloupe.ecg.units import find_scale
from medloupe.errors import SignalError

RATE = 360
LEADS = ("MLII", "V1")
MADE = ecg(with_ectopics(even(20)), 20, RATE, LEADS, noise=0.004, wander=0.05)
SIGNAL = Signal(samples=np.round(MADE.samples * 1000) / 1000, rate=RATE, leads=LEADS)  # whole microvolts
PEAKS = find_r_peaks(remove_noise(SIGNAL))


def wfdb(gain: int = 1000, zero: int = 0, told: str = "{gain}({zero})/mV") -> dict[str, bytes]:
    stored = np.rint(SIGNAL.samples.T * gain + zero).astype("<i2")
    said = told.format(gain=gain, zero=zero)
    head = f"r 2 {RATE} {len(stored)}\n" + "".join(f"r.dat 16 {said} 16 {zero} 0 0 0 {lead}\n" for lead in LEADS)
    return {"r.hea": head.encode(), "r.dat": stored.tobytes()}


def counts(gain: float, zero: float = 0) -> np.ndarray:
    return np.rint(SIGNAL.samples * gain + zero).astype(np.int32)


def table(values: np.ndarray, header: str = "MLII,V1", before: str = f"# fs={RATE}\n") -> dict[str, bytes]:
    rows = [",".join(f"{value:.10g}" for value in row) for row in values.T.tolist()]
    return {"a.csv": (before + header + "\n" + "\n".join(rows) + "\n").encode()}


def npz(values: np.ndarray, **more: object) -> dict[str, bytes]:
    return {"a.npz": ecgwriters.npz(signal=values, fs=RATE, lead_names=LEADS, **more)}


READ: dict[str, Callable[[], dict[str, bytes]]] = {
    "WFDB": wfdb,
    "WFDB of 200 about 1024": lambda: wfdb(200, 1024),
    "CSV in mV": lambda: table(SIGNAL.samples),
    "CSV in µV": lambda: table(SIGNAL.samples * 1000, "MLII (µV),V1 (µV)"),
    "CSV of whole µV, told before": lambda: table(counts(1000), before=f"# fs={RATE}, unit: µV\n"),
    "CSV of counts, told before": lambda: table(counts(400), before=f"# fs={RATE}\n# 400 adu/mV\n"),
    "CSV of counts, their size told": lambda: table(counts(200), before=f"# fs={RATE}\n# resolution 5 µV/LSB\n"),
    "MIT-BIH's counts as CSV": lambda: table(counts(200, 1024), "'sample','MLII','V1'".replace("'sample',", "")),
    "MIT-BIH's counts as npz": lambda: npz(counts(200, 1024)),
    "npz in mV": lambda: npz(SIGNAL.samples),
    "npz of counts": lambda: npz(counts(200), units_per_mv=200),
    "npz of counts about a zero": lambda: npz(counts(200, 900), adu_per_mv=200, baseline=900),
    "npz in two units": lambda: npz(SIGNAL.samples * np.array([[1000], [1]]), units=["uV", "mV"]),
    "EDF": lambda: {"a.edf": ecgwriters.edf(SIGNAL)},
    "EDF in mV": lambda: {"a.edf": ecgwriters.edf(SIGNAL, unit="mV")},
    "BDF": lambda: {"a.bdf": ecgwriters.edf(SIGNAL, bdf=True)},
    "DICOM": lambda: {"a.dcm": ecgwriters.dicom_waveform(SIGNAL)},
    "DICOM in mV": lambda: {"a.dcm": ecgwriters.dicom_waveform(SIGNAL, "mV", 0.0025)},
}
ASKED: dict[str, Callable[[], dict[str, bytes]]] = {
    "CSV of whole µV": lambda: table(counts(1000)),
    "CSV of counts": lambda: table(counts(200)),
    "CSV of counts about 2048": lambda: table(counts(400, 2048)),
    "counts about 1024 on other leads": lambda: table(counts(200, 1024), "II,V1"),
    "counts about 1024 at another rate": lambda: table(counts(200, 1024), before="# fs=250\n"),
    "counts that a filter made fractions": lambda: table(SIGNAL.samples * 200),
    "npz of whole µV": lambda: npz(counts(1000)),
    "npz of counts as floats": lambda: npz(counts(200).astype(np.float32)),
    "npz that says counts": lambda: npz(SIGNAL.samples * 200, units="adu"),
    "DICOM without sensitivity": lambda: {"a.dcm": without_sensitivity()},
}


def without_sensitivity() -> bytes:
    from pydicom import dcmread

    ds = dcmread(io.BytesIO(ecgwriters.dicom_waveform(SIGNAL)))
    for channel in ds.WaveformSequence[0].ChannelDefinitionSequence:
        del channel.ChannelSensitivity, channel.ChannelSensitivityUnitsSequence
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize("container", READ)
def test_the_same_recording_has_the_same_beats(container: str):
    got = read_ecg(READ[container]())
    assert (got.rate, got.leads) == (RATE, LEADS)
    lead, wanted = (s - np.median(s, axis=1, keepdims=True) for s in (got.samples, SIGNAL.samples))
    assert np.abs(lead - wanted).max() < 0.004
    np.testing.assert_array_equal(find_r_peaks(remove_noise(got)), PEAKS)


@pytest.mark.parametrize("container", ASKED)
def test_what_cannot_be_told_is_asked(container: str):
    files = ASKED[container]()
    with pytest.raises(SignalError) as raised:
        read_ecg(files)
    assert "tells no unit" in raised.value.message
    assert "--gain" in raised.value.hint


@pytest.mark.parametrize("gain", [1000, 200, 409.6])
def test_the_gain_that_is_told_answers_the_question(gain: float):
    for files in (table(counts(gain)), npz(counts(gain))):
        got = read_ecg(files, gain=gain)
        assert np.abs(got.samples - SIGNAL.samples).max() < 0.6 / gain
        assert (got.told, got.notes) == ({"gain": gain}, ())
    for gain in (0, -1, float("nan"), float("inf")):
        with pytest.raises(SignalError, match="gain"):
            read_ecg(files, gain=gain)


def test_a_gain_does_not_change_what_a_file_tells():
    for files in (wfdb(), table(SIGNAL.samples * 1000, "MLII (µV),V1 (µV)"), npz(counts(200), units_per_mv=200)):
        np.testing.assert_array_equal(read_ecg(files, gain=50).samples, read_ecg(files).samples)


def test_mit_bih_is_said():
    got = read_ecg(table(counts(200, 1024)))
    assert "MIT-BIH" in got.notes[0] and "200 a millivolt" in got.notes[0]
    np.testing.assert_array_equal(read_ecg(table(counts(200, 1024)), gain=200).samples, got.samples)


def test_readings_by_height_where_only_one_is_possible():
    waves = [SIGNAL.samples[0] + 0.0001]
    assert find_scale("a", waves, [""], 360).factor == 1
    assert "µV" in find_scale("a", [waves[0] * 1000], [""], 360).note
    assert "volts" in find_scale("a", [waves[0] / 1000], [""], 360).note
    assert find_scale("a", [np.full(9, np.nan)], [""], 360).factor == 1
    assert find_scale("a", [np.full(900, 7.0)], [""], 360).factor == 1, "flat, which is told elsewhere"


def test_values_for_each_lead_must_be_as_many():
    with pytest.raises(SignalError, match="units has 3 values for 2 leads"):
        read_ecg(npz(SIGNAL.samples, units=["mV", "mV", "mV"]))
