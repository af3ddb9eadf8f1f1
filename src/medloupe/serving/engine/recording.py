"""Answer in a worker thread and hand the answer to the journal from there: the event loop is woken once, at the end.

Each waking of another thread costs about as much as a tenth of what the rest of a request does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from medloupe.accounts.log import REQUEST_ID
from medloupe.accounts.person import Person
from medloupe.ecg.recording_files import Source
from medloupe.errors import StorageError, StoreError
from medloupe.serving.engine import ecg_storage
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.circumstances import ORDINARY, Circumstances
from medloupe.serving.engine.journal import Journal
from medloupe.serving.engine.kinds import asking
from medloupe.serving.engine.once import ONCE
from medloupe.serving.engine.rows import asking_row, journal_row
from medloupe.serving.http.threads import run_file
from medloupe.utils.spans import begin_span, carry_spans

_SUFFIXES = {"JPEG": "jpg", "PNG": "png", "DICOM": "dcm", "TIFF": "tif", "BMP": "bmp", "GIF": "gif", "WEBP": "webp"}
_SUFFIXES |= {"HEIF": "heic", "AVIF": "avif"}


async def answer_and_record(
    pool: ThreadPoolExecutor,
    ask: Callable[[], Answer],
    journal: Journal,
    person: Person,
    asked: Circumstances = ORDINARY,
) -> Answer:
    """Answer a question of which no image is kept; the answer is on the disk before it is returned.

    Parameters
    ----------
    pool
        In one of its threads the answer is made.
    ask
        Makes it.
    journal
        Keeps it, with the line that says who asked.
    person
        Who asks.
    asked
        Under which circumstances; in a pilot what is returned says nothing of the answer.

    Raises
    ------
    StorageError
        The database cannot be written.
    Exception
        What `ask` raises.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()
    request_id, once = REQUEST_ID.get(), ONCE.get()
    kept: Callable[[], None] | None = None

    def work() -> None:
        nonlocal kept
        try:
            answer = ask()
            row, line = journal_row(answer, person, None, asked), asking_row(answer, person, journal.keyed, request_id)
            shown = asked.show(answer)
            if once is not None:
                once.tell(shown)
            kept = begin_span("keep")
            journal.hand_in([row], [line], shown, loop, done, once)
        except BaseException as e:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(_fail, done, e)

    begun = pool.submit(carry_spans(work))
    try:
        return await done
    except asyncio.CancelledError:
        begun.cancel()
        raise
    finally:
        if kept is not None:
            kept()


async def record_answers(
    journal: Journal,
    answers: Sequence[Answer],
    sources: Sequence[Source],
    person: Person,
    *,
    keep: bool,
    asked: Circumstances = ORDINARY,
) -> list[Answer]:
    """Remember answers, and with `keep` what was asked about; return what is shown of them.

    Raises
    ------
    StoreError
        The disk or the database refuses it; then nothing is kept.
    """
    rows: list[dict[str, Any]] = []
    kept: list[tuple[str, str]] = []
    shown = [asked.show(answer) for answer in answers]
    try:
        for answer, data, told in zip(answers, sources, shown, strict=True):
            suffix, stored = pack_for_keeping(answer, data) if keep else (None, b"")
            rows.append(journal_row(answer, person, suffix, asked))
            if once := ONCE.get():
                once.tell(told)
            if suffix:
                kept.append((answer.id, suffix))
                await run_file(journal.keep, answer.id, stored, suffix)
        await journal.record(rows, [asking_row(answer, person, journal.keyed, REQUEST_ID.get()) for answer in answers])
    except (OSError, StoreError) as e:
        for id, suffix in kept:
            with contextlib.suppress(OSError):
                journal.image_path(id, suffix).unlink(missing_ok=True)
        if isinstance(e, StoreError):
            raise
        raise StorageError(
            f"The image could not be kept: {e.strerror or e}.", "The operator should look at the disk."
        ) from e
    return shown


def _fail(done: asyncio.Future[Any], error: BaseException) -> None:
    if not done.cancelled():  # the client went away
        done.set_exception(error)


def pack_for_keeping(answer: Answer, data: Source) -> tuple[str, bytes]:
    """Return under what suffix a picture or ECG is kept, and its bytes."""
    from medloupe.imaging import headers

    if answer.kind:
        return asking(answer.kind).pack(data)
    if not isinstance(data, bytes):
        return ecg_storage.pack(data)
    return _SUFFIXES.get(headers.sniff(data[: headers.SNIFF_BYTES]) or "", "bin"), data
