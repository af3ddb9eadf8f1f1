"""Speak to object storage: S3 and what speaks like it, Google's and Azure's, by obstore.

Credentials, region and endpoint come from the environment alone, as the providers' own tools read it (AWS_*, GOOGLE_*,
AZURE_*). Requests that fail for a moment are sent again, later each time, up to `PATIENCE` seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.errors import BusyError, ExtraError, RemoteError, RemoteMissingError, RemoteRefusedError
from medloupe.settings import setting
from medloupe.utils.remote.address import BUCKETS, Address, parse_address
from medloupe.utils.remote.source import ChangedError, ObjectInfo

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PATIENCE = 120.0
"""Seconds for which a command tries again; a server waits for less."""
PAGE = 1000
"""Keys listed at a time."""
PART = 8 << 20
"""Bytes of one part of an upload."""


class Bucket:
    """A place in object storage.

    Parameters
    ----------
    address : Address
        Of it.
    patience : float
        Seconds for which requests that fail for a moment are sent again.

    Raises
    ------
    ExtraError
        obstore is not installed.
    RemoteError
        The environment does not say how to reach it.
    """

    def __init__(self, address: Address, *, patience: float = PATIENCE):
        self.address = address
        self._store = _open(address, patience)

    def stat(self, key: str = "") -> ObjectInfo | None:
        """Describe a file; None where there is none."""
        import obstore

        if not self._full(key):
            return None
        try:
            with self._explained(key):
                return self._info(obstore.head(self._store, self._full(key)), key)
        except RemoteMissingError:
            return None

    def list(self, below: str = "") -> Iterator[ObjectInfo]:
        """List what lies below, in the order of the server, a page at a time."""
        import obstore

        prefix = self._full(below)
        with self._explained(below):
            for page in obstore.list(self._store, prefix or None, chunk_size=PAGE):
                for meta in page:
                    key = str(meta["path"])[len(self.address.key) :].lstrip("/")
                    if key:
                        yield self._info(meta, key)

    def read(self, info: ObjectInfo, start: int, stop: int) -> bytes:
        """Read bytes of a file that is still the one described. Raises ChangedError or RemoteError."""
        import obstore
        from obstore.exceptions import PreconditionError

        if stop <= start:
            return b""
        options: Any = {"range": (start, stop), **({"if_match": info.etag} if info.etag else {})}
        try:
            with self._explained(info.key):
                got = obstore.get(self._store, self._full(info.key), options=options)
                if got.meta["e_tag"] and info.etag and got.meta["e_tag"] != info.etag:
                    raise ChangedError  # the server does not know conditions
                data = bytes(got.bytes())
        except PreconditionError:
            raise ChangedError from None
        return data

    def get(self, key: str) -> bytes:
        """Read a whole file. Raises RemoteMissingError or RemoteError."""
        import obstore

        with self._explained(key):
            return bytes(obstore.get(self._store, self._full(key)).bytes())

    def put(self, key: str, data: bytes | Path, *, anew: bool = False) -> bool:
        """Write a file, whole or not at all; a large one in parts, each sent again where it fails.

        Parameters
        ----------
        key : str
            Below the place.
        data : bytes or Path
            What it holds.
        anew : bool
            Only where there is none yet. A server that knows no conditions overwrites.

        Returns
        -------
        bool
            Whether it was written; False where there was one.

        Raises
        ------
        RemoteError
            It cannot be written.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        size = data.stat().st_size if isinstance(data, Path) else len(data)
        mode = "create" if anew else "overwrite"
        try:
            with self._explained(key):
                # A condition goes with one request only, so what is written under one goes in one.
                obstore.put(
                    self._store,
                    self._full(key),
                    data,
                    mode=mode,
                    use_multipart=size > PART and not anew,
                    chunk_size=PART,
                )
        except AlreadyExistsError:
            return False
        return True

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""
        import obstore

        for key in keys:
            with self._explained(key):
                try:
                    obstore.delete(self._store, self._full(key))
                except FileNotFoundError:
                    continue

    def _full(self, key: str) -> str:
        return f"{self.address.key}/{key}".strip("/")

    def _info(self, meta: Any, key: str) -> ObjectInfo:
        when = meta["last_modified"].timestamp()
        return ObjectInfo(key=key, size=int(meta["size"]), etag=meta["e_tag"] or "", modified=when)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Say what obstore says as errors of our own."""
        from obstore import exceptions

        place = self.address.join(key) if key else self.address
        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except FileNotFoundError as e:
            raise RemoteMissingError(f"There is nothing at {place}.", "Check the bucket and the key.") from e
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as e:
            raise RemoteError(
                f"{place} may not be used with the credentials at hand.", f"Check {_VARIABLES[place.scheme]}."
            ) from e
        except (exceptions.BaseError, OSError) as e:
            said = _first_line(e)
            if "NoSuchBucket" in str(e):
                raise RemoteMissingError(f"There is no bucket {place.host}.", "Check its name and the endpoint.") from e
            if any(sign in str(e) for sign in _PASSING):
                raise BusyError(f"{place} does not answer: {said}", "Try again in a moment.") from e
            raise RemoteError(f"{place} cannot be used: {said}", f"Check {_VARIABLES[place.scheme]}.") from e


def open_told_bucket(variable: str, *, below: str = "", patience: float) -> Bucket | None:
    """Open the place in object storage that a setting names; None where it is not told.

    Parameters
    ----------
    variable : str
        The setting.
    below : str
        What is added to the key of the place.
    patience : float
        Seconds for which requests that fail for a moment are sent again.

    Raises
    ------
    RemoteRefusedError
        It is no object storage.
    ExtraError
        obstore is not installed.
    """
    told = setting(variable)
    if not told:
        return None
    address = parse_address(told)
    if address.scheme not in BUCKETS:
        raise RemoteRefusedError(f"{variable} is {address}.", "Expected s3://, gs:// or az://.")
    return Bucket(address.join(below), patience=patience)


_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a server of your own, AWS_ENDPOINT_URL",
    "gs": "GOOGLE_SERVICE_ACCOUNT or GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY",
}
# What passes by itself, as obstore words it once it has tried often enough: it has no kinds of error for these.
_PASSING = (" retries, max_retries:", "error sending request", "timed out", "500 ", "502 ", "503 ", "504 ", "429 ")


def _first_line(error: BaseException) -> str:
    """Take what is for people of an error of obstore, whose rest is for its authors."""
    said = str(error).split("Debug source:")[0].strip().splitlines()
    return (said[0] if said else type(error).__name__)[:300]


def _open(address: Address, patience: float) -> ObjectStore:
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as e:
        raise ExtraError(
            f"{address} is in object storage, for which obstore is not installed.", "Run: pip install 'medloupe[s3]'"
        ) from e
    retry: dict[str, Any] = {
        "max_retries": max(1, int(patience / 2)),
        "retry_timeout": timedelta(seconds=patience),
        "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=min(10.0, patience / 4))},
    }
    client: dict[str, Any] = {
        "connect_timeout": timedelta(seconds=5),
        "read_timeout": timedelta(seconds=max(5.0, min(30.0, patience))),  # of a server that stands still
        "timeout": timedelta(seconds=600),
        # Told options hide those of the environment from obstore; this one is the only one of them that people set.
        "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("true", "1"),
    }
    try:
        url = f"{address.scheme}://{address.host}"
        return from_url(url, retry_config=retry, client_options=client)  # type: ignore[arg-type]
    except (BaseError, ValueError) as e:
        raise RemoteError(f"{address} cannot be opened: {_first_line(e)}", f"Set {_VARIABLES[address.scheme]}.") from e
