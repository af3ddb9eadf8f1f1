"""Note where the images of a version lie on this machine, so that they can be read again.

The note is `data.json` beside its model file. It never leaves the machine: no exported file holds it, and no page or
route shows it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medloupe.data.digests import most_digests, sample_digests, seen_in_training
from medloupe.data.records import Dataset
from medloupe.data.scan import Scan, scan_dataset
from medloupe.errors import DataError
from medloupe.utils.files import write_atomically
from medloupe.utils.remote.address import is_remote
from medloupe.utils.remote.fetch import name_of

FILE = "data.json"
OPTIONS = (
    "labels",
    "patient",
    "split",
    "image",
    "table",
    "folders",
    "task",
    "unboxed",
    "crop",
    "crop_to",
)  # what readers.read takes besides the path


def write_location(folder: Path, root: str | Path, **options: Any) -> None:
    """Note with what `data.reading.read` was called.

    Parameters
    ----------
    folder : Path
        Of the version.
    root : str or Path
        Of the data.
    options : Any
        Those of OPTIONS.

    Raises
    ------
    TypeError
        For any other option.
    OSError
        When the folder cannot be written.
    """
    if unknown := options.keys() - set(OPTIONS):
        raise TypeError(f"readers.read takes no {', '.join(sorted(unknown))}.")
    told = {key: str(value) for key, value in options.items() if value is not None}
    if (known := name_of(Path(root))) != str(root):  # a copy, which may be gone by then
        root = known
    if "table" in told and Path(told["table"]).expanduser().is_file():  # else it lies in the data's own folder
        told["table"] = str(Path(told["table"]).expanduser().absolute())
    if (table := told.get("table")) is not None:
        told["table"] = name_of(Path(table))
    said = {"root": str(root) if is_remote(str(root)) else str(Path(root).expanduser().absolute()), **told}
    write_atomically(folder / FILE, json.dumps(said, ensure_ascii=False, indent=1).encode())


def read_location(folder: Path) -> dict[str, Any] | None:
    """Return what `write_location` noted, or None where nothing (readable) is noted."""
    try:
        said = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and isinstance(said.get("root"), str) else None


def read_again(folder: Path, called: str) -> Dataset:
    """Read the data set of a version as it was read for training.

    Parameters
    ----------
    folder : Path
        Of the version.
    called : str
        The model, for messages.

    Raises
    ------
    DataError
        Where its place was not noted, or it is no longer there.
    """
    from medloupe.data.reading import read

    said = read_location(folder)
    if said is None:
        raise DataError(f"Where the images of {called} lie was not noted.", _GIVE)
    if is_remote(said["root"]):
        raise DataError(f"The images of {called} lie elsewhere: {said['root']}.", f"Add --data {said['root']}")
    root = Path(said["root"])
    if not root.exists():
        raise DataError(f"The images of {called} are no longer at {root}.", _GIVE)
    return read(root, **{k: v for k, v in said.items() if k in OPTIONS})


def scan_training_data(data: Dataset, card: Mapping[str, Any], called: str) -> Scan:
    """Read the files of the data set once, if it is the one that a model was trained on.

    Parameters
    ----------
    data : Dataset
        The data set.
    card : Mapping
        The model's card.
    called : str
        The model, for messages.

    Raises
    ------
    DataError
        Saying how far it is not: other labels, or images that the card does not know.
    """
    if list(data.labels) != list(card["labels"]):
        raise DataError(
            f"{data.root} has the labels {', '.join(data.labels)}; {called} knows {', '.join(card['labels'])}.",
            _GIVE,
        )
    found = scan_dataset(data)
    broken = {entry["file"] for entry in card["data"].get("unreadable") or ()}
    digests = [found.digest[r.id] for r in data.records if r.labels and r.id not in broken and found.digest[r.id]]
    kept = sample_digests(digests, data.things)  # as many as a card remembers
    known, wanted = int(seen_in_training(card, kept).sum()), card["data"].get("labelled") or 0
    if not wanted or len(digests) != wanted or known < len(kept):
        raise DataError(
            f"{data.root} is not what {called} was trained on: {known:,} of its"
            f" {min(wanted, most_digests(data.things)):,} {data.things} are"
            f" there unchanged, and {len(kept) - known:,} others.",
            _GIVE,
        )
    return found


_GIVE = "Say where they are now, with the options that training had: --data DIR [--labels COL] [--patient COL] …"
