"""Take a model file into the store, in a process of its own: a hostile graph may need much memory, or crash it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from medloupe.errors import MedloupeError, StorageError

_ADDING = 150  # seconds that reading and trying a new model file may take
_LEFT = 900  # seconds after the last write to what an upload put aside until nobody can be at work on it


@contextlib.contextmanager
def uploading(home: Path) -> Iterator[Path]:
    """Hold a folder for one upload while the block runs; what killed uploads left goes first.

    It lies in the store's folder: there is room for a model there or nowhere, and what a kill leaves can be found.

    Raises
    ------
    StorageError
        The disk is full or cannot be written, here or in the block.
    """
    place = home / "uploads"
    try:
        remove_leftovers(place)
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except OSError as e:
        raise StorageError(
            f"The model file cannot be put aside: {e.strerror or e}.",
            "Free some disk space on the server, then try again.",
        ) from e


def remove_leftovers(place: Path) -> int:
    """Remove what uploads left that were killed; return how many. Raises OSError."""
    gone = 0
    before = time.time() - _LEFT
    for folder in place.iterdir() if place.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # it was just finished
            if max(path.stat().st_mtime for path in (folder, *folder.rglob("*"))) < before:
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
    return gone


async def add_model(home: Path, name: str, path: Path) -> int:
    """Add a model file to a store as a new version.

    Parameters
    ----------
    home
        Folder of the store.
    name
        Of the model.
    path
        The ONNX file.

    Returns
    -------
    int
        The number of the version.

    Raises
    ------
    MedloupeError
        It is no such file, or reading it took too long; StorageError where the store cannot take it.
    """
    command = [sys.executable, "-P", "-m", "medloupe", "models", "add", str(path), "--name", name, "--json"]
    made = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "MEDLOUPE_HOME": str(home), "TMPDIR": str(path.parent)},  # what a kill leaves lies with it
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(made.communicate(), _ADDING)
    except BaseException as e:
        _kill(made)
        await made.wait()
        if not isinstance(e, TimeoutError):
            raise
        raise MedloupeError(f"The model file was not read within {_ADDING} s.", "Send a smaller one.") from e
    if made.returncode:
        lines = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
        said = next((x.removeprefix("medloupe: ") for x in lines if x.startswith("medloupe: ")), "")
        if made.returncode == StorageError.exit_code:
            raise StorageError("The store cannot take the model file now.", "Free some disk space on the server.")
        raise MedloupeError(
            said.replace(str(path), "The file") or "The model file made its reader crash.",
            "Send a file that `medloupe export` wrote.",
        )
    return int(json.loads(out.splitlines()[-1])["version"])


def _kill(process: asyncio.subprocess.Process) -> None:
    """End a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
