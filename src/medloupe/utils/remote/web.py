"""Read files by https://: with redirects, conditions, parts, and tries again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from urllib.parse import urljoin, urlsplit

from medloupe.errors import BusyError, RemoteError, RemoteMissingError, RemoteRefusedError
from medloupe.utils.remote.address import Address, parse_address
from medloupe.utils.remote.hosts import PinnedConnection, ask
from medloupe.utils.remote.source import ChangedError, ObjectInfo
from medloupe.version import __version__

REDIRECTS = 5
"""Followed at most."""
_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_MOVED = (301, 302, 303, 307, 308)


class WebFile:
    """One file by https://.

    Parameters
    ----------
    address : Address
        Of it.
    patience : float
        Seconds for which requests that fail for a moment are sent again.
    public : bool
        Whether only hosts of the public internet are asked, which is so for addresses that no person typed.
    """

    def __init__(self, address: Address, *, patience: float, public: bool = False):
        self.address = address
        self._patience = patience
        self._public = public

    def stat(self, key: str = "") -> ObjectInfo | None:
        """Describe the file; None where there is none."""
        # A server need not know HEAD, and signed addresses are for GET alone: one byte is asked for.
        try:
            connection, got = self._request({"Range": "bytes=0-0"})
        except RemoteMissingError:
            return None
        with_length = got.headers.get("Content-Range", "").rpartition("/")[2] if got.status in (206, 416) else ""
        size = with_length or got.headers.get("Content-Length") or ""
        etag, when = got.headers.get("ETag", ""), got.headers.get("Last-Modified", "")
        connection.close()
        if not size.isdigit():
            raise RemoteError(
                f"{self.address} does not tell its size.", "Download it by other means, and name the file."
            )
        try:
            modified = parsedate_to_datetime(when).timestamp() if when else 0.0
        except ValueError:
            modified = 0.0
        return ObjectInfo(key="", size=int(size), etag=etag or when, modified=modified)

    def list(self) -> Iterator[ObjectInfo]:
        """Say that folders cannot be listed by https. Raises RemoteError."""
        raise RemoteError(
            f"{self.address} is a file: folders cannot be listed by https://.",
            "Name a file, or object storage (s3://, gs://, az://).",
        )

    def read(self, info: ObjectInfo, start: int, stop: int) -> bytes:
        """Read bytes of the file, which must still be the one described. Raises ChangedError or RemoteError."""
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        strong = info.etag.startswith('"')
        if strong:
            headers["If-Match"] = info.etag
        end = time.monotonic() + self._patience
        wait = 0.2
        while True:
            connection, got = self._request(headers)
            try:
                return self._body(got, info, start, stop)
            except (OSError, HTTPException) as e:
                if time.monotonic() + wait > end:
                    raise BusyError(f"{self.address} broke off: {e}.", "Run it again: it goes on from there.") from e
            finally:
                connection.close()
            time.sleep(wait)
            wait = min(2 * wait, 10.0)

    def _body(self, got: HTTPResponse, info: ObjectInfo, start: int, stop: int) -> bytes:
        etag = got.headers.get("ETag", "") or got.headers.get("Last-Modified", "")
        if got.status == 412 or etag != info.etag:
            raise ChangedError
        if got.status == 206:
            said = got.headers.get("Content-Range", "")
            if not said.startswith(f"bytes {start}-") or said.rpartition("/")[2] not in (str(info.size), "*"):
                raise ChangedError
        else:  # the server gives whole files only
            skip = start
            while skip:
                passed = got.read(min(skip, 1 << 20))
                if not passed:
                    raise ChangedError
                skip -= len(passed)
        data = got.read(stop - start)
        if len(data) != stop - start:
            raise OSError(f"{len(data)} of {stop - start} bytes came")
        return data

    def _request(self, headers: dict[str, str]) -> tuple[PinnedConnection, HTTPResponse]:
        """Ask until there is an answer that does not pass by itself; follow redirects."""
        end = time.monotonic() + self._patience
        wait = 0.2
        while True:
            try:
                connection, got = self._follow(headers)
                if got.status not in _AGAIN:
                    return connection, got
                said = f"HTTP {got.status}"
                told = got.headers.get("Retry-After", "")
                connection.close()
            except (OSError, HTTPException) as e:
                said, told = str(e) or type(e).__name__, ""
            pause = max(wait, min(float(told), 30.0)) if told.isdigit() else wait
            if time.monotonic() + pause > end:
                raise BusyError(f"{self.address} does not answer: {said}.", "Try again in a moment.")
            time.sleep(pause)
            wait = min(2 * wait, 10.0)

    def _follow(self, headers: dict[str, str]) -> tuple[PinnedConnection, HTTPResponse]:
        here = self.address.url
        for _ in range(REDIRECTS + 1):
            parts = urlsplit(here)
            host, port = parts.hostname or "", parts.port or 443
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            sent = {"User-Agent": f"medloupe/{__version__}", "Accept-Encoding": "identity", **headers}
            connection, got = ask(host, port, target, "GET", sent, public=self._public)
            if got.status in _MOVED and (there := got.headers.get("Location")):
                connection.close()
                here = urljoin(here, there)
                parse_address(here)  # to another https:// only
                continue
            if got.status in (404, 410):
                connection.close()
                raise RemoteMissingError(
                    f"There is nothing at {self.address} (HTTP {got.status}).", "Check the address."
                )
            if got.status in (401, 403):
                connection.close()
                raise RemoteError(f"{self.address} may not be read (HTTP {got.status}).", "Ask for a signed address.")
            if got.status not in (200, 206, 412, 416, *_AGAIN):
                connection.close()
                raise RemoteError(f"{self.address} answered with HTTP {got.status}.", "Check the address.")
            return connection, got
        raise RemoteRefusedError(f"{self.address} leads from one address to the next without an end.", "Check it.")
