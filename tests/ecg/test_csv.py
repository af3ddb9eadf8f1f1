"""Text: separators, decimal commas, headers, units and the many places where a sampling rate stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgmaker import ecg, even
from ecgwriters import text
from medloupe.ecg.csv import looks_like_ecg, read
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.errors import SignalError

LEADS = ("II", "V1", "V5")
SIGNAL = ecg(even(5), 5, 360, LEADS, noise=0.005)
ONE = Signal(samples=SIGNAL.samples[:1], rate=360, leads=("II",))


def same(got: Signal, wanted: Signal = SIGNAL, leads: tuple[str, ...] | None = None) -> None:
    assert got.leads == (wanted.leads if leads is None else leads)
    assert got.rate == pytest.approx(wanted.rate, abs=1e-6)
    assert got.samples.shape == wanted.samples.shape
    np.testing.assert_allclose(got.samples, wanted.samples, atol=2e-5)


@pytest.mark.parametrize(
    "before",
    [
        *("# fs=360\n", "fs,360\n", "sampling_rate: 360\n", "# Sampling frequency (Hz) = 360\n", "Sample Rate;360,0\n"),
        *("# recorded at 360 Hz, filter 0.05-150 Hz\n", "# heart rate: 72\n# rate 360\n", "% 360 samples per second\n"),
    ],
)
def test_where_the_rate_stands(before: str):
    same(read(text(SIGNAL, before=before), "a.csv"))


@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("  ", "."), (" ", ",")]
)
@pytest.mark.parametrize("header", [True, False])
def test_separators(separator: str, decimal: str, header: bool):
    data = text(SIGNAL, None if header else "", separator=separator, decimal=decimal)
    same(read(data, "a.csv", 360), leads=LEADS if header else ("", "", ""))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str):
    data = text(replace(SIGNAL, samples=SIGNAL.samples * 1000), "II (µV),V1 (µV),V5 (µV)", before="fs: 360\n")
    got = read(data.decode().encode(encoding), "a.csv")
    assert got.leads == LEADS
    np.testing.assert_allclose(got.samples, SIGNAL.samples, atol=1e-5)
    assert not got.notes


@pytest.mark.parametrize(
    ("header", "factor", "said"),
    [
        ("II (mV),V1 (mV),V5 (mV)", 1, ""),
        ("II (uV),V1 [uV],V5_uV", 1000, ""),
        ("ECG II,ECG V1,ECG V5", 1000, "read as µV"),
        ("ii,v1,v5", 1e-3, "read as volts"),
        ("Lead II,Lead V1,Lead V5", 1, ""),
    ],
)
def test_units(header: str, factor: float, said: str):
    got = read(text(SIGNAL, header, factor=factor), "a.csv", 360)
    same(got)
    assert said in " ".join(got.notes)
    assert bool(said) == bool(got.notes)
    told = read(text(SIGNAL, header.split(" (")[0] and None, before="# unit: uV, fs=360\n", factor=1000), "a.csv")
    same(told)


@pytest.mark.parametrize(
    ("header", "second"),
    [
        *(("time,II,V1,V5", 1), ("Time (s),II,V1,V5", 1), ("time (ms),II,V1,V5", 1000), ("t_ms,II,V1,V5", 1000)),
        *(("time,II,V1,V5", 1000), ("timestamp,II,V1,V5", 1), ("", 1), ("", 1000)),
    ],
)
def test_a_time_column_tells_the_rate(header: str, second: float):
    same(read(text(SIGNAL, header, time=second), "a.csv"), leads=None if header else ("", "", ""))


def test_a_column_that_counts_samples_is_no_lead_and_no_time():
    counted = text(SIGNAL, "'sample #','II','V1','V5'", time=360)
    same(read(counted, "a.csv", 360))
    same(read(text(SIGNAL, "", time=360), "a.csv", 360), leads=("", "", ""))
    with pytest.raises(SignalError, match="sampling rate"):
        read(counted, "a.csv")


def test_as_physionet_exports():
    lines = text(SIGNAL, "'Elapsed time','II','V1','V5'\n'hh:mm:ss.mmm','mV','mV','mV'", time=1).decode().splitlines()
    stamped = [f"'0:{float(line.split(',')[0]):06.3f}',{line.split(',', 1)[1]}" for line in lines[2:]]
    same(read("\n".join(lines[:2] + stamped).encode(), "a.csv", 360))


def test_what_is_told_goes_before_the_times():
    got = read(text(SIGNAL, time=1), "a.csv", 180)
    assert got.rate == 180
    assert "time column runs at 360" in got.notes[0]


def test_one_column():
    same(read(text(ONE, "", before="# fs=360\n"), "a.txt"), ONE, leads=("",))
    same(read(text(ONE, "II", before="# fs=360\n", decimal=","), "a.txt"), ONE)


def test_a_row_a_lead():
    rows = "\n".join(",".join(f"{value:.6g}" for value in lead) for lead in SIGNAL.samples)
    same(read(rows.encode(), "a.csv", 360), leads=("", "", ""))


def test_twelve_columns_without_names():
    twelve = ecg(even(3), 3, 250)
    got = read(text(twelve, ""), "a.csv", 250)
    assert got.leads == TWELVE
    assert "no names" in got.notes[0]


def test_blank_cells_are_missing():
    lines = text(SIGNAL, before="# fs=360\n").decode().splitlines()
    lines[100] = lines[100].split(",", 1)[0] + ",,nan"
    got = read("\n".join(lines).encode(), "a.csv")
    assert np.isnan(got.samples[1:, 98]).all()
    assert np.isnan(got.samples).sum() == 2


def test_other_channels_are_left_out():
    got = read(text(SIGNAL, "II,Resp,label"), "a.csv", 360)
    assert got.leads == ("II",)
    assert "Resp, label" in got.notes[0]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (text(SIGNAL), "does not tell its sampling rate"),
        (text(SIGNAL, before="# heart rate: 72\n# notch 50 Hz\n"), "does not tell its sampling rate"),
        (text(SIGNAL, before="# fs=5\n"), "5 Hz"),
        (b"a,b\nc,d\n", "no columns of numbers"),
        (b"# fs=360\n1,2\n3,4\n5\n6,7\n", "different numbers of columns"),
        (b"# fs=360\n" + b"\n".join([b",".join([b"1"] * 40)] * 60), "40 channels|32"),
        (b"\n\n\n", "no columns of numbers"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, match: str):
    with pytest.raises(SignalError, match=match):
        read(data, "a.csv")


def test_tables_are_told_from_ecgs():
    assert looks_like_ecg(text(SIGNAL))
    assert looks_like_ecg(text(SIGNAL, "", before="# fs=360\n"))
    assert not looks_like_ecg(b"file,label\na.hea,N\nb.hea,S\n")
    assert not looks_like_ecg(b"age,weight\n50,80\n51,70\n52,60\n")
    assert not looks_like_ecg(b"")
