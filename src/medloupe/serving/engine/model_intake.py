"""Take a model file into the store, in a process of its own: a hostile graph may need much memory, or crash it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from medloupe.errors import MedloupeError

_ADDING = 150  # seconds that reading and trying a new model file may take


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
        It is no such file, or reading it took too long.
    """
    command = [sys.executable, "-P", "-m", "medloupe", "models", "add", str(path), "--name", name, "--json"]
    made = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "MEDLOUPE_HOME": str(home)},
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
