"""Write the web app into a folder that any web server can hand out: no medloupe behind it, nothing to install."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from medloupe.errors import MedloupeError
from medloupe.ondevice.release import Release
from medloupe.ondevice.runtime import COMMAND
from medloupe.utils.files import write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written: the folder, how many files, and their bytes together."""

    folder: Path
    count: int
    bytes: int


def write_folder(release: Release, folder: Path) -> Written:
    """Write all files of a release; release.json and index.html last, so that no page sees half of it.

    Parameters
    ----------
    release : Release
        One with a runtime.
    folder : Path
        Made where it is missing. What it holds of another release stays, for pages that are open.

    Raises
    ------
    MedloupeError
        The runtime was not taken, or the folder cannot be written.
    """
    if not release.index["runtime"]:
        raise MedloupeError(
            "onnxruntime-web was not taken when this medloupe was built, without which nothing runs in a browser.",
            f"In a checkout: {COMMAND}. The released wheels have it.",
        )
    last = ("release.json", "index.html")
    order = [*(p for p in release.files if p not in last), *(p for p in last if p in release.files)]
    total = 0
    try:
        for path in order:
            data, target = release.files[path], folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, Path):
                shutil.copyfile(data, target)
            else:
                write_atomically(target, data)
            total += target.stat().st_size
    except OSError as e:
        raise MedloupeError(f"{folder} cannot be written: {e.strerror or e}.", "Choose another folder.") from e
    return Written(folder=folder, count=len(order), bytes=total)
