"""Decoding in other processes: the same pixels, and nothing that a file does reaches the parent."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import hostile
from dicoms import bundled, dicom
from medloupe.errors import (
    DecoderLostError,
    ImageError,
    ImageTooLargeError,
    MedloupeError,
    NotAnImageError,
    UnreadableImageError,
)
from medloupe.imaging import decode
from medloupe.imaging.photo import NEVER
from medloupe.imaging.sandbox.bounds import READY
from medloupe.imaging.sandbox.photos import pack_request
from medloupe.imaging.sandbox.pool import MAX_SIDE, DecoderPool
from medloupe.imaging.sandbox.process import DecodeProcess
from medloupe.imaging.sandbox.worker import REQUEST
from mutations import mutations
from pictures import encode, gradient, inflating_png, photo

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")


@pytest.fixture(scope="module")
def shared() -> Iterator[DecoderPool]:
    with DecoderPool(2) as pool:
        yield pool


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    """One process of this test's own, with little time."""
    with DecoderPool(1, seconds=1.5) as pool:
        pool.decode(encode(gradient(20, 20), "PNG"), 32)  # up
        yield pool


def works(pool: DecoderPool) -> bool:
    data = encode(gradient(50, 40), "PNG")
    return np.array_equal(pool.decode(data, 32).pixels, decode.load(data, 32))


def pids(pool: DecoderPool) -> list[int]:
    """Those of this process's children that run now and are the pool's."""
    own = {process.pid for process in pool._processes}
    return [child.pid for child in psutil.Process().children() if child.pid in own]


def memory(pid: int, what: str) -> float:
    """MiB: VmHWM is the peak, VmRSS what it has now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def processor_seconds(pid: int) -> float:
    """Those of other processes must not count on a busy machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# The same pixels


@pytest.mark.parametrize("size", [32, 224, 384])
def test_pixels_are_those_of_load(shared: DecoderPool, size: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, data in (
        ("JPEG", encode(photo(640, 480), "JPEG")),
        ("JPEG", encode(photo(1_921, 1_441), "JPEG", exif=exif)),
        ("PNG", encode(gradient(300, 200), "PNG")),
        ("PNG", encode(np.arange(20_000, dtype=np.uint16).reshape(100, 200), "PNG")),
        ("WEBP", encode(gradient(30, 20), "WEBP")),
        ("DICOM", bundled("CT_small.dcm").read_bytes()),
        ("DICOM", bundled("SC_rgb_jpeg_dcmtk.dcm").read_bytes()),
    ):
        expected, sides = decode.load_measured(data, size)
        for source in (data, memoryview(data)):
            decoded = shared.decode(source, size)
            np.testing.assert_array_equal(decoded.pixels, expected)
            assert (decoded.width, decoded.height) == sides
            assert decoded.kind == kind
            assert 0 < decoded.milliseconds < 10_000
        both, preview = shared.decode_and_preview(data, size, 200)
        np.testing.assert_array_equal(both.pixels, expected)
        assert shown(preview.jpeg).size == (preview.width, preview.height)


def test_errors_are_those_of_load(shared: DecoderPool) -> None:
    png = encode(gradient(40, 40), "PNG")
    for data in (b"", b"%PDF-1.7\n", png[:60], inflating_png(13_000, 10), bundled("rtplan.dcm").read_bytes()):
        try:
            decode.load(data, 32)
        except ImageError as e:
            expected = e
        else:
            continue
        for ask in (lambda data=data: shared.decode(data, 32), lambda data=data: shared.preview(data, 100)):
            with pytest.raises(ImageError) as caught:
                ask()
            assert type(caught.value) is type(expected)
            assert (caught.value.message, caught.value.hint) == (expected.message, expected.hint)
    with pytest.raises(NotAnImageError, match="The image is empty"):
        shared.decode(b"", 32)


def test_sides_out_of_reason_are_refused(shared: DecoderPool) -> None:
    for ask in (shared.decode, shared.preview):
        for side in (0, -1, MAX_SIDE + 1):
            with pytest.raises(ValueError, match="a side of"):
                ask(b"", side)
    with pytest.raises(ValueError, match="workers"):
        DecoderPool(0)


# Previews


def shown(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


def test_preview_is_the_whole_picture_upright(shared: DecoderPool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = photo(1_600, 1_200)
    preview = shared.preview(encode(picture, "JPEG", exif=exif, quality=95), 400)
    assert (preview.width, preview.height) == (300, 400)
    expected = picture.transpose(Image.Transpose.ROTATE_270).resize((300, 400), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(shown(preview.jpeg)).astype(int) - np.asarray(expected)).mean() < 4


@pytest.mark.parametrize(("size", "side"), [((640, 480), 1_024), ((1_280, 961), 1_024), ((3_841, 2_161), 1_024)])
def test_preview_is_near_the_side_and_never_enlarged(shared: DecoderPool, size: tuple[int, int], side: int) -> None:
    for kind in ("JPEG", "PNG"):
        data = encode(photo(*size), kind)
        for preview in (shared.preview(data, side), shared.decode_and_preview(data, 224, side)[1]):
            longer = max(preview.width, preview.height)
            assert longer == min(side, size[0]) or (kind == "JPEG" and 0.75 * side <= longer <= side)
            assert preview.width / preview.height == pytest.approx(size[0] / size[1], rel=0.005)
            assert shown(preview.jpeg).size == (preview.width, preview.height)


def test_preview_has_no_metadata(shared: DecoderPool) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Jane Roe 1961-02-03"
    data = encode(photo(200, 120), "JPEG", exif=exif, comment=b"Jane Roe", icc_profile=b"Jane Roe" * 20)
    assert b"Jane" in data
    for side in (100, 500):
        assert b"Jane" not in shared.preview(data, side).jpeg
    named = dicom(np.arange(4_800, dtype=np.uint16).reshape(60, 80), PatientName="Roe^Jane")
    assert b"Jane" in named
    assert b"Jane" not in shared.preview(named, 100).jpeg


def test_preview_of_dicom_has_the_window_that_a_model_sees(shared: DecoderPool) -> None:
    values = np.tile(np.arange(0, 4_000, 50, dtype=np.uint16), (60, 1))
    data = dicom(values, WindowCenter=2_000, WindowWidth=1_000, PhotometricInterpretation="MONOCHROME1")
    preview = np.asarray(shown(shared.preview(data, 100).jpeg)).astype(int)
    assert preview.ndim == 2  # grey stays grey
    assert np.abs(preview - decode.decode(data)[..., 0]).max() <= 3


# Faults of a decoder


def in_the_middle(pool: DecoderPool, act: Callable[[int], None]) -> ImageError:
    """What a decoding raises whose process is stopped before it begins, and then acted upon."""
    data = encode(photo(640, 480), "JPEG")  # before the clock runs: it takes long on a busy machine
    (pid,) = pids(pool)
    os.kill(pid, signal.SIGSTOP)
    raised: list[ImageError] = []

    def ask() -> None:
        with pytest.raises(ImageError) as caught:
            pool.decode(data, 32)
        raised.append(caught.value)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.2)
    assert asking.is_alive()
    act(pid)
    asking.join(20)
    assert pids(pool) != [pid]
    return raised[0]


@posix
@pytest.mark.parametrize("fault", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_costs_one_image(pool: DecoderPool, fault: signal.Signals) -> None:
    def crash(pid: int) -> None:
        os.kill(pid, fault)
        os.kill(pid, signal.SIGCONT)

    error = in_the_middle(pool, crash)
    assert isinstance(error, UnreadableImageError)
    assert fault.name in error.message
    assert error.hint
    assert (pool.died, pool.killed) == (1, 0)
    assert works(pool)


@posix
def test_a_hang_costs_its_time_and_one_image(pool: DecoderPool) -> None:
    start = time.monotonic()
    error = in_the_middle(pool, lambda pid: None)
    assert isinstance(error, UnreadableImageError)
    assert "within 1.5 seconds" in error.message
    assert 1.4 < time.monotonic() - start < 5
    assert (pool.died, pool.killed) == (0, 1)
    assert works(pool)


@posix
def test_a_hang_is_found_before_a_later_start_is_due(pool: DecoderPool) -> None:
    """The watch may sleep for the sake of another deadline when a request begins."""
    time.sleep(0.5)
    for expected in (1, 2):
        in_the_middle(pool, lambda pid: None)
        assert pool.killed == expected
        assert works(pool)


@posix
def test_an_idle_process_that_was_ended_is_replaced_unseen(pool: DecoderPool) -> None:
    for _ in range(3):
        (pid,) = pids(pool)
        os.kill(pid, signal.SIGKILL)
        while pids(pool):
            time.sleep(0.01)
        assert works(pool)
    assert (pool.died, pool.killed) == (0, 0)


@posix
@pytest.mark.parametrize("times", [1, 2])
def test_a_process_that_others_end_is_no_fault_of_the_image(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """As the system does that is out of memory: tried again once, and then told as what it is."""
    asked, left = DecodeProcess.ask, [times]

    def ask(process: DecodeProcess, *given: object) -> object:
        if left[0]:
            left[0] -= 1
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.05)
        return asked(process, *given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(DecodeProcess, "ask", ask)
    if times == 1:
        assert works(pool)
    else:
        with pytest.raises(DecoderLostError, match="ended from outside") as caught:
            works(pool)
        assert not isinstance(caught.value, ImageError)
    assert pool.died == times and works(pool)


@posix
def test_signals_to_stop_are_for_the_parent(pool: DecoderPool) -> None:
    (pid,) = pids(pool)
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, name)
    assert works(pool)
    assert pids(pool) == [pid]
    assert os.getsid(pid) == pid


@linux
def test_over_memory_is_too_large() -> None:
    data = inflating_png(5_000, 5_000)
    with DecoderPool(1, memory=64 * 2**20) as small, DecoderPool(1) as usual:
        assert usual.decode(data, 32).width == 5_000
        with pytest.raises(ImageTooLargeError, match="memory"):
            small.decode(data, 32)
        assert works(small)
        assert (small.died, small.killed) == (0, 0)


@linux
def test_limits_are_those_of_the_operating_system(pool: DecoderPool) -> None:
    (pid,) = pids(pool)
    text = Path(f"/proc/{pid}/limits").read_text()
    limits = {line[:25].strip(): line[25:].split()[0] for line in text.splitlines()[1:]}
    assert limits["Max core file size"] == limits["Max file size"] == "0"
    assert int(limits["Max open files"]) <= 64
    assert int(limits["Max address space"]) < 2**31
    held = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    assert all(target.startswith(("pipe:", "/dev/null")) for target in held), held


@linux
def test_no_secret_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", "postgresql://medloupe:secret@db")
    with DecoderPool(1) as pool:
        assert works(pool)
        assert b"secret" not in Path(f"/proc/{pids(pool)[0]}/environ").read_bytes()


@posix
def test_what_is_no_answer_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that an image has taken over may write anything."""
    answers = ["b'\\xff' * 100", "b'\\0' * 100", "b'\\x03' + b'\\xff' * 99", "b''"]
    for answer in answers:
        code = (
            "import sys; from medloupe.imaging.sandbox.bounds import READY\n"
            f"out = sys.stdout.buffer; out.write(READY); out.flush(); sys.stdin.buffer.read(5); out.write({answer})"
        )
        with DecoderPool(1, seconds=5) as pool:
            monkeypatch.setattr(pool._processes[0], "_command", [sys.executable, "-c", code])
            with pytest.raises(UnreadableImageError, match="fail"):
                pool.decode(encode(gradient(20, 20), "PNG"), 32)
            assert pool.died == 1


def test_a_process_that_does_not_start_is_no_fault_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    with DecoderPool(1) as pool:
        for command in (["/no/such/program"], [sys.executable, "-c", "print('hello')"]):
            monkeypatch.setattr(pool._processes[0], "_command", command)
            with pytest.raises(MedloupeError, match="cannot be started") as caught:
                pool.decode(encode(gradient(20, 20), "PNG"), 32)
            assert not isinstance(caught.value, ImageError)
        monkeypatch.undo()
        assert works(pool)


@linux
def test_processes_end_with_a_parent_that_was_killed() -> None:
    code = (
        "import psutil, sys, time; from medloupe.imaging.sandbox.pool import DecoderPool\n"
        "pool = DecoderPool(2, seconds=1); data = sys.stdin.buffer.read()\n"
        "pool.decode(data, 32)\n"
        "print(*[child.pid for child in psutil.Process().children()], flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(encode(gradient(50, 40), "PNG"))
    parent.stdin.close()
    (pid,) = map(int, parent.stdout.readline().split())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not alive(pid)


@posix
def test_a_process_that_hangs_after_its_parent_has_gone_ends_itself() -> None:
    code = (
        "import time; from medloupe.imaging import decode; from medloupe.imaging.sandbox import worker\n"
        "worker._ORPHAN_SECONDS = 0.5\n"
        "decode.decode_picture = lambda data, **options: time.sleep(60)\n"
        "worker.main()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code, "0.5", str(2**29)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(REQUEST.pack(32, 0, 0, 4, *pack_request(NEVER)) + b"data")
    assert worker.stdout.read(len(READY)) == READY
    worker.stdin.close()
    worker.stdout.close()
    assert worker.wait(20) == -signal.SIGALRM


def test_a_file_of_half_the_memory_is_too_large() -> None:
    with DecoderPool(1, memory=64 * 2**20) as pool:
        with pytest.raises(ImageTooLargeError, match="32 MiB"):
            pool.decode(bytes(33 * 2**20), 32)
        assert pids(pool) == []


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


# Many at once


def test_threads_share_the_processes(shared: DecoderPool) -> None:
    files = [encode(photo(300 + 20 * k, 240), "JPEG") for k in range(8)]
    expected = [decode.load(data, 64) for data in files]
    with ThreadPoolExecutor(8) as threads:
        for k, decoded in enumerate(threads.map(lambda k: shared.decode(files[k % 8], 64), range(200))):
            np.testing.assert_array_equal(decoded.pixels, expected[k % 8])
    assert len(pids(shared)) <= 2


@posix
def test_first_come_first_served(pool: DecoderPool) -> None:
    (pid,) = pids(pool)
    os.kill(pid, signal.SIGSTOP)
    served: list[int] = []
    data = encode(gradient(20, 20), "PNG")
    callers = [threading.Thread(target=lambda k=k: (pool.decode(data, 32), served.append(k))) for k in range(6)]
    for caller in callers:
        caller.start()
        time.sleep(0.05)
    os.kill(pid, signal.SIGCONT)
    for caller in callers:
        caller.join()
    assert served == list(range(6))


def test_closing_finishes_what_was_accepted() -> None:
    pool = DecoderPool(1)
    data = encode(photo(1_000, 800), "PNG")
    done: list[int] = []
    callers = [threading.Thread(target=lambda: done.append(pool.decode(data, 224).width)) for _ in range(5)]
    for caller in callers:
        caller.start()
    time.sleep(0.1)
    running = pids(pool)
    pool.close()
    pool.close()
    for caller in callers:
        caller.join()
    assert done == [1_000] * 5
    assert running
    assert pids(pool) == []
    assert not any(alive(pid) for pid in running)
    with pytest.raises(RuntimeError, match="closed"):
        pool.decode(data, 32)


def test_nothing_is_started_before_the_first_image() -> None:
    with DecoderPool(4) as pool:
        assert pids(pool) == []
        assert works(pool)
        assert works(pool)
        assert len(pids(pool)) == 1  # one client needs one


@linux
def test_memory_is_given_back_after_a_large_picture() -> None:
    with DecoderPool(1) as pool:
        assert works(pool)
        before = memory(pids(pool)[0], "VmRSS")
        for data in (inflating_png(5_800, 5_800), dicom(np.zeros((5_000, 5_000), np.uint16))):
            for _ in range(3):
                pool.decode(data, 224)
        assert memory(pids(pool)[0], "VmHWM") > before + 60
        assert memory(pids(pool)[0], "VmRSS") < before + 100


@linux
def test_a_process_that_keeps_much_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so with its last answer, and nothing is lost."""
    code = (
        "from medloupe.imaging import decode; from medloupe.imaging.sandbox import worker\n"
        "real, kept = decode.decode_picture, []\n"
        "def leaking(data, **options):\n"
        "    kept.append(bytes(40 * 2**20).replace(b'\\0', b'1'))\n"
        "    return real(data, **options)\n"
        "decode.decode_picture = leaking\n"
        "worker.main()"
    )
    with DecoderPool(1) as pool:
        monkeypatch.setattr(pool._processes[0], "_command", [sys.executable, "-c", code, "10", str(2**30)])
        seen: set[int] = set()
        for _ in range(12):
            assert works(pool)
            seen.update(pids(pool))
            assert memory(pids(pool)[0], "VmRSS") < 300
        assert 3 <= len(seen) <= 6
        assert (pool.died, pool.killed) == (0, 0)


# Files


@linux
def test_hostile_files() -> None:
    """An ImageError or pixels, within 2 s and 150 MiB, by a process that lives on."""
    with DecoderPool(1) as pool:
        assert works(pool)
        pool.decode(bundled("MR_small.dcm").read_bytes(), 32)  # pydicom is no part of one image's cost
        (pid,) = pids(pool)
        for name, data, readable in hostile.images():
            for ask in (
                lambda data=data: pool.decode(data, 224),
                lambda data=data: pool.decode_and_preview(data, 224, 1024),
            ):
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts anew
                before, start = memory(pid, "VmRSS"), processor_seconds(pid)
                try:
                    ask()
                    outcome = "pixels"
                except ImageError:
                    outcome = "error"
                assert pids(pool) == [pid], name
                seconds = processor_seconds(pid) - start
                assert memory(pid, "VmHWM") - before <= 150, name
                assert seconds < 2, name
                assert outcome == ("pixels" if readable else "error"), name
        assert works(pool)
        assert (pool.died, pool.killed) == (0, 0)


@pytest.mark.parametrize(
    ("count", "kinds"), [(2_000, ("JPEG", "PNG", "DICOM")), (1_000, ("TIFF", "WEBP", "GIF", "BMP", "PPM"))]
)
def test_mutated_files(shared: DecoderPool, count: int, kinds: tuple[str, ...]) -> None:
    def try_one(case: tuple[str, bytes]) -> str:
        name, data = case
        try:
            decoded, preview = shared.decode_and_preview(data, 32, 128)
        except ImageError as e:
            assert e.message.startswith("The image"), name
            return type(e).__name__
        assert decoded.pixels.shape == (32, 32, 3), name
        assert max(preview.width, preview.height) <= 128, name
        return "pixels"

    died, killed = shared.died, shared.killed
    with ThreadPoolExecutor(3) as threads:
        outcomes = Counter(threads.map(try_one, mutations(count, seed=1, kinds=kinds)))
    print(outcomes)
    assert outcomes.total() == count
    assert min(outcomes["pixels"], outcomes["UnreadableImageError"]) > count / 5  # the damage is of the right size
    assert shared.died - died <= 3
    assert shared.killed == killed
    assert works(shared)


def test_mutations_are_the_same_for_the_same_seed() -> None:
    assert list(mutations(30, seed=7)) == list(mutations(30, seed=7)) != list(mutations(30, seed=8))


def test_ending_what_was_never_started() -> None:
    process = DecodeProcess(1, 2**29)
    assert process.pid is None
    process.kill()
    assert process.end() == "not started"


def test_facts_come_with_the_pixels(shared: DecoderPool) -> None:
    data = dicom(np.arange(4096, dtype=np.uint16).reshape(64, 64), RescaleSlope=0, RescaleIntercept=0)
    decoded, _ = shared.decode_and_preview(data, 32, 64)
    assert decoded.facts == decode.decode_picture(data).facts != ()
    np.testing.assert_array_equal(decoded.pixels, decode.load(data, 32))
    assert shared.decode(encode(gradient(20, 20), "PNG"), 32).facts == ()
