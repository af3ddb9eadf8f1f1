"""Expand what people name on the command line to the files of examples."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path


def merge_ecg_parts(paths: Iterable[Path]) -> Iterator[Path]:
    """List the files of ECGs, each recording once: in place of its parts the header of a WFDB record."""
    done: set[Path] = set()
    for path in paths:
        header = path.with_suffix(".hea")
        part = path.suffix.lower() in (".dat", ".atr", ".qrs", ".xyz") and header.is_file()
        chosen = header if part else path
        if chosen not in done:
            done.add(chosen)
            yield chosen


def expand_paths(paths: Iterable[str], within: Callable[[Path], Iterable[Path]] | None = None) -> Iterator[Path]:
    """Expand paths to the files that they name.

    Files stay as they are, folders become all images within, globs what they match. A path that names nothing comes
    back as it is, to fail as a missing file.

    Parameters
    ----------
    paths : iterable of str
        As people type them.
    within : callable, optional
        What counts in a folder, instead of images. What counts as an image is what counts when a data set is read.
    """
    within = within or _images_in
    for text in paths:
        path = Path(text)
        if path.is_dir():
            yield from within(path)
        elif path.exists():
            yield path
        else:
            matches = [Path(m) for m in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 (may start anywhere)
            for match in matches:
                if match.is_dir() and "**" not in text:  # which names what is in the folders already
                    yield from within(match)
                elif match.is_file():
                    yield match
            if not matches:
                yield path


def _images_in(folder: Path) -> Iterator[Path]:
    from medloupe.data.readers.base import walk

    return (folder / name for name in walk(folder).images)
