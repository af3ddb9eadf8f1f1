"""Model files on their way into the store: what is put aside, and what is left of uploads that were killed."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import sys
import time
from pathlib import Path

import pytest

from medloupe.errors import MedloupeError, StorageError
from medloupe.serving.engine.model_intake import add_model, remove_leftovers, uploading
from trained import Trained


def test_what_killed_uploads_left_goes_and_what_is_at_work_stays(tmp_path: Path) -> None:
    old, now = tmp_path / "uploads" / "old" / "inner", tmp_path / "uploads" / "now"
    for folder in (old, now):
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"half")
    for path in (old / "model.onnx", old, old.parent, now):  # the last file of one at work is new
        os.utime(path, (time.time() - 3600,) * 2)
    with uploading(tmp_path) as own:
        (own / "model.onnx").write_bytes(b"whole")
        assert sorted(p.name for p in (tmp_path / "uploads").iterdir()) == sorted(["now", own.name])
    assert [p.name for p in (tmp_path / "uploads").iterdir()] == ["now"]
    assert remove_leftovers(tmp_path / "none") == 0


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No space left") as told, uploading(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "disk space" in told.value.hint
    assert not list((tmp_path / "uploads").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_store_that_cannot_take_it_is_told_from_a_bad_file(_trained: Trained, tmp_path: Path) -> None:
    home, path = tmp_path / "home", tmp_path / "model.onnx"
    path.write_bytes((_trained.home / "models" / "spots" / "1" / "model.onnx").read_bytes())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))  # which the child inherits
    try:
        with pytest.raises(StorageError, match="cannot take"):
            asyncio.run(add_model(home, "spots", path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    path.write_bytes(b"no model")
    with pytest.raises(MedloupeError, match="not ONNX") as told:
        asyncio.run(add_model(home, "spots", path))
    assert not isinstance(told.value, StorageError)
