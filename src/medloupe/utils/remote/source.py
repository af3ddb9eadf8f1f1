"""Say what a place elsewhere can be asked: what lies there, and bytes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from medloupe.utils.remote.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One file elsewhere.

    Attributes
    ----------
    key : str
        Below the place that was asked; "" for the place itself.
    size : int
        Bytes.
    etag : str
        Changes with its content; "" where the server gives none.
    modified : float
        Seconds since 1970.
    """

    key: str
    size: int
    etag: str
    modified: float


class ChangedError(Exception):
    """A file is no longer the one that was asked for."""


class Source(Protocol):
    """A file or folder elsewhere."""

    @property
    def address(self) -> Address:
        """Where it is."""
        ...

    def stat(self, key: str = "") -> ObjectInfo | None:
        """Describe a file; None where there is none."""
        ...

    def list(self) -> Iterator[ObjectInfo]:
        """List what lies below, one after the other, never all in memory."""
        ...

    def read(self, info: ObjectInfo, start: int, stop: int) -> bytes:
        """Read bytes of a file that is still the one described.

        Raises
        ------
        ChangedError
            It was replaced meanwhile.
        RemoteError
            It cannot be read.
        """
        ...
