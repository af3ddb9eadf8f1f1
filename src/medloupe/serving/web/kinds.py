"""The table of how pages speak of each kind of data, and what a form takes of it."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.data.modalities import MODALITIES
from medloupe.utils.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKind:
    """One kind of data on the pages.

    Attributes
    ----------
    name : str
        As in data/modalities.
    section : str
        The part of words/*.json in which its strings stand, with the dot; "" of pictures, whose stand with those of
        all.
    badge : str
        The key of what a check-up of it is marked with, or "".
    sign : str
        The icon of its form.
    accept : str
        What a browser lets people choose.
    camera : bool
        Whether a photograph can be taken.
    drawn : bool
        Whether an answer shows the drawing that the kind's entry in embed/modalities makes.
    trace : bool
        Whether the emblem of a check-up is a trace.
    """

    name: str
    section: str = "file."
    badge: str = ""
    sign: str = "scan"
    accept: str = ""
    camera: bool = False
    drawn: bool = True
    trace: bool = False

    def key(self, key: str) -> str:
        """Find the key of a string for this kind. key: that for pictures."""
        return self.section + key.partition(".")[2] if self.section else key


_DICOM = ".dcm,.dicom,application/dicom"
_ECG = ".hea,.dat,.atr,.csv,.tsv,.txt,.npz,.edf,.bdf,text/csv,application/octet-stream"

PICTURE = PageKind(name="image", section="", accept=f"image/*,{_DICOM}", camera=True, drawn=False)
ECG = PageKind(
    name="ecg", section="ecg.", badge="checkup.ecg", sign="pulse", accept=f"{_DICOM},{_ECG}", drawn=False, trace=True
)
PAGE_KINDS: Table[PageKind] = Table("serving", PICTURE, ECG)


def page_kind(name: str) -> PageKind:
    """How pages speak of a kind of data; one added from outside without an entry here is spoken of as files."""
    found = PAGE_KINDS.find(name)
    return found or PageKind(name=name, accept=",".join(sorted(MODALITIES[name].suffixes)))


def accepted(modalities: set[str]) -> str:
    """List what a form takes that lets the app choose among check-ups of several kinds."""
    others = sorted(modalities - {PICTURE.name, ECG.name})
    ecg = [_ECG] if ECG.name in modalities else []
    return ",".join([PICTURE.accept, *ecg, *(page_kind(name).accept for name in others)])
