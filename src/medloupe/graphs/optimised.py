"""Keep networks as this machine runs them fastest: optimised once, mapped into memory by every session.

ONNX Runtime's own format with its layout for this processor loads ten times faster than the ONNX file, and its weights
are pages of the file, which several sessions and processes share and the system may drop and read again.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import ModelFileError, StorageError
from medloupe.graphs.session import session_options
from medloupe.utils.files import exclusive_lock, sha256_of, sync_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_SECONDS = 120  # a network that takes longer to optimise is none that could be served


def ensure_optimised(path: Path, sha256: str, folder: Path) -> Path:
    """Return the optimised copy of a network; make it where it is not there yet or damaged.

    It is made in a process of its own: it takes several times the network's memory, and a graph that makes ONNX Runtime
    crash must not take the server with it.

    Parameters
    ----------
    path : Path
        The ONNX file.
    sha256 : str
        Of its content, in hex.
    folder : Path
        Where copies lie, one for each network, version of ONNX Runtime and kind of processor, with a checksum in its
        name.

    Raises
    ------
    ModelFileError
        When the network cannot be optimised.
    StorageError
        When the copy cannot be written.
    """
    stem = f"{sha256[:32]}-{describe_machine()}"
    try:
        found = _find_intact(folder, stem)
        if found is not None:
            return found
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder / "lock"):  # another process may have made it meanwhile: look again
            found = _find_intact(folder, stem)
            if found is None:
                found = _make(path, folder, stem)
                sync_folder(folder)
            return found
    except OSError as e:
        raise StorageError(
            f"The optimised copy of a network cannot be written to {folder}: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home.",
        ) from e


def open_optimised(path: Path, threads: int) -> InferenceSession:
    """Open a session of an optimised copy, its weights mapped, its memory from the allocator that all sessions share.

    Parameters
    ----------
    path : Path
        The copy, from `ensure_optimised`.
    threads : int
        Of one run.

    Raises
    ------
    ModelFileError
        When the copy is damaged; it is deleted then, to be made again.
    """
    import onnxruntime

    _share_allocator()
    options = session_options(threads)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for entry in (
        "session.use_memory_mapped_ort_model",
        "session.use_ort_model_bytes_directly",
        "session.use_ort_model_bytes_for_initializers",
        "session.use_env_allocators",
    ):
        options.add_session_config_entry(entry, "1")
    # Packing copies the weights out of the mapped file, which float kernels gain nothing by; integer ones take twice as
    # long without, and have a quarter of the bytes.
    if not computes_in_integers(path):
        options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:
        _checked.pop(path, None)
        with suppress(OSError):
            path.unlink()
        raise ModelFileError(
            f"The optimised copy {path.name} of a network cannot be opened: {str(e).splitlines()[0][:200]}",
            "It is made again at the next request.",
        ) from e


@cache
def computes_in_integers(path: Path) -> bool:
    """Tell whether an optimised copy has integer kernels. Raises OSError."""
    with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"QLinearConv") >= 0


def write_optimised(source: Path, out: Path) -> None:
    """Optimise an ONNX file for this machine and write it in ONNX Runtime's format."""
    import onnxruntime

    options = session_options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(out)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


@cache
def describe_machine() -> str:
    """Describe what an optimised copy depends on besides its network.

    That is ONNX Runtime's version and the processor's abilities.
    """
    import onnxruntime

    flags = platform.machine() + platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{onnxruntime.__version__}-{hashlib.sha256(flags.encode()).hexdigest()[:8]}"


_checked: dict[Path, tuple[int, ...]] = {}  # copies whose checksum this process has seen to be right, as they were


def describe_file(path: Path) -> tuple[int, ...] | None:
    """Tell which file lies at a path, as long as nobody writes to it: inode, size and time; None where there is none.

    It costs a few microseconds. A mapped file that was cut short ends the process that reads behind its end.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _find_intact(folder: Path, stem: str) -> Path | None:
    """Find the copy that is there, and delete one that does not match its checksum.

    With damaged weights it would still answer, only wrongly. Checked once a process, and again where somebody wrote to
    it: it is as long as opening it.
    """
    for path in folder.glob(f"{stem}-*.ort"):
        now = describe_file(path)
        if now is None:
            continue
        if _checked.get(path) == now or path.stem.rpartition("-")[2] == _checksum(path):
            _checked[path] = now
            return path
        path.unlink(missing_ok=True)
    return None


def _checksum(path: Path) -> str:
    return sha256_of(path)[:32]


def _make(path: Path, folder: Path, stem: str) -> Path:
    temporary = folder / f"{stem}.part"
    command = [sys.executable, "-P", "-m", "medloupe.graphs.optimised", str(path), str(temporary)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode or not temporary.exists():
            said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1][:300]
            raise ModelFileError(f"The network {path} cannot be prepared for serving: {said}", "Export it again.")
        with temporary.open("r+b") as f:  # also because pages not yet written would count as the process's own memory
            os.fsync(f.fileno())
        out = folder / f"{stem}-{_checksum(temporary)}.ort"
        temporary.chmod(0o444)  # several processes map it
        temporary.replace(out)
    except subprocess.TimeoutExpired as e:
        raise ModelFileError(
            f"The network {path} took over {_SECONDS} s to prepare.", "Serve a smaller network."
        ) from e
    finally:
        with suppress(OSError):
            temporary.unlink()
    if (made := describe_file(out)) is not None:
        _checked[out] = made
    return out


@cache
def _share_allocator() -> None:
    """Share one arena among all sessions: its size is set by how many run at once, not by how many there are."""
    import onnxruntime

    _return_large_blocks()

    info = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(info, None)


def _return_large_blocks() -> None:
    """Let glibc give every large block back as soon as it is free.

    By itself it keeps blocks as large as those freed before in its heap, where what sessions keep then lies between
    them: with 30 networks that was 170 MiB which nobody used and no trimming returned.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**20)


if __name__ == "__main__":
    write_optimised(Path(sys.argv[1]), Path(sys.argv[2]))
