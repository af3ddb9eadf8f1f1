"""Reading in other processes: the same signals, and nothing that a file does reaches the parent."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import ecgsaved
import ecgwriters
import hostile_ecgs
from ecgmaker import ecg, even
from medloupe.ecg.channels import ReadLimits, check_size, reading_within
from medloupe.ecg.files import read_ecg
from medloupe.ecg.parsers import HOUR, EcgParsers
from medloupe.errors import ImageError, MedloupeError, NotAnEcgError, SignalError
from medloupe.imaging.sandbox.processpool import Cancellation

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
SIGNAL = ecg(even(8), 8, 250, noise=0.005)
GOOD = {"a.npz": ecgsaved.npz(SIGNAL)}


@pytest.fixture(scope="module")
def shared() -> Iterator[EcgParsers]:
    with EcgParsers(1) as parsers:
        parsers.read(GOOD)  # up
        yield parsers


@pytest.fixture
def own() -> Iterator[EcgParsers]:
    """One process of this test's own, with little time."""
    with EcgParsers(1, seconds=1.5) as parsers:
        parsers.read(GOOD)
        yield parsers


def pid_of(parsers: EcgParsers) -> int:
    mine = {process.pid for process in parsers._processes}
    return next(child.pid for child in psutil.Process().children() if child.pid in mine)


def peak(pid: int) -> float:
    """MiB of the resident set at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@pytest.mark.parametrize(
    "files",
    [
        ecgsaved.wfdb(SIGNAL),
        {"a.csv": ecgsaved.csv(SIGNAL)},
        {"a.npz": ecgwriters.npz(signal=SIGNAL.samples * 1000, fs=250)},
        {"a.edf": ecgwriters.edf(SIGNAL)},
        {"a.dcm": ecgwriters.dicom_waveform(SIGNAL)},
    ],
    ids=lambda files: next(iter(files)),
)
def test_signals_are_those_of_read_ecg(shared: EcgParsers, files: dict[str, bytes]):
    got, wanted = shared.read(files), read_ecg(files)
    np.testing.assert_array_equal(got.samples, wanted.samples)
    assert (got.rate, got.leads, got.source, got.notes) == (wanted.rate, wanted.leads, wanted.source, wanted.notes)


def test_what_is_told_goes_along(shared: EcgParsers):
    files = {"a.csv": ecgwriters.text(SIGNAL, factor=1000).replace(b".", b"")}
    assert shared.read({"a.csv": ecgwriters.text(SIGNAL)}, rate=250).told == {"rate": 250}
    got = shared.read(files, rate=250, gain=200)
    assert got.told == {"rate": 250, "gain": 200}
    np.testing.assert_array_equal(got.samples, read_ecg(files, rate=250, gain=200).samples)


def test_errors_are_those_of_read_ecg(shared: EcgParsers):
    for files in (
        {"a.csv": b""},
        {"a.csv": b"x,y\n"},
        {"r.hea": b"r 1 360 9\nr.dat 16 200\n"},
        {"a.csv": b"\x89PNG\r\n\x1a\n"},
    ):
        with pytest.raises(SignalError) as wanted:
            read_ecg(files)
        with pytest.raises(SignalError) as raised:
            shared.read(files)
        assert (raised.value.message, raised.value.hint) == (wanted.value.message, wanted.value.hint)
        assert isinstance(raised.value, NotAnEcgError) == isinstance(wanted.value, NotAnEcgError)


def test_longer_than_a_server_reads(shared: EcgParsers):
    long = {"a.npz": ecgwriters.npz(signal=np.random.default_rng(1).normal(size=50 * 3700), fs=50.0)}
    assert read_ecg(long).seconds == 3700
    with pytest.raises(SignalError, match=r"1\.0 hours; at most 1 h .* are read here"):
        shared.read(long)


def test_limits_hold_within_their_block_alone():
    with reading_within(ReadLimits(1000, 10)), pytest.raises(SignalError, match="1,000 samples"):
        check_size("a", 2, 600, 100)
    check_size("a", 2, 600, 100)
    assert HOUR.seconds == 3600


@linux
@pytest.mark.parametrize("name", hostile_ecgs.RECORDINGS)
def test_hostile_files_cost_little(shared: EcgParsers, name: str):
    files = hostile_ecgs.RECORDINGS[name]()
    shared.read(GOOD)
    before = peak(pid := pid_of(shared))
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    spent = int(fields[11]) + int(fields[12])
    with pytest.raises(ImageError) as raised:
        shared.read(files)
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(fields[11]) + int(fields[12]) - spent) / os.sysconf("SC_CLK_TCK") < 2, "seconds of processor"
    assert peak(pid) - before < 150, "MiB"
    assert raised.value.message
    assert "damaged or no ECG file" not in raised.value.message, "the cause is named"
    assert (shared.died, shared.killed) == (0, 0)


@posix
def test_a_hang_costs_its_time_and_one_recording(own: EcgParsers):
    os.kill(pid := pid_of(own), signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(SignalError, match=r"within 1\.5 seconds"):
        own.read(GOOD)
    assert time.monotonic() - started < 6
    assert own.killed == 1
    assert own.read(GOOD).leads == SIGNAL.leads
    assert pid_of(own) != pid


@posix
def test_nobody_waits_any_more(own: EcgParsers):
    for began in (True, False):
        os.kill(pid_of(own), signal.SIGSTOP)
        cancellation = Cancellation()
        if began:
            threading.Timer(0.2, cancellation.cancel).start()
        else:
            cancellation.cancel()
        started = time.monotonic()
        with pytest.raises(SignalError, match="nobody waits"):
            own.read(GOOD, cancellation=cancellation)
        assert time.monotonic() - started < 1.2
        assert own.read(GOOD).leads == SIGNAL.leads
    cancellation.cancel()  # done long ago: nothing of others is killed
    assert own.read(GOOD).leads == SIGNAL.leads
    assert (own.killed, own.died) == (0, 0)


@linux
def test_memory_is_bounded():
    numbers = {"a.csv": b"# fs=360\n" + b"0.123456,0.654321\n" * 2_000_000}
    with EcgParsers(1, memory=96 * 2**20) as small, pytest.raises(ImageError, match=r"memory|fail"):
        small.read(numbers)


@posix
@pytest.mark.parametrize(
    "answer",
    ["b'\\xff' * 100", "b'\\0' * 17", "b'\\x03' + b'\\xff' * 99", "b'\\0\\0' + b'\\x02' + bytes(15) + b'[]'", "b''"],
)
def test_what_is_no_answer_is_not_believed(answer: str, monkeypatch: pytest.MonkeyPatch):
    code = (
        "import sys; from medloupe.imaging.sandbox.bounds import READY\n"
        f"out = sys.stdout.buffer; out.write(READY); out.flush(); sys.stdin.buffer.read(5); out.write({answer})"
    )
    with EcgParsers(1, seconds=5) as parsers:
        monkeypatch.setattr(parsers._processes[0], "_command", [sys.executable, "-c", code])
        with pytest.raises(SignalError, match="fail"):
            parsers.read(GOOD)


def test_a_process_that_does_not_start_is_no_fault_of_the_file(monkeypatch: pytest.MonkeyPatch):
    with EcgParsers(1) as parsers:
        monkeypatch.setattr(parsers._processes[0], "_command", ["/no/such/program"])
        with pytest.raises(MedloupeError, match="reads ECGs cannot be started") as raised:
            parsers.read(GOOD)
        assert not isinstance(raised.value, ImageError)
