"""Files that were made to bring an image server down, or that servers have stumbled over: for every way in."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEG2000Lossless, JPEGBaseline8Bit

from dicoms import bundled, deflated_bomb, dicom
from pictures import encode, gradient, inflating_png, jpeg_claiming, photo, png_chunk


class Hostile(NamedTuple):
    """name: what it is. data: the file. readable: whether it is odd but sound, and must give pixels."""

    name: str
    data: bytes
    readable: bool


def images() -> Iterator[Hostile]:
    """All of them, one at a time: some take a second to make."""
    jpeg, png = encode(photo(640, 480), "JPEG"), encode(gradient(64, 48), "PNG")
    yield Hostile("1 KB JPEG claiming 13000 × 13000", jpeg_claiming(13_000, 13_000), False)
    yield Hostile(
        "1 KB progressive JPEG claiming 13000 × 13000", jpeg_claiming(13_000, 13_000, progressive=True), False
    )
    yield Hostile("JPEG claiming 65500 × 65500", jpeg_claiming(65_500, 65_500), False)
    yield Hostile("PNG of 13000 × 13000, complete", inflating_png(13_000, 13_000), False)
    yield Hostile("deflated DICOM of 1 GiB", deflated_bomb(), False)
    bomb = zlib.compress(bytes(80 * 2**20))
    yield Hostile("PNG with 80 MiB of text", png[:33] + png_chunk(b"zTXt", b"a\0\0" + bomb) + png[33:], False)
    yield Hostile("empty", b"", False)
    for kind, data in (("JPEG", jpeg), ("PNG", png), ("DICOM", bundled("CT_small.dcm").read_bytes())):
        for part in (0.02, 0.5, 0.9):
            yield Hostile(f"{kind} cut at {part:.0%}", data[: int(len(data) * part)], False)
    yield Hostile("text", b"patient,label\n1,0\n" * 100, False)
    yield Hostile("SVG", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", False)
    yield Hostile("PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file\n", False)
    yield Hostile("JPEG and ZIP in one", jpeg + b"PK\x03\x04" + bytes(500), True)
    yield from _odd(jpeg)
    yield from _dicom()


def _odd(jpeg: bytes) -> Iterator[Hostile]:
    picture = Image.fromarray(gradient(64, 48))
    frames = [Image.new("RGB", (40, 30), (shade, 0, 0)) for shade in range(10, 250, 10)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        yield Hostile(f"animated {kind}", encode(frames[0], kind, save_all=True, append_images=frames[1:]), True)
    yield Hostile("CMYK JPEG", encode(picture.convert("CMYK"), "JPEG"), True)
    yield Hostile("16-bit PNG", encode(np.arange(4_800, dtype=np.uint16).reshape(60, 80) * 13, "PNG"), True)
    yield Hostile("palette PNG", encode(picture.quantize(16), "PNG"), True)
    yield Hostile("PNG with alpha", encode(np.dstack([gradient(64, 48), gradient(64, 48)[..., 0]]), "PNG"), True)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield Hostile("turned JPEG", encode(Image.open(io.BytesIO(jpeg)), "JPEG", exif=exif), True)
    yield Hostile("1 × 1", encode(gradient(1, 1), "PNG"), True)
    yield Hostile("1 × 3000", encode(gradient(1, 3_000), "PNG"), True)


def _dicom() -> Iterator[Hostile]:
    ramp = np.arange(4_800, dtype=np.uint16).reshape(60, 80)
    yield Hostile(
        "DICOM of another transfer syntax", dicom(ramp, syntax=MPEG2MPML, data=encapsulate([b"\0" * 64])), False
    )
    yield Hostile("DICOM without pixels", bundled("rtplan.dcm").read_bytes(), False)
    yield Hostile("DICOM of 65500 × 65500", dicom(ramp, Rows=65_500, Columns=65_500), False)
    wide = jpeg_claiming(65_500, 65_500)
    small = np.zeros((16, 16, 3), np.uint8)
    yield Hostile("DICOM around a huge JPEG", dicom(small, syntax=JPEGBaseline8Bit, data=encapsulate([wide])), False)
    junk = encapsulate([b"\xff\x4f\xff\x51" + b"\xff" * 200])
    yield Hostile("DICOM around broken JPEG 2000", dicom(small, syntax=JPEG2000Lossless, data=junk), False)
    sound = dicom(ramp)
    at = sound.index(b"\x28\x00\x10\x00")  # Rows
    yield Hostile("DICOM with an endless element", sound[: at + 6] + b"\xff\xff" + sound[at + 8 :], False)
    deep = b"\x09\x00\x10\x10SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3_000
    at = sound.index(b"\x28\x00\x02\x00")
    yield Hostile("DICOM of 3,000 nested sequences", sound[:at] + deep + sound[at:], False)
    yield Hostile("DICOM of 5,000 frames", dicom(ramp, data=ramp.tobytes() * 5_000, NumberOfFrames=5_000), True)
    yield Hostile("MONOCHROME1", dicom(ramp, PhotometricInterpretation="MONOCHROME1"), True)
    named = dicom(ramp, SOPInstanceUID="1.2.3.4.5.6.7.8.9", PatientID="0123456789")
    paths = named.replace(b"1.2.3.4.5.6.7.8.9", b"../../etc/passwd\0").replace(b"0123456789", b"\0/'\";--C:\\")
    yield Hostile("DICOM with paths for identifiers", paths, True)
