"""WFDB: sample formats, units, annotations, and headers that mean harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgmaker import ecg, even
from ecgwriters import wfdb_record
from medloupe.ecg.files import read_ecg
from medloupe.ecg.recording_files import group_files
from medloupe.ecg.wfdb import aami_class, read_annotations, read_header
from medloupe.errors import SignalError

SIGNAL = ecg(even(5), 5, 360, ("MLII", "V1"), noise=0.005)
DAT = np.rint(SIGNAL.samples.T * 200).astype("<i2").tobytes()


@pytest.mark.parametrize(("form", "limit"), [("16", 1e-4), ("212", 1e-3), ("80", 0.02), ("24", 1e-5), ("32", 1e-5)])
def test_sample_formats(form: str, limit: float, tmp_path: Path):
    got = read_ecg(wfdb_record(SIGNAL, tmp_path, form=form))
    assert got.leads == ("MLII", "V1")
    assert np.abs(got.samples - SIGNAL.samples).max() < limit


def test_first_differences(tmp_path: Path):
    """Format 8: eight bits of change from each sample to the next."""
    steps = np.rint(SIGNAL.samples[0] * 100).astype(int)
    differences = np.diff(steps, prepend=steps[0])
    assert np.abs(differences).max() < 128
    (tmp_path / "r.dat").write_bytes(differences.astype(np.int8).tobytes())
    (tmp_path / "r.hea").write_text(f"r 1 360 {len(steps)}\nr.dat 8 100/mV 11 0 {steps[0]} 0 0 MLII\n")
    got = read_ecg(tmp_path / "r.hea")
    np.testing.assert_allclose(got.samples[0] * 100, steps, atol=1e-3)


@pytest.mark.parametrize(
    ("line", "factor"), [("200/mV", 1), ("0.2/uV", 1), ("200000/V", 1), ("200", 1), ("200(100)/mV", None)]
)
def test_gain_and_unit(line: str, factor: float | None):
    head = f"r 2 360 {SIGNAL.samples.shape[1]}\nr.dat 16 {line} 16 0 0 0 0 MLII\nr.dat 16 {line} 16 0 0 0 0 V1\n"
    got = read_ecg({"r.hea": head.encode(), "r.dat": DAT})
    wanted = SIGNAL.samples if factor else SIGNAL.samples - 0.5
    np.testing.assert_allclose(got.samples, wanted, atol=0.003)


def test_a_channel_of_something_else_is_left_out():
    head = f"r 2 360 {SIGNAL.samples.shape[1]}\nr.dat 16 200/mV 16 0 0 0 0 MLII\nr.dat 16 200/mmHg 16 0 0 0 0 ABP\n"
    got = read_ecg({"r.hea": head.encode(), "r.dat": DAT})
    assert got.leads == ("MLII",)
    assert "ABP" in got.notes[0]


def test_names_of_files_do_not_matter_to_the_decoder():
    head = f"r 2 360 {SIGNAL.samples.shape[1]}\nOther-Name.1.dat 16 200 16 0 0 0 0 MLII\nOther-Name.1.dat 16 200\n"
    got = read_ecg({"weird name (1).hea": head.encode(), "Other-Name.1.dat": DAT})
    np.testing.assert_allclose(got.samples, SIGNAL.samples, atol=0.003)


@pytest.mark.parametrize(
    ("head", "match"),
    [
        ("r 1 360 1000\nhttp://example.org/y.dat 16\n", "refers to 'http"),
        ("r 1 360 1000\ns3://bucket/y.dat 16\n", "refers to 's3"),
        ("r 1 360 1000\n../r.dat 16\n", "refers to"),
        ("r 1 360 1000\n/etc/passwd 16\n", "refers to '/etc/passwd'"),
        ("r 1 360 1000\n~ 16\n", "refers to '~'"),
        ("r 1 360 1000\n.hidden 16\n", "refers to"),
        ("r/2 1 360 1000\na 500\nb 500\n", "several segments"),
        ("r 1 360 99999999999\nr.dat 16\n", "99,999,999,999"),
        ("r 99 360 10\n", "99 channels"),
        ("r 0 360 10\n", "0 channels"),
        ("r 1 360 4000000\nr.dat 16 200/mV 11 0 0 0 0 II\n", "shorter than"),
        ("r 1 360\nr.dat 516\n", "format '516'"),
        ("r 1 360 10\nr.dat 16x64 200\n", "23040 Hz"),
        ("r 1 15.5 10\nr.dat 16x32 200\n", None),
        ("r 1 360 10\nr.dat 16x999 200\n", "claims too much"),
        ("r 1 3.6 10\nr.dat 16\n", r"3\.6 Hz"),
        ("r 1 nan 10\nr.dat 16\n", "'nan'"),
        ("r 2 360 10\nr.dat 16\n", "describes 1"),
        ("r x\n", "no WFDB header"),
        ("# nothing\n", "no WFDB header"),
        ("r 1 360 10\n" + "# " + "x" * 70_000, "no WFDB header has"),
    ],
)
def test_headers_are_checked_first(head: str, match: str | None):
    files = {"r.hea": head.encode(), "r.dat": DAT}
    if match is None:
        assert read_ecg(files).rate == 496, "a frame has 32 samples"
        return
    with pytest.raises(SignalError, match=match):
        read_ecg(files)


def test_a_header_cannot_reach_a_file_beside_it_by_another_name(tmp_path: Path):
    """Of a folder only plain names are taken, and a link out of it is a file like any other that was put there."""
    (tmp_path / "set").mkdir()
    (tmp_path / "secret.dat").write_bytes(DAT)
    path = tmp_path / "set" / "r.hea"
    path.write_text("r 1 360 100\n../secret.dat 16 200\n")
    with pytest.raises(SignalError, match=r"refers to '\.\./secret\.dat'"):
        read_ecg(path)


def test_the_header_read(tmp_path: Path):
    told = read_header(wfdb_record(SIGNAL, tmp_path).read_bytes(), "r1.hea")
    assert (told.rate, told.length, told.files) == (360, 1800, ("r1.dat",))
    assert len(told.lines) == 2


def test_annotations(tmp_path: Path):
    beats = {100: "N", 400: "V", 700: "+", 900: "A", 1200: "/"}
    path = wfdb_record(SIGNAL, tmp_path, beats=beats)
    at, symbols = read_annotations(path.with_suffix(".atr"))
    assert at.dtype == np.int64
    assert dict(zip(at.tolist(), symbols, strict=True)) == beats
    assert [aami_class(symbol) for symbol in symbols] == ["N", "V", "", "S", "Q"]
    assert {aami_class(symbol) for symbol in "NLRej"} == {"N"}
    assert aami_class("F") == "F"
    for bad in (b"", b"\x00"):
        path.with_suffix(".atr").write_bytes(bad)
        with pytest.raises(SignalError, match="annotation"):
            read_annotations(path.with_suffix(".atr"))
    with pytest.raises(SignalError, match="annotation"):
        read_annotations(tmp_path / "absent.atr")


def test_gaps_are_missing(tmp_path: Path):
    gappy = replace(SIGNAL, samples=SIGNAL.samples.copy())
    gappy.samples[0, 100:200] = np.nan
    got = read_ecg(wfdb_record(gappy, tmp_path))
    assert set(np.flatnonzero(np.isnan(got.samples[0]))) == set(range(100, 200))


def test_a_count_of_thousands_of_digits_is_no_header():
    with pytest.raises(SignalError, match="no WFDB header"):
        read_header(b"a " + b"1" * 5000 + b" 360", "a.hea")


def test_counts_are_asked_for_their_gain_and_take_it():
    files = {"r.hea": b"r 1 360\nr.dat 16 1(0)/adu 11 0 0 0 0 II\n", "r.dat": DAT}
    with pytest.raises(SignalError, match="samples are counts"):
        read_ecg(files)
    told = read_ecg(files, gain=200)
    assert np.allclose(told.samples[0], np.frombuffer(DAT, "<i2") / 200)


@pytest.mark.parametrize("gain", ["e5", "-e5", ".e5", "1e400", "-1e400"])
def test_a_gain_that_is_no_number_is_no_header(gain: str):
    header = f"r 1 360\nr.dat 16 {gain}/mV 11 0 0 0 0 II\n".encode()
    with pytest.raises(SignalError, match="where the gain stands"):
        read_header(header, "r.hea")
    sent = [("r.hea", header), ("r.dat", DAT)]
    assert group_files(sent) == [("r.hea", {"r.hea": header, "r.dat": DAT})], "refused when it is read"
