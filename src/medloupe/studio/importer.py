"""Unpack an archive and read it as a data set, in a process of its own.

It is started by `python -m medloupe.studio.importer ZIP FOLDER TASK FINDING…`. The last line of what it prints is JSON:
what was read, or why it cannot be. Archives and tables of strangers may need much memory, or crash what reads them;
that then is this process.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medloupe.data.readers.annotations.documents import read_json
from medloupe.data.readers.base import natural_key
from medloupe.data.reading import read
from medloupe.data.records import Dataset, Record
from medloupe.ecg.files import read_ecg
from medloupe.ecg.packing import name_packed, pack_signal
from medloupe.errors import ColumnError, DataError, MedloupeError, QuestionError, SignalError
from medloupe.jobs.inside import end_with_worker, open_progress
from medloupe.store.dataset_nouns import SEVERAL_TASKS
from medloupe.store.datasets import TABLE
from medloupe.studio.exchange import ClassedPicture, read_classes_of_export
from medloupe.studio.export import FINDINGS
from medloupe.studio.unpack import unpack

_ECG_TASKS = {"multiclass": "ecg", "multilabel": "ecg_multilabel"}
_PACKED = ".packed-"  # before the number of an ECG that was written anew; hidden files of an archive are left out
_SITE = re.compile(r"^(site|hospital|clinic|cent(re|er)|institution|location)s?([_ ]?(id|name))?$", re.IGNORECASE)


def import_archive(
    archive: Path, folder: Path, task: str = "multiclass", findings: Sequence[str] = ()
) -> dict[str, Any]:
    """Unpack an archive and read what is in it.

    Parameters
    ----------
    archive, folder
        The file, and where it is unpacked.
    task
        Of the data set that it comes into: one of SEVERAL_TASKS where an example may have several findings.
    findings
        Those that the data set has: columns of a table that are called so are these.

    Returns
    -------
    dict
        "labels", "task", "notes", and "records" of "file", "path", "label", "labels", "patient", "site", "split" and
        "boxes".

    Raises
    ------
    MedloupeError
        It is refused, or holds no data set of pictures with classes, findings or boxes, or of ECGs with one class or
        several findings each.
    OSError
        The disk is full.
    """
    say = open_progress()
    folder.mkdir(parents=True)
    unpack(archive, folder, None if say is None else lambda done, total: say("unpacking", done, total))
    several = task in SEVERAL_TASKS
    exported = read_classes_of_export(folder, several=several)
    if exported is not None:
        return _describe_export(*exported, several=several)
    data = _read_unpacked(folder, findings, several=several)
    ecgs = data.modality == "ecg" and data.task in _ECG_TASKS
    if not ecgs and (data.modality != "image" or data.task not in ("multiclass", "multilabel", "detection")):
        raise MedloupeError(
            f"The archive holds {data.things} of the task {data.task}.",
            "The studio takes pictures with classes, findings or boxes, and ECGs with one class or several findings"
            " each; others are trained with medloupe train.",
        )
    return {
        "labels": list(data.labels),
        "task": _ECG_TASKS[data.task] if ecgs else data.task,
        "notes": list(data.notes),
        "records": [
            {
                **(_keep_ecg(r, folder, k) if ecgs else _place(r, folder)),
                "label": next((name for name, value in r.labels.items() if value == 1), None)
                if data.task == "multiclass"
                else None,
                "labels": dict(r.labels) or None if data.task == "multilabel" else None,
                "boxes": None if data.task != "detection" or r.boxes is None else [asdict(box) for box in r.boxes],
                "patient": r.patient,
                "site": _site(r.columns),
                "split": r.split,
            }
            for k, r in enumerate(data.records)
        ],
    }


def _read_unpacked(folder: Path, findings: Sequence[str], *, several: bool) -> Dataset:
    """Read a folder; one that the studio wrote says which columns of its table are findings. Raises DataError."""
    said = next(iter(sorted(folder.rglob(FINDINGS))), None)
    if said is None:
        try:
            return read(folder, task="multilabel" if several else None)
        except QuestionError as e:
            if not several:
                raise
            if findings:
                with suppress(ColumnError):
                    return read(folder, labels=",".join(findings), task="multilabel")
            hint = "Add the findings to the data set first, called as their columns are."
            raise DataError(e.message, hint) from e
    told = read_json(said)
    names = told.get("labels") if isinstance(told, Mapping) else None
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and "," not in n for n in names):
        raise DataError(f"{FINDINGS} does not list the findings.", "Take the version away anew, or leave it out.")
    return read(said.parent / TABLE, image="file", labels=",".join(names), task="multilabel")


def _place(record: Record, folder: Path) -> dict[str, str]:
    path = str(record.image.relative_to(folder)) if isinstance(record.image, Path) else ""
    return {"file": record.id, "path": path}


def _keep_ecg(record: Record, folder: Path, number: int) -> dict[str, str]:
    """Read an ECG, and write it as one file where it is none: one of several files, or a part of one.

    Raises
    ------
    SignalError
        It cannot be read.
    """
    source = record.signal
    signal = read_ecg(source) if isinstance(source, Path) else source
    if signal is None:
        raise SignalError(f"{record.id} holds no ECG.")
    if isinstance(source, Path) and source.suffix.lower() != ".hea":
        return {"file": record.id, "path": str(source.relative_to(folder))}
    path = folder / f"{_PACKED}{number}.npz"
    path.write_bytes(pack_signal(signal))
    return {"file": name_packed(record.id), "path": path.name}


def _describe_export(
    tool: str, pictures: Sequence[ClassedPicture], notes: Sequence[str], *, several: bool
) -> dict[str, Any]:
    """Describe pictures with the classes that people gave them in an annotation tool."""
    return {
        "labels": sorted({name for p in pictures for name in (p.labels or [p.label]) if name}, key=natural_key),
        "task": "multilabel" if several else "multiclass",
        "notes": [f"Classes were read from an export of {tool}.", *notes],
        "records": [
            {
                "file": p.name,
                "path": p.file,
                "label": p.label,
                "labels": p.labels,
                "patient": p.patient,
                "site": p.site,
                "split": None,
                "boxes": None,
            }
            for p in pictures
        ],
    }


def _site(columns: Mapping[str, str]) -> str | None:
    return next((text for name, text in columns.items() if _SITE.match(name.strip())), None)


def main(archive: str, folder: str, task: str = "multiclass", *findings: str) -> int:
    """Print what was read, or why it cannot be; the exit status."""
    end_with_worker()
    try:
        print(json.dumps(import_archive(Path(archive), Path(folder), task, findings)))
    except MedloupeError as e:
        print(json.dumps({"error": f"{e.message} {e.hint}".strip()}))
    except OSError as e:
        print(json.dumps({"error": f"The archive cannot be unpacked: {e.strerror or e}."}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
