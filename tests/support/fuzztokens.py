"""What guides a fuzzer: words of each format, which it puts into files, and the packages whose coverage counts.

Nothing of medloupe is imported here, so that it can be read before what is imported is instrumented.
"""

from __future__ import annotations

from collections.abc import Iterator

_NUMBERS = (b"0", b"-1", b"1e308", b"-1e-308", b"NaN", b"Infinity", b"4294967296", b"2147483647", b"0.0000001", b"1,5")
_WHOLE = (b"\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\1", b"\1\0")
_CELLS = (
    b";",
    b",",
    b"\t",
    b"|",
    b"\r\n",
    b'"',
    b'""',
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"sep=;",
    b"#",
    b"\x00",
    b"\x85",
    b"\x1a",
)
_JSON = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'":',
    b"null",
    b"true",
    b"false",
    b'"',
    b"\\ud800",
    b"\\u0000",
    b"[[[[[[[[",
    *_NUMBERS,
)
_CARD = (
    *("labels", "task", "multilabel", "metrics", "auc", "value", "low", "high", "decision", "unclear", "roles", "by"),
    *("applies", "per_label", "operating_point", "backbone", "modality", "image", "ecg", "added", "quality", "leads"),
    *("detection", "measurements", "composed", "crop", "tail", "finetuning", "localisation", "top_shown", "limits"),
    *("warnings", "subgroups", "confusion", "calibration", "audit", "stress", "field", "secondary", "split", "adapted"),
)
_PNG = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"sBIT")
_JPEG = (
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xc0",
    b"\xff\xc2",
    b"\xff\xc4",
    b"\xff\xda",
    b"\xff\xdb",
    b"\xff\xdd",
    b"Exif\0\0",
)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"\x11\1", b"\x15\1", b"\x02\1", b"\x03\1", b"\x06\1", b"\x42\1", b"\x53\1")
_MORE = (b"GIF89a", b"\x21\xf9\4", b"RIFF", b"WEBPVP8X", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"P5 ", b"P7\n", b"BM")
_DICOM = (
    *(b"DICM", b"OB", b"OW", b"OF", b"OD", b"SQ", b"UN", b"US", b"\xe0\x7f\x10\0", b"\x28\0\x10\0", b"\x28\0\x11\0"),
    *(b"\x28\0\0\1", b"\x28\0\1\1", b"\x28\0\2\1", b"\x28\0\3\1", b"\x28\0\4\0", b"\x28\0\x08\0", b"\x28\0\x50\x10"),
    *(b"\x28\0\x10\x30", b"\xfe\xff\0\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\0\x54\0\1", b"\0\x54\x10\x10"),
    *(b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.5", b"1.2.840.10008.1.2.4.50"),
    *(b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.90", b"MONOCHROME1", b"YBR_FULL_422", b"PALETTE COLOR", b"RGB"),
)
_HEIF = (
    b"ftyp",
    b"heic",
    b"avif",
    b"meta",
    b"iinf",
    b"iloc",
    b"ipco",
    b"ipma",
    b"ispe",
    b"hvcC",
    b"av1C",
    b"grid",
    b"irot",
)
_NPY = (
    b"\x93NUMPY\1\0",
    b"'descr'",
    b"'fortran_order'",
    b"'shape'",
    b"'<f4'",
    b"'|O'",
    b"'>f8'",
    b"True",
    b"()",
    b"(1,)",
)
_ECG = (b"fs", b"rate", b"leads", b"signal", b"gain", b"time", b"mV", b"uV", b"I", b"II", b"aVR", b"V1", b"Hz", b"ms")
_EDF = (
    b"0       ",
    b"EDF+C",
    b"EDF+D",
    b"\xffBIOSEM",
    b"EDF Annotations ",
    b"BDF Annotations ",
    b"uV      ",
    b"-32768  ",
)
_WFDB = (
    b"r1.dat",
    b" 16 ",
    b" 212 ",
    b" 80 ",
    b" 61 ",
    b" 310 ",
    b" 24 ",
    b" 16x4 ",
    b"200(0)/mV",
    b"/",
    b"+24",
    b"~",
    b"\n",
)
_XLSX = (b"<row", b"<c r=", b"<v>", b"<f>", b't="s"', b't="inlineStr"', b"<si>", b"<t>", b"A1:XFD1048576", b"<!DOCTYPE")
_INFERENCE = (
    *(
        b"inputs",
        b"outputs",
        b"name",
        b"image",
        b"signal",
        b"clinical",
        b"notes",
        b"datatype",
        b"FP32",
        b"UINT8",
        b"BYTES",
    ),
    *(b"shape", b"data", b"parameters", b"binary_data_size", b"binary_data_output", b"\0\0A"),
)
_PLACES = (
    b"latitude",
    b"longitude",
    b"name",
    b"amenity",
    b"coordinates",
    b"Point",
    b"geometry",
    b"elements",
    b"lat",
    b"N",
)
_BOXES = (
    b"bbox",
    b"segmentation",
    b"counts",
    b"shapes",
    b"points",
    b"annotations",
    b"categories",
    b"result",
    b"rotation",
)

TOKENS: dict[str, tuple[bytes, ...]] = {
    "pictures": (*_PNG, *_JPEG, *_TIFF, *_MORE, *_WHOLE),
    "dicom": (*_DICOM, *_WHOLE, *_JPEG, *_NUMBERS),
    "heif": (*_HEIF, *_WHOLE),
    "ecg-text": (*_CELLS, *_NUMBERS, *_ECG),
    "ecg-npz": (*_NPY, *_ECG, *_NUMBERS, *_WHOLE),
    "ecg-edf": (*_EDF, *_NUMBERS, *_ECG),
    "ecg-dicom": (*_DICOM, *_WHOLE, *_NUMBERS),
    "ecg-wfdb": (*_WFDB, *_NUMBERS, *_ECG),
    "table": (*_CELLS, *_NUMBERS, b"label", b"file", b"patient", b"split"),
    "excel": (*_XLSX, *_NUMBERS),
    "annotations": (*_JSON, *_BOXES),
    "facilities": (*_JSON, *_CELLS, *_PLACES),
    "card": (*_JSON, *(word.encode() for word in _CARD)),
    "model": (*_WHOLE, *_JSON, b"medloupe", b"card", b"\x0a", b"\x12", b"\x1a", b"\x2a", b"\x3a"),
    "inference": (*_JSON, *_INFERENCE),
}

PACKAGES: dict[str, tuple[str, ...]] = {
    "pictures": ("PIL", "tifffile"),
    "dicom": ("pydicom",),
    "heif": ("PIL", "pillow_heif"),
    "ecg-npz": ("zipfile",),
    "ecg-edf": ("edfio",),
    "ecg-dicom": ("pydicom",),
    "excel": ("openpyxl", "zipfile"),
}
"""Whose coverage guides, too, beside that of medloupe."""


def dictionary(name: str) -> Iterator[str]:
    """Write the words of a format as lines of libFuzzer's dictionaries."""
    for token in dict.fromkeys(TOKENS[name]):
        yield '"' + "".join(f"\\x{byte:02x}" for byte in token) + '"'
