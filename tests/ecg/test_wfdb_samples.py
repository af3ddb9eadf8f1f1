"""Samples of WFDB records, by the wfdb package's own values: formats, several samples a frame, skew, several files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from medloupe.ecg.files import read_ecg
from medloupe.errors import SignalError

FORMATS = ("8", "16", "24", "32", "61", "80", "160", "212", "310", "311")
NAMES = ("MLII", "V1", "V5")


def by_wfdb(path: Path) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wfdb

        record = wfdb.rdrecord(str(path.with_suffix("")), smooth_frames=False, return_res=32)
    assert isinstance(record, wfdb.Record)
    assert record.e_p_signal is not None
    return list(record.e_p_signal)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_values_are_those_of_wfdb(form: str, channels: int, tmp_path: Path):
    """Of bytes by chance every value of a format comes, and that for no sample."""
    stored = np.random.default_rng(3).integers(0, 256, 4 * 3 * 401, dtype=np.uint8)
    if form == "311":
        stored[3::4] &= 0x3F  # the bits that are of no sample
    data = stored.tobytes()
    frames = 400
    lines = [f"r.dat {form} 200(10)/mV 12 0 5 0 0 {name}" for name in NAMES[:channels]]
    (tmp_path / "r.hea").write_text(f"r {channels} 360 {frames}\n" + "\n".join(lines) + "\n")
    (tmp_path / "r.dat").write_bytes(data)
    got = read_ecg(tmp_path / "r.hea")
    wanted = by_wfdb(tmp_path / "r.hea")
    assert got.samples.shape == (channels, frames)
    for ours, theirs in zip(got.samples, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-7 if form in ("24", "32") else 0)


def wave(rate: float, seconds: float) -> np.ndarray:
    times = np.arange(round(rate * seconds)) / rate
    return np.rint(200 * np.exp(-(((times % 0.8) - 0.4) ** 2) / 0.0002)).astype("<i2")


@pytest.mark.parametrize("form", ["16", "212"])
def test_several_samples_a_frame_are_read_at_their_own_rate(form: str, tmp_path: Path):
    """496 Hz as 32 samples in each of 15.5 frames a second, beside a breath of one sample a frame."""
    frames, seconds = 155, 10
    fast = wave(496, seconds).reshape(frames, 32)
    stored = np.concatenate([fast, np.zeros((frames, 2), "<i2")], axis=1)
    if form == "16":
        data = stored.astype("<i2").tobytes()
    else:
        pairs = stored.reshape(-1, 2).astype(int) & 0xFFF
        packed = np.stack([pairs[:, 0] & 255, pairs[:, 0] >> 8 | pairs[:, 1] >> 8 << 4, pairs[:, 1] & 255], axis=1)
        data = packed.astype(np.uint8).tobytes()
    (tmp_path / "r.hea").write_text(
        f"r 2 15.5 {frames}\nr.dat {form}x32 200/mV 12 0 0 0 0 MLII\nr.dat {form}x2 1/l 12 0 0 0 0 RESP\n"
    )
    (tmp_path / "r.dat").write_bytes(data)
    got = read_ecg(tmp_path / "r.hea")
    assert (got.rate, got.leads, got.samples.shape) == (496, ("MLII",), (1, 4960))
    np.testing.assert_allclose(got.samples[0], wave(496, seconds) / 200, atol=1e-6)
    np.testing.assert_array_equal(got.samples[0], by_wfdb(tmp_path / "r.hea")[0])
    assert got.notes == ("Channels that are no ECG are left out: RESP.",)


def test_leads_of_another_rate_are_left_out_with_a_word(tmp_path: Path):
    frames = 2000
    data = np.random.default_rng(1).integers(-200, 200, (frames, 5)).astype("<i2").tobytes()
    lines = ["r.dat 16x2 200 12 0 0 0 0 I", "r.dat 16x2 200 12 0 0 0 0 II", "r.dat 16 200 12 0 0 0 0 V1"]
    (tmp_path / "r.hea").write_text(f"r 3 250 {frames}\n" + "\n".join(lines) + "\n")
    (tmp_path / "r.dat").write_bytes(data)
    got = read_ecg(tmp_path / "r.hea")
    assert (got.rate, got.leads, got.samples.shape) == (500, ("I", "II"), (2, 4000))
    assert "V1 has another rate" in got.notes[0]


def test_skew_and_offset(tmp_path: Path):
    data = np.random.default_rng(2).integers(-500, 500, (800, 2)).astype("<i2").tobytes()
    (tmp_path / "r.hea").write_text("r 2 360 800\nr.dat 16:7+4 200 12 0 0 0 0 I\nr.dat 16+4 200 12 0 0 0 0 II\n")
    (tmp_path / "r.dat").write_bytes(b"head" + data)
    got, wanted = read_ecg(tmp_path / "r.hea"), by_wfdb(tmp_path / "r.hea")
    for ours, theirs in zip(got.samples, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.isnan(got.samples[0, -7:]).all()


def test_a_gain_that_is_not_told_is_said(tmp_path: Path):
    files = {"r.hea": b"r 1 360 900\nr.dat 16 0 12 0 0 0 0 MLII\n", "r.dat": wave(360, 2.5).tobytes()}
    got = read_ecg(files)
    assert "tells no gain; 200 units a millivolt" in got.notes[0]
    told = read_ecg(files, gain=1000)
    np.testing.assert_allclose(told.samples * 5, got.samples, atol=1e-6)
    assert not told.notes


def test_claims_are_compared_with_the_bytes(tmp_path: Path):
    """Products of what a header claims: channels, samples a frame, frames, skew."""
    lines = "".join(f"r.dat 16x64:1000000 200 12 0 0 0 0 L{k}\n" for k in range(32))
    for claimed in (1_000_000, 100_000, 100):
        with pytest.raises(SignalError, match=r"shorter than|hours; at most"):
            read_ecg({"r.hea": f"r 32 100 {claimed}\n{lines}".encode(), "r.dat": bytes(5000)})
    with pytest.raises(SignalError, match="several formats"):
        read_ecg({"r.hea": b"r 2 360 9\nr.dat 16 200\nr.dat 212 200\n", "r.dat": bytes(5000)})
