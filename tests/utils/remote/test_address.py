"""Addresses: what is read, what is refused, and what is never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.errors import RemoteRefusedError
from medloupe.utils.remote.address import Address, is_remote, is_safe_key, parse_address


def test_buckets_and_hosts() -> None:
    assert parse_address("s3://bucket/a/b c#?.png/") == Address(scheme="s3", host="bucket", key="a/b c#?.png")
    web = parse_address("https://host:8443/a/b%20c.csv?sig=secret")
    assert (web.host, web.key, web.query, web.name) == ("host:8443", "a/b%20c.csv", "sig=secret", "b c.csv")
    assert web.url.endswith("?sig=secret") and "secret" not in str(web)
    assert parse_address("gs://b").name == "b" and parse_address("az://c/x").join("y").key == "x/y"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://host/x", "unencrypted"),
        ("file:///etc/passwd", "file://"),
        ("s3:///key", "names no bucket"),
        ("https://user:word@host/x", "user or password"),
        ("s3://a b/x", "names no bucket"),
    ],
)
def test_refused(text: str, says: str) -> None:
    assert is_remote(text)
    with pytest.raises(RemoteRefusedError, match=says) as caught:
        parse_address(text)
    assert "word" not in str(caught.value).replace("password", "")


def test_paths_are_no_addresses() -> None:
    assert not any(is_remote(p) for p in ("data/set", "C:\\data", "C:/data", "a:b", "//server/share", "~/x"))


@given(st.text(max_size=40))
def test_safe_keys_stay_below_their_folder(key: str) -> None:
    if is_safe_key(key):
        parts = key.split("/")
        assert ".." not in parts and "" not in parts and not key.startswith("/") and "\\" not in key
    assert not is_safe_key(f"../{key}") and not is_safe_key(f"/{key}")
