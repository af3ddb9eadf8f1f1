"""Tell how long the parts of a piece of work take, to whoever listens; nobody does unless told to.

Modules of all layers mark their stages with `span`. What makes traces of them is set by `listen_to_spans`, so that no
module below the server knows of any tracing library.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Attribute = str | int | float | bool


class SpanListener(Protocol):
    """What is told of spans; it must be safe to use from several threads."""

    def open_span(self, name: str, attributes: dict[str, Attribute]) -> AbstractContextManager[Any]:
        """Open a span below the one that is open in this thread; it is closed when the context is left."""
        ...

    def begin_span(self, name: str, attributes: dict[str, Attribute]) -> Callable[[], None]:
        """Begin a span below the one that is open in this thread; what is returned ends it, in any thread."""
        ...

    def carry(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function such that, in whichever thread it runs, its spans lie below the one open here."""
        ...


_listener: SpanListener | None = None
_NOTHING = contextlib.nullcontext()


def listen_to_spans(listener: SpanListener | None) -> None:
    """Tell all spans of this process to a listener from now on; None: to nobody."""
    global _listener
    _listener = listener


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Any]:
    """Mark a stage of the work, as a context.

    Parameters
    ----------
    name : str
        What is done, such as "decode".
    attributes
        Numbers and words about it. Never anything of a patient: no file name, no label, no probability.
    """
    return _NOTHING if _listener is None else _listener.open_span(name, attributes)


def begin_span(name: str, **attributes: Attribute) -> Callable[[], None]:
    """Mark the beginning of a stage that ends elsewhere, as `span` does; call what is returned at its end."""
    return _do_nothing if _listener is None else _listener.begin_span(name, attributes)


def carry_spans(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function for another thread, whose spans lie below the one that is open here."""
    return function if _listener is None else _listener.carry(function)


def _do_nothing() -> None:
    pass
