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


FIELDS = {"physical min": 104, "physical max": 112, "digital min": 120, "digital max": 128}  # bytes before, a channel


def rewritten(data: bytes, channel: int, **fields: str) -> bytes:
    """Of an EDF file: what the header says of a channel replaced."""
    made, count = bytearray(data), int(data[252:256])
    for name, text in fields.items():
        at = 256 + FIELDS[name.replace("_", " ")] * count + 8 * channel
        made[at : at + 8] = text.encode("latin-1").ljust(8)
    return bytes(made)


UNSCALED = {
    "a decimal comma": {"physical_min": "-3,5", "physical_max": "3,5"},
    "no physical range": {"physical_min": "0", "physical_max": "0"},
    "no digital range": {"digital_min": "5", "digital_max": "5"},
    "digits with a point": {"digital_min": "-32768.0"},
    "nothing": {"digital_max": ""},
    "not a number": {"physical_max": "nan"},
    "endless": {"physical_max": "1e400"},
    "beyond all numbers": {"physical_min": "-9e307", "physical_max": "1.7e308"},
    "a hard blank": {"physical_max": "3500\xa0"},
}


@pytest.mark.parametrize("bdf", [False, True])
@pytest.mark.parametrize("what", UNSCALED)
def test_a_channel_whose_scale_is_not_told_is_refused(what: str, bdf: bool):
    data = edf(SIGNAL, bdf=bdf)
    with pytest.raises(SignalError, match="does not tell the scale of 'ECG II'"):
        read(rewritten(data, 1, **UNSCALED[what]), "a.edf")
    breathing = read(rewritten(data, 2, **UNSCALED[what]), "a.edf")  # which is not asked about
    np.testing.assert_array_equal(breathing.samples, read(data, "a.edf").samples)


def test_a_lone_channel_needs_a_scale():
    with pytest.raises(SignalError, match="does not tell the scale of 'channel 1'"):
        read(rewritten(written(channel("channel 1", "")), 0, physical_min="0", physical_max="0"), "a.edf")


def test_numbers_with_blanks_and_signs_are_numbers():
    data = edf(SIGNAL, unit="mV")
    lows = (float(data[256 + 104 * 3 : 256 + 104 * 3 + 8]), float(data[256 + 112 * 3 : 256 + 112 * 3 + 8]))
    spelt = rewritten(data, 0, physical_min=f" {lows[0]:+.4f}", physical_max=f"{lows[1]:+.4f}", digital_max=" +32767")
    np.testing.assert_allclose(read(spelt, "a.edf").samples, read(data, "a.edf").samples, atol=1e-3)


@pytest.mark.parametrize("told", ["1026", "768", "-1", "x"])
def test_a_header_of_another_length_is_refused(told: str):
    data = bytearray(edf(SIGNAL))
    assert data[184:192] == b"1024    "
    data[184:192] = told.encode().ljust(8)
    with pytest.raises(
        SignalError, match="damaged" if told == "x" else f"header has {told} bytes; 3 channels take 1024"
    ):
        read(bytes(data), "a.edf")
