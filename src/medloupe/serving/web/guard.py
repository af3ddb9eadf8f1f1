"""Show many things on a page so that one that cannot be shown costs none of the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from medloupe.errors import MedloupeError

Thing = TypeVar("Thing")
View = TypeVar("View")
log = logging.getLogger("medloupe.serving")


def show_each(things: Iterable[tuple[str, Thing]], show: Callable[[Thing], View]) -> tuple[list[View], list[str]]:
    """Describe each thing, leaving out and logging those that cannot be.

    Parameters
    ----------
    things
        Each with its name.
    show
        Describes one.

    Returns
    -------
    tuple of list of View, list of str
        What can be shown, in order, and the names of what cannot.
    """
    shown: list[View] = []
    failed: list[str] = []
    for name, thing in things:
        try:
            shown.append(show(thing))
        except Exception as e:  # whatever is wrong with one must not take the page from all others
            failed.append(name)
            if isinstance(e, MedloupeError):
                log.error("left out of a page", extra={"model": name, "reason": str(e)})
            else:
                log.exception("left out of a page", extra={"model": name})
    return shown, failed
