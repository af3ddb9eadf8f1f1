"""Show DICOM pixels as a viewer first would: modality LUT, window, MONOCHROME1 inverted, colour to RGB.

A window or a table by which next to nothing can be seen is not used, since it belongs to other pixels than these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from medloupe.imaging.check import is_flat
from medloupe.imaging.colourspace import YBR
from medloupe.imaging.facts import Fact
from medloupe.imaging.levels import display_range, row_strips, sample_pixels, scale_to_8bit, to_8bit
from medloupe.imaging.luts import LookupTable, believed_bits, read_table

_PALETTE_BITS = 16
_FLAT_AT = 50_000  # values by which it is told whether anything is seen
_SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}  # PS3.3 C.8.11.3.1.2: which goes with which


def render_pixels(
    pixels: np.ndarray, ds: Dataset, photometric: str, bits: int, frame: int = 0
) -> tuple[np.ndarray, tuple[Fact, ...]]:
    """Render stored values as uint8.

    Parameters
    ----------
    pixels : ndarray, shape (h, w) or (h, w, 3)
        As stored.
    ds : Dataset
        Says what they mean.
    photometric : str
        The photometric interpretation.
    bits : int
        That a sample has.
    frame : int
        Whose they are, from 0.

    Returns
    -------
    shown : ndarray of uint8, shape (h, w) or (h, w, 3)
        Grey, or RGB.
    facts : tuple of Fact
        What was decided.
    """
    if pixels.ndim == 3:
        return _colour(pixels, photometric, bits), ()
    if photometric == "PALETTE COLOR":
        return _palette(pixels, ds)
    return _grey(pixels, ds, photometric, bits, frame)


def _colour(pixels: np.ndarray, photometric: str, bits: int) -> np.ndarray:
    """Turn (h, w, 3) of `bits` a sample into uint8 RGB; more than 8 bits are stretched, all channels together."""
    if pixels.shape[2] != 3:
        raise ValueError(f"{pixels.shape[2]} samples per pixel")
    if photometric != YBR:
        return to_8bit(pixels) if bits > 8 else pixels.astype(np.uint8, copy=False)
    if bits > 8:
        pixels = pixels >> (bits - 8)
    pixels = pixels.astype(np.uint8, copy=False)
    out = np.empty(pixels.shape, np.uint8)
    for rows in row_strips(pixels):
        # Pillow's integer conversion is the full-range one of PS3.3 C.7.6.3.1.2; pydicom's makes float copies.
        strip = pixels[rows]
        ycbcr = Image.frombytes("YCbCr", (strip.shape[1], strip.shape[0]), strip.tobytes())
        out[rows] = np.asarray(ycbcr.convert("RGB"))
    return out


def _palette(pixels: np.ndarray, ds: Dataset) -> tuple[np.ndarray, tuple[Fact, ...]]:
    low, table = int(pixels.min()), _stored_values(pixels)
    colours = apply_color_lut(table[None], ds)[0]  # (values, 3)
    facts: tuple[Fact, ...] = ()
    if (most := int(colours.max())) > 255:
        held = believed_bits(_PALETTE_BITS, most)
        facts = () if held == _PALETTE_BITS else (Fact("table", {"declared": _PALETTE_BITS, "held": held}),)
        colours = colours >> (held - 8)
    return _look_up(colours.astype(np.uint8), pixels, low), facts


def _grey(
    pixels: np.ndarray, ds: Dataset, photometric: str, bits: int, frame: int
) -> tuple[np.ndarray, tuple[Fact, ...]]:
    """Turn stored values (h, w) into uint8, through one table of what each stored value looks like."""
    show = _Display(pixels, ds, photometric, bits, frame)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
        return _look_up(show(_stored_values(pixels)), pixels, int(pixels.min())), tuple(show.facts)
    out = np.empty(pixels.shape, np.uint8)
    for rows in row_strips(pixels):
        out[rows] = show(pixels[rows])
    return out, tuple(show.facts)


def _stored_values(pixels: np.ndarray) -> np.ndarray:
    return np.arange(int(pixels.min()), int(pixels.max()) + 1, dtype=np.int32).astype(pixels.dtype)


def _look_up(table: np.ndarray, pixels: np.ndarray, low: int) -> np.ndarray:
    out = np.empty(pixels.shape + table.shape[1:], np.uint8)
    for rows in row_strips(pixels):
        out[rows] = table[pixels[rows].astype(np.int32) - low]
    return out


_Show = Callable[[np.ndarray], np.ndarray]  # modality values to uint8


def _each_once(refused: list[tuple[_Show, Fact]]) -> list[Fact]:
    return list({fault.code: fault for _, fault in refused}.values())


class _Display:
    """Stored values of any shape to uint8: PS3.4 annex N.2, without the presentation state.

    By the table or the first window in the file by which more than next to nothing is seen. Without one: from the 0.5th
    to the 99.5th percentile of the pixels that are no padding, or as they are where they fit in 8 bits.
    """

    def __init__(self, pixels: np.ndarray, ds: Dataset, photometric: str, bits: int, frame: int):
        self.facts: list[Fact] = []
        self.rescale = _frame_item(ds, "PixelValueTransformationSequence", frame)
        self.inverted = photometric == "MONOCHROME1"
        shape = str(ds.get("PresentationLUTShape") or "")
        if shape in _SHAPES.values() and _SHAPES.get(photometric, shape) != shape:
            self.facts.append(Fact("polarity", {"declared": photometric, "found": shape}))
        self._slope, self._intercept = self._read_rescale()
        values = sample_pixels(pixels)
        self._table = self._read_modality(float(values.min()) if values.size else 0.0)
        padding = ds.get("PixelPaddingValue")
        if isinstance(padding, int):
            kept = values[values != np.array(padding).astype(values.dtype)]
            values = kept if kept.size else values
        self._show = self._choose(pixels, self.modality(values), _frame_item(ds, "FrameVOILUTSequence", frame), bits)

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        shown = self._show(self.modality(stored))
        return 255 - shown if self.inverted else shown

    def modality(self, stored: np.ndarray) -> np.ndarray:
        """Turn stored values into the modality's (Hounsfield units, optical density, ...)."""
        if self._table is not None:
            return self._table.apply(stored)
        if self._slope == 1 and self._intercept == 0:
            return stored
        return stored.astype(np.float64) * self._slope + self._intercept

    def _read_modality(self, lowest: float) -> LookupTable | None:
        items = self.rescale.get("ModalityLUTSequence")
        return read_table(items[0], lowest) if items else None

    def _read_rescale(self) -> tuple[float, float]:
        slope, intercept = self.rescale.get("RescaleSlope"), self.rescale.get("RescaleIntercept")
        if slope is None or intercept is None:
            return 1.0, 0.0
        if not np.isfinite(float(slope)) or float(slope) == 0:
            self.facts.append(Fact("slope", {"declared": f"{float(slope):g}"}))
            slope = 1.0
        return float(slope), float(intercept) if np.isfinite(float(intercept)) else 0.0

    def _choose(self, pixels: np.ndarray, values: np.ndarray, voi: Dataset, bits: int) -> _Show:
        """Choose how values are shown, by a sample (n,) of them."""
        few = values[:: max(1, values.size // _FLAT_AT)]
        refused: list[tuple[_Show, Fact]] = []
        for show, fact, fault in self._list_offers(values, voi):
            if not is_flat(show(few)):
                self.facts += [*_each_once(refused), *([fact] if fact else [])]
                return show
            refused.append((show, fault))
        spread = self._spread(pixels, values, bits)
        if refused and (not few.size or is_flat(spread(few))):  # then what is offered is no worse
            return refused[0][0]
        self.facts += _each_once(refused)
        return spread

    def _spread(self, pixels: np.ndarray, values: np.ndarray, bits: int) -> _Show:
        """Show values as they are or between percentiles of the sample, by the rule of levels.py."""
        low, high = (0.0, 1.0) if bits == 1 else display_range(values)
        if low == high and pixels.dtype.kind in "iu":  # the sample has but one value
            low, high = display_range(self.modality(np.array([pixels.min(), pixels.max()], pixels.dtype)))
        if 1 < bits < 8 and (low, high) == (0.0, 255.0) and values.size and values.max() < 1 << bits:
            high = float((1 << bits) - 1)
        return lambda v: scale_to_8bit(v, low, high)

    def _list_offers(self, values: np.ndarray, voi: Dataset) -> Iterator[tuple[_Show, Fact | None, Fact]]:
        """List what the file offers: how it shows values, what is told where it is taken, and where it is not."""
        if items := voi.get("VOILUTSequence"):
            table = read_table(items[0], float(values.min()) if values.size else 0.0)
            top = (1 << table.bits) - 1
            told = None
            if table.bits != table.declared:
                told = Fact("table", {"declared": table.declared, "held": table.bits})
            yield lambda v: scale_to_8bit(table.apply(v), 0, top), told, Fact("table_flat")
        for window in _windows(voi):
            yield (lambda v, w=window: scale_to_8bit(_apply_window(v, *w), 0, 1)), None, Fact("window")


def _frame_item(ds: Dataset, keyword: str, frame: int) -> Dataset:
    """Find where enhanced multi-frame objects keep what older ones keep at the top: per frame, shared, or `ds`."""
    for groups, at in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        for item in (ds.get(groups) or [])[at : at + 1]:
            if item.get(keyword):
                return item[keyword].value[0]
    return ds


def _windows(ds: Dataset) -> Iterator[tuple[float, float, str]]:
    """List (centre, width, function) of the windows offered, without those that mean nothing."""
    both: list[list[float]] = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = ds.get(keyword)
        if value is None or value == "" or value == []:
            return
        both.append([float(v) for v in ([value] if isinstance(value, (int, float, str)) else value)])
    for centre, width in zip(*both, strict=False):
        if np.isfinite(centre) and np.isfinite(width) and width > 0:
            yield centre, width, str(ds.get("VOILUTFunction") or "LINEAR")


def _apply_window(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """Bring modality values to 0 ... 1, below and above where outside the window: PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    values = values.astype(np.float64)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5
