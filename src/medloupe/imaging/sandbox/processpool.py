"""Share bounded processes among threads: first come, first served; each request within its time."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from medloupe.errors import DecoderLostError, ImageError, MedloupeError
from medloupe.imaging.sandbox.process import Watch, WorkerProcess

_START_SECONDS = 60.0
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")  # by a person, or by a system that is out of memory

P = TypeVar("P", bound=WorkerProcess)


class Leaving(Protocol):
    """An answer of a process. leaving: the process ends after it."""

    @property
    def leaving(self) -> bool:
        """Whether the process ends."""
        ...


A = TypeVar("A", bound=Leaving)


class Cancellation:
    """Gives up a request that nobody waits for any more, from any thread."""

    def __init__(self) -> None:
        self.cancelled = False
        """Whether it was given up."""
        self._lock = threading.Lock()
        self._kill: Callable[[], None] | None = None

    def cancel(self) -> None:
        """Give it up: the process at work on it is killed, and it is not begun where it waits for one."""
        with self._lock:
            self.cancelled = True
            if self._kill is not None:
                self._kill()

    def guard(self, kill: Callable[[], None] | None) -> None:
        """Kill so from now on where it is given up; None where nothing is at work on it."""
        with self._lock:
            self._kill = kill


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolWords:
    """What is said of a file whose process ended.

    Attributes
    ----------
    error : type
        Which error it is.
    what, work, process, part : str
        "The image", "decoded", "The process that decodes images", "its decoder".
    late, failed : str
        What to do where it took too long, or made the process fail.
    """

    error: type[ImageError]
    what: str
    work: str
    process: str
    part: str
    late: str
    failed: str


class ProcessPool(Generic[P]):
    """Processes that are started when first needed; for any number of threads.

    Parameters
    ----------
    make : Callable
        Makes one that is not started.
    workers : int
        How many processes.
    seconds : float
        After which a request is ended.
    words : PoolWords
        What is said where one fails.

    Attributes
    ----------
    killed : int
        How many requests were ended because they took too long.
    died : int
        How many processes ended by themselves, or were ended by others, while at work.
    """

    def __init__(self, make: Callable[[], P], workers: int, *, seconds: float, words: PoolWords):
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        self.seconds = seconds
        self.killed = 0
        """How many requests were ended because they took too long."""
        self.died = 0
        """How many processes ended by themselves, or were ended by others, while at work."""
        self.last_answer = 0.0
        """When a process answered last, of time.monotonic()."""
        self._words = words
        self._processes = [make() for _ in range(workers)]
        self._free = self._processes.copy()  # last in, first out: with little to do, one process is kept warm
        self._waiting: deque[queue.SimpleQueue[P]] = deque()  # first come, first served
        self._lock = threading.Lock()
        self._watch = Watch(seconds)
        self._closed = False

    def close(self) -> None:
        """Accept no more, finish what was accepted, end the processes. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for process in [self._take(closing=True) for _ in self._processes]:
            process.end()
        self._watch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def exchange(self, ask: Callable[[P], A], cancellation: Cancellation | None = None) -> A:
        """Wait for a free process and ask it, within the time allowed.

        Parameters
        ----------
        ask : Callable
            Sends a request to the process and reads its answer, which tells whether the process is `leaving`. It raises
            OSError or EOFError where there is no sound answer.
        cancellation : Cancellation, optional
            By which it may be given up.

        Raises
        ------
        ImageError
            Of the words' kind, where the process ended, was ended because it took too long, or nobody waits for it.
        DecoderLostError
            Where the process was ended from outside, twice, or none can be started.
        """
        process = self._take()
        try:
            answer = self._exchange_again(process, ask, cancellation or Cancellation())
        except BaseException as e:  # half an answer may still be in the pipe
            process.end(at_once=True)
            if isinstance(e, ImageError):
                self._relaunch(process)
            raise
        else:
            if answer.leaving:
                self._relaunch(process)
        finally:
            self._give_back(process)
        self.last_answer = time.monotonic()
        return answer

    def _exchange_again(self, process: P, ask: Callable[[P], A], cancellation: Cancellation) -> A:
        """Ask, and once more where the process was ended from outside: that is not the file's doing."""
        with contextlib.suppress(DecoderLostError):
            return self._exchange(process, ask, cancellation)
        return self._exchange(process, ask, cancellation)

    def _exchange(self, process: P, ask: Callable[[P], A], cancellation: Cancellation) -> A:
        if not process.is_up:
            self._start(process)
        self._watch.begin(process, self.seconds)
        cancellation.guard(process.kill)
        try:
            if cancellation.cancelled:
                raise EOFError("nobody waits for it")
            answer = ask(process)
        except (OSError, EOFError):
            overdue = self._watch.end(process)
            if cancellation.cancelled:
                raise self._words.error(f"{self._words.what} was given up, as nobody waits for it any more.") from None
            raise self._failure(process, overdue=overdue) from None
        except BaseException:
            self._watch.end(process)
            raise
        finally:
            cancellation.guard(None)
        if self._watch.end(process):  # just as the answer was complete
            process.end(at_once=True)
            self._relaunch(process)
        return answer

    def _start(self, process: P) -> None:
        for last in (False, True):  # twice: one that was started in advance may have ended since
            self._watch.begin(process, max(_START_SECONDS, self.seconds))
            try:
                process.start()
            except (OSError, EOFError) as e:
                process.end(at_once=True)
                if last:
                    raise DecoderLostError(
                        f"{self._words.process} cannot be started ({e}).",
                        "Look at the memory and the number of processes that are free on this machine.",
                    ) from e
            else:
                break
            finally:
                self._watch.end(process)

    def _relaunch(self, process: P) -> None:
        """Launch it so that it is up, or nearly, when it is next needed.

        Where that fails, the next request will say so.
        """
        with contextlib.suppress(OSError):
            process.launch()

    def _failure(self, process: P, overdue: bool) -> MedloupeError:
        """Say what to tell of a file whose process ended without an answer."""
        how = process.end(at_once=True)
        with self._lock:
            self.killed += overdue
            self.died += not overdue
        words = self._words
        if overdue:
            return words.error(
                f"{words.what} could not be {words.work} within {self.seconds:g} seconds and was given up.", words.late
            )
        if how in _FROM_OUTSIDE:
            return DecoderLostError(
                f"{words.process} was ended from outside ({how}), twice for the same file.",
                "Look whether the machine is out of memory, and send it again.",
            )
        return words.error(f"{words.what} made {words.part} fail ({how}): it is likely damaged.", words.failed)

    def _take(self, closing: bool = False) -> P:
        with self._lock:
            if self._closed and not closing:
                raise RuntimeError("The decoder pool is closed.")
            if self._free:
                return self._free.pop()
            turn: queue.SimpleQueue[P] = queue.SimpleQueue()
            self._waiting.append(turn)
        try:
            return turn.get()
        except BaseException:  # Ctrl-C in the main thread: the turn goes to the next
            with self._lock:
                left = turn in self._waiting
                if left:
                    self._waiting.remove(turn)
            if not left:
                self._give_back(turn.get())
            raise

    def _give_back(self, process: P) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(process)
            else:
                self._free.append(process)
