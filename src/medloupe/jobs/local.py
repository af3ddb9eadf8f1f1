"""Run one command in a process of its own on this machine: with a bound on its memory, and gone with its starter.

The process is the head of a group, so that what it starts ends with it. Memory is bounded as address space, on systems
that know such a bound for another process (Linux); elsewhere it is not, and `bounds_memory` says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

from medloupe.jobs.inside import JOB, PROGRESS

MOST_OUTPUT = 2**20  # bytes of its last output that are read back
ENDING_SECONDS = 10.0  # that it has to end by itself when asked to


def bounds_memory() -> bool:
    """Whether memory of another process can be bounded here."""
    if sys.platform == "win32":
        return False
    import resource

    return hasattr(resource, "prlimit")


class LocalProcess:
    """A running command.

    Parameters
    ----------
    command : sequence of str
        What is run.
    job : str
        Which job it does, as `inside.read_job` reads it: "ID:ATTEMPT".
    folder : str
        In which it is run; "" for that of this process.
    environment : mapping, optional
        Set for it beside that of this process.
    memory : int, optional
        Bytes of address space it may have.

    Raises
    ------
    OSError
        It cannot be started: the folder is not there, say.
    """

    def __init__(
        self,
        command: Sequence[str],
        job: str,
        *,
        folder: str = "",
        environment: Mapping[str, str] | None = None,
        memory: int | None = None,
    ):
        self._files = contextlib.ExitStack()
        self._out = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (the stack closes it)
        self._err = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._progress, given = os.pipe()
        os.set_blocking(self._progress, False)
        self._rest = b""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=self._out,
                stderr=self._err,
                cwd=folder or None,
                env={**os.environ, **(environment or {}), JOB: job, PROGRESS: str(given)},
                pass_fds=(given,),
                process_group=0,
            )
        except OSError:
            os.close(self._progress)
            self._files.close()
            raise
        finally:
            os.close(given)
        if memory is not None and bounds_memory():
            import resource

            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(self._process.pid, resource.RLIMIT_AS, (memory, memory))

    def read_progress(self) -> dict[str, Any] | None:
        """Read the last that it told of how far it is: "stage", "done", "total"; None where it told nothing new."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._progress, 65536):
                self._rest = (self._rest + part)[-65536:]
        *lines, self._rest = self._rest.split(b"\n")
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict):
                    return told
        return None

    def wait(self, seconds: float) -> int | None:
        """Wait for its end for so long; its exit status, or None where it runs on."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> int:
        """Ask it to end as Ctrl-C does, and kill it and all that it started where it does not; its exit status."""
        self._signal(signal.SIGINT)
        status = self.wait(ENDING_SECONDS)
        self._signal(signal.SIGKILL)
        return self._process.wait() if status is None else status

    def kill(self) -> None:
        """End it and all that it started at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def read_output(self) -> str:
        """Read the end of what it wrote to standard output."""
        return _read_end(self._out)

    def read_whole_output(self) -> str:
        """Read all that it wrote to standard output."""
        self._out.seek(0)
        return self._out.read().decode("utf-8", "replace")

    def read_errors(self) -> str:
        """Read the end of what it wrote to standard error."""
        return _read_end(self._err)

    def close(self) -> None:
        """Let go of it; what still runs is killed."""
        if self._process.poll() is None:
            self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self._progress)
        self._files.close()

    def __enter__(self) -> LocalProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_end(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MOST_OUTPUT))
    return file.read().decode("utf-8", "replace")
