"""EDF and BDF: which channels are the heart's, units, and headers that claim too much."""

from __future__ import annotations

import io

import edfio
import numpy as np
import pytest

from ecgmaker import ecg, even
from ecgwriters import edf
from medloupe.ecg.edf import is_edf, read
from medloupe.ecg.files import read_ecg
from medloupe.errors import SignalError

SIGNAL = ecg(even(5), 5, 256, ("I", "II"), noise=0.005)


def written(*channels: edfio.EdfSignal) -> bytes:
    out = io.BytesIO()
    edfio.Edf(list(channels)).write(out)
    return out.getvalue()


def channel(label: str, unit: str = "mV", rate: float = 256, factor: float = 1) -> edfio.EdfSignal:
    samples = np.resize(SIGNAL.samples[0].astype(float), int(5 * rate)) * factor
    return edfio.EdfSignal(samples, rate, label=label, physical_dimension=unit)


@pytest.mark.parametrize("bdf", [False, True])
@pytest.mark.parametrize("unit", ["uV", "mV"])
def test_units(bdf: bool, unit: str):
    got = read(edf(SIGNAL, bdf=bdf, unit=unit), "a.edf")
    assert (got.leads, got.rate, got.source) == (("I", "II"), 256, "BDF" if bdf else "EDF")
    np.testing.assert_allclose(got.samples, SIGNAL.samples, atol=1e-3)


def test_the_hearts_channels_are_taken():
    data = written(channel("EEG Fpz-Cz", "uV"), channel("EKG"), channel("SpO2", "%"), channel("EMG chin", "uV"))
    got = read(data, "a.edf")
    assert got.leads == ("",)
    np.testing.assert_allclose(got.samples[0], SIGNAL.samples[0], atol=1e-3)


def test_a_lone_channel_needs_no_name():
    assert read(written(channel("channel 1", "")), "a.edf").leads == ("",)


def test_another_rate_is_left_out():
    got = read(written(channel("ECG I"), channel("ECG II"), channel("ECG V1", rate=128)), "a.edf")
    assert got.leads == ("I", "II")
    assert "ECG V1 has another rate" in got.notes[0]


def test_without_the_heart():
    with pytest.raises(SignalError, match="EEG Fpz, SpO2"):
        read(written(channel("EEG Fpz", "uV"), channel("SpO2", "%")), "a.edf")


def test_a_day_is_read_and_no_more():
    data = bytearray(written(channel("ECG I")))
    for at, text, match in (
        (236, b"99999999", "shorter than"),
        (252, b"9999", "9999 channels"),
        (252, b"abcd", "damaged"),
    ):
        bad = bytes(data[:at]) + text + bytes(data[at + len(text) :])
        with pytest.raises(SignalError, match=match):
            read_ecg({"a.edf": bad})
    negative = bytes(data[: 256 + 216]) + b"-5      " + bytes(data[256 + 224 :])
    with pytest.raises(SignalError, match="damaged"):
        read_ecg({"a.edf": negative})


def test_magic():
    assert is_edf(edf(SIGNAL)[:256])
    assert is_edf(edf(SIGNAL, bdf=True)[:256])
    assert not is_edf(b"0       ")
    assert not is_edf(b"time,I,II\n" * 40)


def test_pieces_with_gaps_are_refused():
    data = bytearray(edf(SIGNAL))
    data[192:197] = b"EDF+D"
    with pytest.raises(SignalError, match="gaps"):
        read(bytes(data), "a.edf")
