"""Read samples of more than 8 bits whole: colour and transparency of PNG, TIFF and PPM, and TIFF's rarer numbers.

Pillow keeps the high byte alone of what is not grey. Its unpackers can be asked for either byte, though: of a pixel of
6 or 8 bytes two passes give the high and the low bytes, and one of 2 or 4 bytes is handed over as it is. So all
decompressors, predictors and tiles are Pillow's and libtiff's own, and only the bytes are put together here.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageFile, TiffImagePlugin

from medloupe.imaging import levels

Opener = Callable[[], ImageFile.ImageFile]

_PASSES = {  # bytes a pixel: the mode and the unpackers, the first giving byte 0, 2, 4, ... of each pixel
    2: ("I;16", ("I;16",)),
    4: ("RGBA", ("RGBA",)),
    6: ("RGB", ("RGB;16B", "RGB;16L")),
    8: ("RGBA", ("RGBA;16B", "RGBA;16L")),
}
COST = {2: 8, 4: 16, 6: 17, 8: 24}
"""Bytes that reading and flattening hold at once, by the bytes of a pixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleForm:
    """How a pixel is stored.

    Attributes
    ----------
    dtype : np.dtype
        Of a sample, with its byte order as Pillow's unpackers hand it over.
    samples : int
        A pixel's.
    alpha : {"", "straight", "premultiplied", "unused"}
        What the sample behind grey or colour is.
    inverted : bool
        Whether the lowest value is white.
    """

    dtype: np.dtype
    samples: int
    alpha: str = ""
    inverted: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes a pixel."""
        return self.dtype.itemsize * self.samples

    @property
    def cost(self) -> int:
        """Bytes a pixel that reading it holds at once."""
        return COST[self.nbytes]


def png_form(image: ImageFile.ImageFile) -> SampleForm | None:
    """Find the form of a PNG of 16 bits in colour or with transparency; None of others, which Pillow reads whole."""
    raw = _raw_mode(image)
    samples = {"RGB;16B": 3, "LA;16B": 2, "RGBA;16B": 4}.get(raw)
    if samples is None:
        return None
    return SampleForm(dtype=np.dtype(">u2"), samples=samples, alpha="" if samples == 3 else "straight")


def read_samples(open_again: Opener, form: SampleForm) -> np.ndarray:
    """Read all samples.

    Parameters
    ----------
    open_again : callable
        Opens the file, unread, once for each pass.
    form : SampleForm
        How its pixels are stored.

    Returns
    -------
    ndarray, shape (h, w) or (h, w, samples)
        Of the native byte order.
    """
    mode, unpackers = _PASSES[form.nbytes]
    whole: np.ndarray | None = None
    for k, unpacker in enumerate(unpackers):
        image = open_again()
        image._mode = mode  # type: ignore[attr-defined]
        image.tile = [tile._replace(args=_with_raw_mode(tile.args, unpacker)) for tile in image.tile]
        image.load()
        part = np.asarray(image)
        del image
        if len(unpackers) == 1:
            whole = np.ascontiguousarray(part).view(np.uint8).reshape(*part.shape[:2], form.nbytes)
        else:
            if whole is None:
                whole = np.empty((*part.shape[:2], form.nbytes), np.uint8)
            whole[..., k::2] = part
    assert whole is not None
    values = whole.view(form.dtype)
    return values[..., 0] if form.samples == 1 else values


def flatten_samples(values: np.ndarray, form: SampleForm, key: tuple[int, ...] | None = None) -> np.ndarray:
    """Bring samples to uint8 (h, w) or (h, w, 3), transparency over black; all channels are stretched together.

    Parameters
    ----------
    values : ndarray, shape (h, w) or (h, w, samples)
        As `read_samples` gives them.
    form : SampleForm
        What they mean.
    key : tuple of int, optional
        The colour that a PNG declares transparent.
    """
    if values.ndim == 3:
        colours = values.shape[2] - (form.alpha != "")
        shown = values[..., :colours]
        if form.alpha == "straight":
            shown = _over_black(shown, values[..., -1])
        elif key is not None and len(key) == colours:
            shown = np.where((shown == np.array(key)).all(-1, keepdims=True), 0, shown).astype(shown.dtype)
        values = shown[..., 0] if colours == 1 else shown
    levelled = levels.to_8bit(values)
    return 255 - levelled if form.inverted else levelled


def read_wide_ppm(image: ImageFile.ImageFile, data: bytes) -> np.ndarray | None:
    """Read a colour PPM of more than 8 bits, uint16 (h, w, 3); None of others, which Pillow reads whole."""
    tile = image.tile[0] if image.tile else None
    if tile is None or image.mode != "RGB" or tile.codec_name not in ("ppm", "ppm_plain"):
        return None
    most = tile.args[-1] if isinstance(tile.args, tuple) else tile.args
    if not isinstance(most, int) or most <= 255:
        return None
    count = 3 * image.width * image.height
    if tile.codec_name == "ppm":
        values = np.frombuffer(data, ">u2", count, tile.offset)
    else:
        text = re.sub(rb"#[^\n]*", b" ", data[tile.offset :])
        values = np.array(text.split(maxsplit=count)[:count], np.uint16)
    return values.reshape(image.height, image.width, 3).astype(np.uint16)


def _over_black(shown: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay samples (h, w, n) over black. Alpha may hold fewer bits than its container, as the samples may."""
    most = alpha.max()
    if most == alpha.min():
        return shown  # transparent everywhere, or nowhere
    full = float(most) if alpha.dtype.kind == "f" else (1 << int(most).bit_length()) - 1
    out = np.empty(shown.shape, shown.dtype)
    for rows in levels.row_strips(shown):
        out[rows] = np.rint(shown[rows] * (alpha[rows, :, None] / full))
    return out


def _raw_mode(image: ImageFile.ImageFile) -> str:
    args = image.tile[0].args if image.tile else ""
    found = args[0] if isinstance(args, tuple) and args else args
    return found if isinstance(found, str) else ""


def _with_raw_mode(args: object, unpacker: str) -> object:
    return (unpacker, *args[1:]) if isinstance(args, tuple) else unpacker


# ------------------------------------------------------------------ TIFF

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_FILL_ORDER = 266
_STRIPS, _SAMPLES, _ROWS, _COUNTS, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_COUNTS, _EXTRA, _FORMAT = 322, 323, 324, 325, 338, 339
_KINDS = {1: "u", 2: "i", 3: "f"}
_ALPHAS = {0: "unused", 1: "premultiplied", 2: "straight"}
_KNOWN_TYPES = {("u", 16), ("u", 32), ("i", 16), ("i", 32), ("f", 16), ("f", 32), ("f", 64)}


class DeepTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF whose pixels may have forms that Pillow knows not, or not whole; then `form` says which.

    Such a pixel is declared to Pillow as another one of as many bytes, which `read_samples` takes apart.
    """

    form: SampleForm | None = None
    planes: bool = False

    def _setup(self) -> None:
        form, self.planes = _tiff_form(self.tag_v2)
        self.form = form
        if form is not None:
            n = 1 if self.planes else form.samples
            bits = {2: (16,), 4: (8,) * 4, 6: (16,) * 3, 8: (16,) * 4}[form.dtype.itemsize * n]
            self.tag_v2[_BITS], self.tag_v2[_SAMPLES], self.tag_v2[_FORMAT] = bits, len(bits), (1,) * len(bits)
            self.tag_v2[_PHOTOMETRIC] = 1 if len(bits) == 1 else 2
            self.tag_v2[_EXTRA] = (2,)
            if len(bits) < 4:
                del self.tag_v2[_EXTRA]
            self.tag_v2[_PLANAR] = 1
        super()._setup()
        if form is not None and self.use_load_libtiff:  # which hands over the machine's own byte order
            self.form = replace(form, dtype=form.dtype.newbyteorder("="))


def _tiff_form(tags: TiffImagePlugin.ImageFileDirectory_v2) -> tuple[SampleForm | None, bool]:
    """Find the form that Pillow does not read whole, and whether its samples lie in planes; None of others."""
    photometric = tags.get(_PHOTOMETRIC, 0)
    bits, kinds, extra = tags.get(_BITS, (1,)), tags.get(_FORMAT, (1,)), tags.get(_EXTRA, ())
    samples = tags.get(_SAMPLES, len(bits))
    dtype = (_KINDS.get(kinds[0], ""), bits[0])
    colours = {0: 1, 1: 1, 2: 3}.get(photometric, 0)
    if dtype not in _KNOWN_TYPES or len(set(bits)) > 1 or len(set(kinds)) > 1 or tags.get(_FILL_ORDER, 1) != 1:
        return None, False
    if samples not in (colours, colours + 1) or not colours:
        return None, False
    alpha = "" if samples == colours else _ALPHAS.get(extra[0] if extra else (2 if colours == 3 else 0), "unused")
    planes = tags.get(_PLANAR, 1) == 2 and samples > 1
    if not planes and dtype[1] // 8 * samples not in _PASSES:
        return None, False
    order = "<" if tags.prefix == b"II" else ">"
    made = np.dtype(f"{order}{dtype[0]}{dtype[1] // 8}")
    return SampleForm(dtype=made, samples=samples, alpha=alpha, inverted=photometric == 0), planes


def split_planes(data: bytes, image: DeepTiff) -> list[bytes]:
    """Make of a TIFF whose samples lie in planes one TIFF for each plane, of the same strips or tiles.

    Raises
    ------
    ValueError
        Where they cannot be told apart.
    """
    tags, form = image.tag_v2, image.form
    assert form is not None
    where, sizes = (_TILES, _TILE_COUNTS) if _TILES in tags else (_STRIPS, _COUNTS)
    offsets, counts = tuple(tags.get(where, ())), tuple(tags.get(sizes, ()))
    each = len(offsets) // form.samples
    if not each or len(offsets) != each * form.samples or len(counts) != len(offsets):
        raise ValueError("planes that cannot be told apart")
    common = {
        tag: (int(tags[tag]),)
        for tag in (_WIDTH, _HEIGHT, _COMPRESSION, _ROWS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT)
        if tag in tags
    }
    kind = {"u": 1, "i": 2, "f": 3}[form.dtype.kind]
    common |= {_BITS: (8 * form.dtype.itemsize,), _PHOTOMETRIC: (1,), _SAMPLES: (1,), _FORMAT: (kind,)}
    order = "<" if tags.prefix == b"II" else ">"
    made = []
    for k in range(form.samples):
        part = slice(k * each, (k + 1) * each)
        made.append(_with_directory(data, order, {**common, where: offsets[part], sizes: counts[part]}))
    return made


def _with_directory(data: bytes, order: str, tags: dict[int, tuple[int, ...]]) -> bytes:
    """Put another first directory, all of whose values are long integers, behind a TIFF's bytes."""
    start = len(data) + len(data) % 2
    values_at = start + 2 + 12 * len(tags) + 4
    entries, values = [], b""
    for tag in sorted(tags):
        packed = struct.pack(f"{order}{len(tags[tag])}I", *tags[tag])
        if len(packed) > 4:
            at = struct.pack(f"{order}I", values_at + len(values))
            values += packed
        else:
            at = packed
        entries.append(struct.pack(f"{order}HHI", tag, 4, len(tags[tag])) + at)
    head = data[:4] + struct.pack(f"{order}I", start)
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    return head + data[8:] + bytes(len(data) % 2) + directory + values


def open_tiff(data: bytes) -> DeepTiff:
    """Open a TIFF."""
    return DeepTiff(io.BytesIO(data))


def read_tiff(data: bytes, image: DeepTiff, page: int) -> np.ndarray:
    """Read the samples of a TIFF whose `form` is not None. page: counted from 0."""
    form = image.form
    assert form is not None

    def again(bytes_: bytes, at: int) -> Opener:
        def opened() -> ImageFile.ImageFile:
            found = open_tiff(bytes_)
            if at:
                found.seek(at)
            return found

        return opened

    if not image.planes:
        return read_samples(again(data, page), form)
    parts = []
    for plane in split_planes(data, image):
        grey = open_tiff(plane)
        assert grey.form is not None
        parts.append(read_samples(again(plane, 0), grey.form))
    return np.stack(parts, -1)
