"""DICOM waveforms: units, offsets, names of channels, several groups, and claims that the bytes do not bear out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from ecgmaker import ecg, even
from ecgwriters import dicom_waveform
from medloupe.ecg.dicom import read
from medloupe.ecg.files import is_ecg_bytes, read_ecg
from medloupe.ecg.signal import TWELVE
from medloupe.errors import SignalError

SIGNAL = ecg(even(4), 4, 500, TWELVE, noise=0.005)


def changed(change) -> bytes:
    """The file after its data set was changed."""
    ds = dcmread(io.BytesIO(dicom_waveform(SIGNAL)))
    change(ds)
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


@pytest.mark.parametrize(("unit", "step", "offset"), [("uV", 2.5, 0), ("uV", 1.25, 300), ("mV", 0.001, -0.2)])
def test_sensitivity_baseline_and_unit(unit: str, step: float, offset: float):
    got = read(dicom_waveform(SIGNAL, unit, step, offset), "a.dcm")
    assert (got.leads, got.rate, got.source) == (TWELVE, 500, "DICOM")
    np.testing.assert_allclose(got.samples, SIGNAL.samples, atol=0.002)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_transfer_syntaxes(syntax: str):
    def change(ds):
        ds.file_meta.TransferSyntaxUID = syntax

    np.testing.assert_allclose(read(changed(change), "a.dcm").samples, SIGNAL.samples, atol=0.002)


def test_leads_by_code_where_the_meaning_says_nothing():
    numbers = [1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8]

    def change(ds, form):
        for number, channel in zip(numbers, ds.WaveformSequence[0].ChannelDefinitionSequence, strict=True):
            channel.ChannelSourceSequence[0].CodeMeaning = "channel"
            channel.ChannelSourceSequence[0].CodeValue = form.format(number)

    for form in ("2:{}", "5.6.3-9-{}"):
        assert read(changed(lambda ds, form=form: change(ds, form)), "a.dcm").leads == TWELVE


def test_the_largest_group_is_read():
    def change(ds):
        small = dcmread(io.BytesIO(dicom_waveform(ecg(even(1), 1, 500)))).WaveformSequence[0]
        ds.WaveformSequence = [small, ds.WaveformSequence[0]]

    got = read(changed(change), "a.dcm")
    assert got.samples.shape == (12, 2000)
    assert "2 recordings" in got.notes[0]


def test_padding_is_missing():
    padded = np.rint(SIGNAL.samples.T * 400).astype("<i2")
    padded[10:20, 3] = -32768
    got = read(dicom_waveform(SIGNAL, WaveformData=padded.tobytes(), WaveformPaddingValue=b"\x00\x80"), "a.dcm")
    assert np.isnan(got.samples[3, 10:20]).all()
    assert np.isnan(got.samples).sum() == 10


def without_waveform(ds) -> None:
    del ds.WaveformSequence


@pytest.mark.parametrize(
    ("tags", "match"),
    [
        ({"NumberOfWaveformSamples": 4_000_000_000}, "4,000,000,000 samples"),
        ({"NumberOfWaveformSamples": 2500}, "claims 12 × 2,500 samples and holds"),
        ({"NumberOfWaveformChannels": 8}, "describes 12 of its 8"),
        ({"NumberOfWaveformChannels": 200}, "200 channels"),
        ({"SamplingFrequency": 1}, "1 Hz"),
        ({"WaveformSampleInterpretation": "MB"}, "damaged"),
    ],
)
def test_claims_are_checked(tags: dict, match: str):
    with pytest.raises(SignalError, match=match):
        read_ecg({"a.dcm": dicom_waveform(SIGNAL, **tags)})


def test_other_objects():
    report = changed(without_waveform)
    assert is_ecg_bytes(dicom_waveform(SIGNAL))
    assert not is_ecg_bytes(b"nothing")
    with pytest.raises(SignalError, match="without a waveform"):
        read(report, "a.dcm")
