"""The table of how pages speak of each kind of data, and what a form takes of it."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.data.modalities import MODALITIES
from medloupe.utils.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKind:
    """One kind of data on the pages. name: as in data/modalities. section: of words/*.json in which its strings stand;
    "" of pictures, whose strings stand with those of all. badge: key of what a check-up of it is marked with, or "".
    sign: the icon of its form. accept: what a browser lets people choose. camera: whether a photograph can be taken.
    drawn: whether an answer shows a drawing of an example in place of the picture. trace: whether the emblem is one."""

    name: str
    section: str = "file"
    badge: str = ""
    sign: str = "scan"
    accept: str = ""
    camera: bool = False
    drawn: bool = True
    trace: bool = False

    def key(self, key: str) -> str:
        """The key of a string for this kind. key: that for pictures."""
        return f"{self.section}.{key.partition('.')[2]}" if self.section else key


_DICOM = ".dcm,.dicom,application/dicom"
_ECG = ".hea,.dat,.atr,.csv,.tsv,.txt,.npz,.edf,.bdf,text/csv,application/octet-stream"

PICTURE = PageKind(name="image", section="", accept=f"image/*,{_DICOM}", camera=True, drawn=False)
ECG = PageKind(
    name="ecg", section="ecg", badge="checkup.ecg", sign="pulse", accept=f"{_DICOM},{_ECG}", drawn=False, trace=True
)
PAGE_KINDS: Table[PageKind] = Table("serving", PICTURE, ECG)


def page_kind(name: str) -> PageKind:
    """How pages speak of a kind of data; one added from outside without an entry here is spoken of as files."""
    found = PAGE_KINDS.find(name)
    return found or PageKind(name=name, accept=",".join(sorted(MODALITIES[name].suffixes)))


def accepted(modalities: set[str]) -> str:
    """What a form takes that lets the app choose among check-ups of several kinds."""
    others = sorted(modalities - {PICTURE.name, ECG.name})
    ecg = [_ECG] if ECG.name in modalities else []
    return ",".join([PICTURE.accept, *ecg, *(page_kind(name).accept for name in others)])
