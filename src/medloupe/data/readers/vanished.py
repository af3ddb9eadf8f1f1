"""Find class folders of which nothing is read: their files are of a format that is not decoded here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from medloupe.data.readers.base import NOT_AN_IMAGE, Files
from medloupe.data.readers.formats import read_start
from medloupe.data.readers.places import Places, read_places
from medloupe.errors import DataError
from medloupe.imaging.headers import describe_foreign, sniff
from medloupe.imaging.heif import EXTRA, KINDS

UNREADABLE = "unreadable DICOM"
BLIND = "DICOM without an image"

# Texts, tables and programs lie beside pictures and stand for none.
_BESIDE = frozenset(
    {".txt", ".md", ".rst", ".xml", ".json", ".yaml", ".yml", ".html", ".htm", ".csv", ".tsv", ".xls", ".xlsx", ".py"}
    | {".ipynb", ".m", ".js", ".css", ".log", ".ini", ".cfg", ".sh", ".bat", ".url", ".lnk", ".toml", ".rtf", ".mat"}
    | {".pkl", ".onnx", ".pt", ".pth", ".h5", ".npy", ".npz", ".geojson", ".aae", ".xmp", ".ini", ".sha256", ".md5"}
)
_MOST_UNREAD = 4  # unread files of a class that do no harm, however few are read
_FEWEST = 2  # files of a folder that may be a class
_DOCUMENTS = frozenset({".pdf", ".doc", ".docx", ".ppt", ".pptx", ".odt"})
_FEWEST_DOCUMENTS = 5
_FILMS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".wmv", ".mpg", ".mpeg", ".webm", ".m4v", ".3gp"})
_PACKED = frozenset({".zip", ".7z", ".rar", ".tar", ".tgz"})


def list_foreign(files: Files) -> list[str]:
    """List the files that could have been meant as pictures and are not read; one with a readable twin is none."""
    bare = {_stem(image) for image in files.images}
    left = [*files.skipped.get(NOT_AN_IMAGE, ()), *files.skipped.get(UNREADABLE, ()), *files.skipped.get(BLIND, ())]
    meant = [name for name in left if PurePosixPath(name).suffix.lower() not in _BESIDE and _stem(name) not in bare]
    return [name for name in meant if PurePosixPath(name).suffix or not _is_text(files.root / name)]


def require_classes(files: Files, images: Sequence[str], found: Places, layout: str | None) -> list[str]:
    """Raise DataError where a class folder is lost since nothing, or hardly anything, in it is read.

    Returns
    -------
    list of str
        One sentence for each class of which a smaller part is not read.

    Raises
    ------
    DataError
        Naming folder, format and what to do.
    """
    foreign = list_foreign(files)
    if not foreign or not found.names:
        return []
    every = read_places(sorted([*images, *foreign]), layout)
    lost: dict[str, list[str]] = {}
    for name in foreign:
        label = every.labels.get(name)
        if label is not None:
            lost.setdefault(label, []).append(name)
    kept = Counter(found.labels.values())
    notes = []
    for label, names in sorted(lost.items()):
        if len(names) < (_FEWEST_DOCUMENTS if _most_are(names, _DOCUMENTS) else _FEWEST):
            continue
        if not kept[label] or len(names) > max(kept[label], _MOST_UNREAD):
            raise _lost_class(files.root, label, names, kept[label])
        if kept[label]:
            what, hint = _describe(files.root, names)
            notes.append(
                f"{len(names)} of the {len(names) + kept[label]} files of {label} are {what} and not read. {hint}"
            )
    return notes


def _lost_class(root: Path, label: str, names: Sequence[str], kept: int) -> DataError:
    what, hint = _describe(root, names)
    folder = names[0].rpartition("/")[0]
    rest = f"only {kept} pictures that are" if kept else "no picture that is"
    return DataError(
        f"The folder {folder} holds {len(names)} files that are not read, {what} (such as {names[0]}), and {rest} read:"
        f" the class {label} would be missing.",
        f"{hint} If it is no class, move the folder away.",
    )


def describe_unread(root: Path, skipped: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Say what the files are that a folder without any picture holds, and what to do: ("10 HEIC photos", "…")."""
    names = [name for name in skipped.get(NOT_AN_IMAGE, ()) if PurePosixPath(name).suffix.lower() not in _BESIDE]
    return _describe(root, names) if names else ("", "")


def _describe(root: Path, names: Sequence[str]) -> tuple[str, str]:
    """Say what files are, by the first of the commonest suffix, and what to do."""
    suffixes = Counter(PurePosixPath(name).suffix.lower() for name in names)
    suffix = suffixes.most_common(1)[0][0]
    first = next(name for name in names if PurePosixPath(name).suffix.lower() == suffix)
    called = f"{suffix} files" if suffix else "files without a suffix"
    start = read_start(root / first)
    kind = sniff(start)
    if suffix in _FILMS:
        return f"films ({called})", "Export single frames as PNG."
    if suffix in _PACKED:
        return f"packed archives ({called})", "Unpack them."
    if kind in KINDS:
        return f"{kind.replace('HEIF', 'HEIC')} photos ({called})", EXTRA if kind == "HEIF" else "Save them as JPEG."
    if kind == "DICOM":
        return f"DICOM without an image that can be read ({called})", "Export the images of the study."
    if kind == "TIFF":
        return f"raw photographs or whole slides ({called})", "Export them as JPEG or PNG."
    what, hint = describe_foreign(start)
    return f"{called}, {what} each" if what != "of no known image format" else f"{called} {what}", hint


def _is_text(path: Path) -> bool:
    return describe_foreign(read_start(path))[0] == "text"


def _most_are(names: Sequence[str], suffixes: frozenset[str]) -> bool:
    return 2 * sum(PurePosixPath(name).suffix.lower() in suffixes for name in names) > len(names)


def _stem(name: str) -> str:
    """Write a path without the suffix, to know a photo again that lies there in two formats."""
    return str(PurePosixPath(name).with_suffix("")).casefold()
