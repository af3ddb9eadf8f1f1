"""The table of the kinds of data: what each is called, how a file of it is recognised, read, checked and digested.

What networks make of them stands in embed/modalities.py. docs/modalities.md tells how a kind is added.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.contents import digest_ecg, digest_image, read_content
from medloupe.imaging import headers
from medloupe.utils.tables import Table

if TYPE_CHECKING:
    from medloupe.data.records import Record

START_BYTES = 64 * 1024
"""How much of a file is enough to recognise it by."""

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
IMAGE_SUFFIXES = DICOM_SUFFIXES | {
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".pgm", ".ppm", ".pnm", ".jp2"),
}
ECG_SUFFIXES = frozenset({".hea", ".dat", ".edf", ".bdf"})  # of nothing but signals


class Modality(ABC):
    """One kind of data.

    Attributes
    ----------
    name : str
        As cards, data sets and model files have it: "ecg".
    one, many : str
        What one example and several are called in sentences: "ECG", "ECGs".
    called : str
        What a model of it looks at, in sentences: "ECGs", "pictures".
    suffixes : frozenset of str
        Of the files that hold nothing else, in lower case, with the dot.
    field : str
        The field of a Record that holds an example.
    parts : str
        What data sets may have cut an example into, as Dataset.things says it: "beats"; "" where there is none.
    timed : bool
        Whether the sampling rate can be told beside a file.
    near_copies, shortcuts : bool
        Whether the audit looks for near copies, and for labels that can be guessed from how an example was taken.
    """

    name: str
    one: str
    many: str
    called: str
    suffixes: frozenset[str]
    field: str = "example"
    parts: str = ""
    timed: bool = False
    near_copies: bool = False
    shortcuts: bool = False

    @property
    def measured(self) -> tuple[str, ...]:
        """The columns that are measured from an example itself, and asked of nobody."""
        return ()

    @property
    def a_file(self) -> str:
        """What a file of it is, in a sentence: "an ECG recording"."""
        return f"a{'n' if self.one[0].lower() in 'aeiou' else ''} {self.one}"

    @abstractmethod
    def recognises(self, start: bytes, name: str) -> bool:
        """Tell whether a file is of this kind, by its first bytes and its name.

        Kinds added from outside are asked before ECGs, and what no kind recognises counts as a picture.
        """

    @abstractmethod
    def read(self, source: Path | Mapping[str, bytes], *, rate: float | None = None) -> Any:
        """Read an example from a file, or from the files of an upload (bytes by name).

        rate: the sampling rate in Hz where the file does not tell it. Raises ImageError or one of its kinds.
        """

    def fault(self, example: Any) -> str:
        """Say why an example that was read is of no use, as a sentence; "" where it is sound."""
        return ""

    def accepts(self, example: object) -> bool:
        """Tell whether an object may be an example that was read, or the path of one."""
        return True

    def held(self, record: Record) -> Any:
        """Get what a record holds: the path of a file, or what was read. Raises DataError for another kind."""
        return getattr(record, self.field)

    def digest(self, record: Record) -> bytes:
        """Hash what a record holds, without decoding: sha256. Raises ImageError where it cannot be read."""
        return digest_image(read_content(self.held(record)))

    def of_images(self, words: str) -> str:
        """Put sentences that speak of images into the words of this kind."""
        article = "n" if self.one[0].lower() in "aeiou" else ""
        words = re.sub(r"\bimages\b", self.many, re.sub(r"\bimage\b", self.one, words))
        return re.sub(rf"\b([Aa])n? {re.escape(self.one)}\b", rf"\1{article} {self.one}", words)


class _PictureModality(Modality):
    name, one, many, called = "image", "image", "images", "pictures"
    suffixes = IMAGE_SUFFIXES
    field = "image"
    near_copies = shortcuts = True

    def recognises(self, start: bytes, name: str) -> bool:
        return headers.sniff(start[: headers.SNIFF_BYTES]) is not None

    def read(self, source: Path | Mapping[str, bytes], *, rate: float | None = None) -> np.ndarray:
        from medloupe.imaging.decode import decode

        return decode(source if isinstance(source, Path) else next(iter(source.values())))

    def accepts(self, example: object) -> bool:
        return isinstance(example, str | Path | np.ndarray)

    def held(self, record: Record) -> Path | np.ndarray:
        return record.picture


class _EcgModality(Modality):
    name, one, many, called = "ecg", "ECG", "ECGs", "ECGs"
    suffixes = ECG_SUFFIXES
    field = "signal"
    parts = "beats"
    timed = True

    @property
    def a_file(self) -> str:
        return "an ECG recording"

    @property
    def measured(self) -> tuple[str, ...]:
        from medloupe.ecg.beats import RHYTHM

        return RHYTHM

    def recognises(self, start: bytes, name: str) -> bool:
        from medloupe.ecg.files import is_ecg_bytes

        if headers.sniff(start[: headers.SNIFF_BYTES]) == "DICOM":
            return headers.WAVEFORM_CLASSES in start
        return is_ecg_bytes(start, name)

    def read(self, source: Path | Mapping[str, bytes], *, rate: float | None = None) -> Any:
        from medloupe.ecg.files import read_ecg

        return read_ecg(source, rate=rate)

    def fault(self, example: Any) -> str:
        from medloupe.ecg.quality import describe_fault

        return describe_fault(example)

    def digest(self, record: Record) -> bytes:
        return digest_ecg(record)


PICTURES = _PictureModality()
ECGS = _EcgModality()
MODALITIES: Table[Modality] = Table("data", PICTURES, ECGS)


def recognise(start: bytes, name: str) -> Modality:
    """Tell which kind a file is of, by its first bytes and its name; what no other kind recognises is a picture."""
    return next((kind for kind in (*MODALITIES.added, ECGS) if kind.recognises(start, name)), PICTURES)


def recognise_file(path: Path) -> Modality:
    """Tell which kind a file is of, by its first bytes and its name.

    One that cannot be read counts as a picture, but as an ECG where it is the name of a WFDB record.
    """
    try:
        with path.open("rb") as f:
            start = f.read(START_BYTES)
    except OSError:
        return ECGS if path.with_name(path.name + ".hea").is_file() else PICTURES
    return recognise(start, path.name)


def recognise_upload(source: bytes | Mapping[str, bytes], name: str) -> Modality:
    """Tell which kind was sent, by all its bytes and its name; several files that belong together are an ECG."""
    if not isinstance(source, bytes):
        return ECGS
    if added := next((kind for kind in MODALITIES.added if kind.recognises(source, name)), None):
        return added
    kind = headers.sniff(source[: headers.SNIFF_BYTES])
    if kind not in (None, "DICOM") or (kind == "DICOM" and headers.WAVEFORM_CLASSES not in source[:4096]):
        return PICTURES  # without parsing it
    from medloupe.ecg.files import is_ecg_bytes

    return ECGS if is_ecg_bytes(source, name) else PICTURES


def sure_suffixes() -> frozenset[str]:
    """List the suffixes of files that hold an example of some kind."""
    return frozenset().union(*(kind.suffixes for kind in MODALITIES))


def of_suffix(name: str) -> Modality | None:
    """Find the kind added from outside whose suffix a file's name has, if any."""
    suffix = PurePosixPath(name).suffix.lower()
    return next((kind for kind in MODALITIES.added if suffix in kind.suffixes), None)
