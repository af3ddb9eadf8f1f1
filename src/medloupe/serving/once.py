"""Take the header Idempotency-Key: a request sent again under its key is answered as before, and done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from fastapi import Request

from medloupe.accounts.person import Person
from medloupe.ecg.recording_files import join_bytes
from medloupe.serving.context import service_of
from medloupe.serving.engine.once import MOST_CHARACTERS, ONCE, KeyTakenError, Once, digest, is_key
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import Upload
from medloupe.serving.http.threads import run_read

HEADER = "Idempotency-Key"
PERSON = "Medloupe-Person"
_UNASKED = ("csrf",)  # fields that are none of the question
_turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by key, while its request is at work


def read_key(request: Request) -> str:
    """Return the request's key, or "".

    Raises
    ------
    HttpError
        422 for what cannot be one.
    """
    key = request.headers.get(HEADER, "").strip().strip('"')
    if key and not is_key(key):
        raise HttpError(
            422,
            "bad_key",
            f"{HEADER} has spaces, other than ASCII, or over {MOST_CHARACTERS} characters.",
            "Make a new one for each request, such as a UUID.",
        )
    return key


def refuse_key(request: Request) -> None:
    """Raise HttpError where a request brings a key that asks several check-ups at once, whose answers would be many."""
    if read_key(request):
        raise HttpError(
            422,
            "key_not_taken",
            f"{HEADER} is taken with one check-up at a time.",
            "Ask each by itself, or without it.",
        )


def check_asker(request: Request, person: Person) -> None:
    """Refuse what a browser kept to send for somebody else than who is logged in now.

    Raises
    ------
    HttpError
        409 where the header Medloupe-Person names another person.
    """
    told = request.headers.get(PERSON)
    if told is not None and told.strip() != name_person(person):
        raise HttpError(
            409, "other_person", "This was kept to be sent by another person.", "Log in as the person who asked."
        )


def name_person(person: Person) -> str:
    """Name a person as pages and the header Medloupe-Person do: by a number, "local" where there are no accounts."""
    return "local" if person.id is None else str(person.id)


async def open_once(request: Request, person: Person, upload: Upload, i: int, path: str = "") -> Once | None:
    """Tell what image i of a request asks, where it brought a key; else None.

    path: of the API, where a page asks the same; what it began can then be asked for there.
    """
    key = read_key(request)
    if not key:
        return None
    check_asker(request, person)
    file, data = upload.images[i]
    fields = sorted((n, v) for n, v in upload.fields.items() if n not in _UNASKED)
    asked = [
        path or str(request.scope["path"]),
        str(request.url.query),
        file,
        *(part for pair in fields for part in pair),
    ]
    told = await asyncio.to_thread(digest, *asked, join_bytes(data))
    return Once(key=digest(str(person.id), str(i), key), request=told)


def open_once_for(request: Request, person: Person, *asked: str) -> Once | None:
    """Tell what a request without images asks, where it brought a key; else None."""
    key = read_key(request)
    return (
        Once(key=digest(str(person.id), "", key), request=digest(str(request.scope["path"]), *asked)) if key else None
    )


async def do_once(
    request: Request, once: Once | None, work: Callable[[], Awaitable[Mapping[str, Any]]]
) -> Mapping[str, Any]:
    """Do the work, or return the reply that it gave before.

    Parameters
    ----------
    request
        The request.
    once
        What it asks; None does the work in any case.
    work
        Does it and returns the reply, by form as `Once.reply` has it.

    Raises
    ------
    KeyReusedError, UnknownError
        As `find_reply` does.
    """
    if once is None:
        return await work()
    journal = service_of(request).journal
    lock = _turns.setdefault(once.key, asyncio.Lock())
    async with lock:
        if (found := await run_read(journal.reply, once)) is not None:
            return found
        token = ONCE.set(once)
        try:
            return await work()
        except KeyTakenError:  # another process was first
            found = await run_read(journal.reply, once)
            if found is None:
                raise
            return found
        finally:
            ONCE.reset(token)
