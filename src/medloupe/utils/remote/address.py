"""Read addresses of files elsewhere: s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY, https://HOST/PATH."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from medloupe.errors import RemoteRefusedError

BUCKETS = ("s3", "gs", "az")
"""Kinds of object storage, read and written by obstore."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_EXPECTED = "Expected s3://BUCKET/KEY, gs://BUCKET/KEY, az://CONTAINER/KEY or https://HOST/PATH."


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a file or folder lies.

    Attributes
    ----------
    scheme : str
        "s3", "gs", "az" or "https".
    host : str
        The bucket, or the server with its port.
    key : str
        What follows, without slashes at its ends; of https as it was written, percent signs and all.
    query : str
        Of https: what follows the question mark, which may hold a signature.
    """

    scheme: str
    host: str
    key: str
    query: str = ""

    def __str__(self) -> str:
        """Write it for people, without what may be secret."""
        return f"{self.scheme}://{self.host}/{self.key}{'?…' if self.query else ''}"

    @property
    def url(self) -> str:
        """Write it whole."""
        return f"{self.scheme}://{self.host}/{self.key}{f'?{self.query}' if self.query else ''}"

    @property
    def name(self) -> str:
        """The last part, as a file or folder is called."""
        last = self.key.rpartition("/")[2]
        return (unquote(last) if self.scheme == "https" else last) or self.host

    def join(self, key: str) -> Address:
        """Return what lies under it."""
        return replace(self, key=f"{self.key}/{key}".strip("/"))


def is_remote(text: str) -> bool:
    """Tell whether a text is an address rather than a path; any scheme counts, to be refused with its name."""
    return _URL.match(text) is not None


def parse_address(text: str) -> Address:
    """Read an address.

    Raises
    ------
    RemoteRefusedError
        It is of another kind, has no bucket or host, or names credentials.
    """
    found = _URL.match(text)
    scheme = found[1].lower() if found else ""
    if scheme == "http":
        raise RemoteRefusedError(f"{text.split('?')[0]} would travel unencrypted.", "Use https://.")
    if scheme not in (*BUCKETS, "https"):
        raise RemoteRefusedError(f"Files by {scheme or 'such'}:// addresses are not read.", _EXPECTED)
    if scheme == "https":
        parts = urlsplit(text)
        host, key, query = parts.netloc, parts.path.strip("/"), parts.query
    else:  # a key may hold any character, ? and # among them
        host, _, key = text[text.index("://") + 3 :].partition("/")
        key, query = key.strip("/"), ""
    if "@" in host:
        raise RemoteRefusedError(
            f"An address of {scheme}:// holds a user or password.",
            "Give credentials by the environment (docs/files.md): command lines are seen by others.",
        )
    if not host or any(c.isspace() or ord(c) < 32 for c in host):
        raise RemoteRefusedError(f"{scheme}:// names no {'host' if scheme == 'https' else 'bucket'}.", _EXPECTED)
    return Address(scheme=scheme, host=host, key=key, query=query)


def is_safe_key(key: str) -> bool:
    """Tell whether a key can be a path below a folder: no `..`, no empty part, no backslash or control character."""
    parts = key.split("/")
    return bool(key) and all(p not in ("", ".", "..") for p in parts) and not re.search(r"[\\\x00-\x1f]", key)
