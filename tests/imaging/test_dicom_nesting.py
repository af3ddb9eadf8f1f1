"""Sequences within sequences: as deep as files need, and what is deeper refused before it is parsed."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

from dicoms import dicom
from ecgmaker import ecg, even
from ecgwriters import dicom_waveform
from medloupe.ecg.files import read_ecg
from medloupe.errors import SignalError, UnreadableImageError
from medloupe.imaging import decode
from medloupe.imaging.dicom_nesting import MAX_DEPTH, MAX_ELEMENTS, check_nesting

SOUND = dicom(np.arange(4_800, dtype=np.uint16).reshape(60, 80))
AT = SOUND.index(b"\x28\x00\x02\x00")
ITEM = b"\xfe\xff\x00\xe0"


def open_ended(depth: int) -> bytes:
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return (b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + ITEM + b"\xff\xff\xff\xff") * depth + end * depth


def with_lengths(depth: int) -> bytes:
    made = b""
    for _ in range(depth):
        item = ITEM + struct.pack("<I", len(made)) + made
        made = b"\x09\x00\x10\x10SQ\0\0" + struct.pack("<I", len(item)) + item
    return made


@pytest.mark.parametrize("make", [open_ended, with_lengths])
def test_depth(make):
    decode.decode(SOUND[:AT] + make(MAX_DEPTH - 1) + SOUND[AT:])
    with pytest.raises(UnreadableImageError, match="deep in each other"):
        decode.decode(SOUND[:AT] + make(MAX_DEPTH + 2) + SOUND[AT:])


@pytest.mark.parametrize(("make", "depth"), [(open_ended, 200_000), (with_lengths, 3_000)])
def test_very_deep_is_refused_at_once(make, depth: int):
    data = SOUND[:AT] + make(depth) + SOUND[AT:]
    waveform = dicom_waveform(ecg(even(3), 3, 250, ("I", "II")))
    at = waveform.index(b"\x00\x54\x00\x01")
    started = time.process_time()
    with pytest.raises(UnreadableImageError, match="deep in each other"):
        decode.decode(data)
    with pytest.raises((SignalError, UnreadableImageError), match="deep in each other"):
        read_ecg({"a.dcm": waveform[:at] + make(depth) + waveform[at:]})
    assert time.process_time() - started < 1


def test_too_many_elements():
    many = (b"\x09\x00\x10\x10UL" + b"\x00\x00") * (MAX_ELEMENTS + 1)
    with pytest.raises(UnreadableImageError, match="elements"):
        check_nesting(many, 0, implicit=False, little=True, name="a")


def test_implicit_and_big_endian():
    item = ITEM + b"\xff\xff\xff\xff"
    deep = (b"\x09\x00\x10\x10\xff\xff\xff\xff" + item) * 100
    with pytest.raises(UnreadableImageError):
        check_nesting(deep, 0, implicit=True, little=True, name="a")
    big = (b"\x00\x09\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xff\xfe\xe0\x00\xff\xff\xff\xff") * 100
    with pytest.raises(UnreadableImageError):
        check_nesting(big, 0, implicit=False, little=False, name="a")
    for cut in range(0, 60, 7):
        check_nesting(deep[:cut], 0, implicit=True, little=True, name="a")
