"""Show DICOM pixels as a viewer first would: modality LUT, window, MONOCHROME1 inverted, colour to RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from medloupe.imaging.levels import display_range, row_strips, sample_pixels, scale_to_8bit


def render_pixels(pixels: np.ndarray, ds: Dataset, photometric: str, bits: int) -> np.ndarray:
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

    Returns
    -------
    ndarray of uint8, shape (h, w) or (h, w, 3)
        Grey, or RGB.
    """
    if pixels.ndim == 3:
        return _colour(pixels, photometric, bits)
    if photometric == "PALETTE COLOR":
        return _palette(pixels, ds)
    return _grey(pixels, ds)


def _colour(pixels: np.ndarray, photometric: str, bits: int) -> np.ndarray:
    """Turn (h, w, 3) of `bits` a sample into uint8 RGB."""
    if pixels.shape[2] != 3:
        raise ValueError(f"{pixels.shape[2]} samples per pixel")
    if bits > 8:
        pixels = pixels >> (bits - 8)
    pixels = pixels.astype(np.uint8, copy=False)
    if not photometric.startswith("YBR_FULL"):
        return pixels
    out = np.empty(pixels.shape, np.uint8)
    for rows in row_strips(pixels):
        # Pillow's integer conversion is the full-range one of PS3.3 C.7.6.3.1.2; pydicom's makes float copies.
        strip = pixels[rows]
        ycbcr = Image.frombytes("YCbCr", (strip.shape[1], strip.shape[0]), strip.tobytes())
        out[rows] = np.asarray(ycbcr.convert("RGB"))
    return out


def _palette(pixels: np.ndarray, ds: Dataset) -> np.ndarray:
    low, table = int(pixels.min()), _stored_values(pixels)
    colours = apply_color_lut(table[None], ds)[0]  # (values, 3)
    if colours.max() > 255:
        colours = colours >> 8
    return _look_up(colours.astype(np.uint8), pixels, low)


def _grey(pixels: np.ndarray, ds: Dataset) -> np.ndarray:
    """Turn stored values (h, w) into uint8, through one table of what each stored value looks like."""
    show = _Display(pixels, ds)
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
        return _look_up(show(_stored_values(pixels)), pixels, int(pixels.min()))
    out = np.empty(pixels.shape, np.uint8)
    for rows in row_strips(pixels):
        out[rows] = show(pixels[rows])
    return out


def _stored_values(pixels: np.ndarray) -> np.ndarray:
    return np.arange(int(pixels.min()), int(pixels.max()) + 1, dtype=np.int32).astype(pixels.dtype)


def _look_up(table: np.ndarray, pixels: np.ndarray, low: int) -> np.ndarray:
    out = np.empty(pixels.shape + table.shape[1:], np.uint8)
    for rows in row_strips(pixels):
        out[rows] = table[pixels[rows].astype(np.int32) - low]
    return out


class _Display:
    """Stored values of any shape to uint8: PS3.4 annex N.2, without the presentation state.

    Without a window in the file: from the 0.5th to the 99.5th percentile of the pixels that are no padding,
    or as they are where they fit in 8 bits.
    """

    def __init__(self, pixels: np.ndarray, ds: Dataset):
        self.ds = ds
        self.rescale = _first_frame_item(ds, "PixelValueTransformationSequence")
        self.voi = _first_frame_item(ds, "FrameVOILUTSequence")
        self.inverted = ds.PhotometricInterpretation == "MONOCHROME1"
        self.window = _window(self.voi)
        self.range = (0.0, 1.0)
        if self.window is None and ds.get("BitsStored") != 1:
            values = sample_pixels(pixels)
            padding = ds.get("PixelPaddingValue")
            if isinstance(padding, int):
                kept = values[values != np.array(padding).astype(values.dtype)]
                values = kept if kept.size else values
            self.range = display_range(self.modality(values))

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        values = self.modality(stored)
        if self.voi.get("VOILUTSequence"):
            bits = self.voi.VOILUTSequence[0].LUTDescriptor[2]
            shown = scale_to_8bit(apply_voi(np.rint(values).astype(np.int32), self.voi), 0, 2**bits - 1)
        elif self.window is not None:
            shown = scale_to_8bit(_apply_window(values, *self.window), 0, 1)
        else:
            shown = scale_to_8bit(values, *self.range)
        return 255 - shown if self.inverted else shown

    def modality(self, stored: np.ndarray) -> np.ndarray:
        """Turn stored values into the modality's (Hounsfield units, optical density, ...)."""
        if self.rescale.get("ModalityLUTSequence"):
            return apply_modality_lut(stored, self.rescale)
        slope, intercept = self.rescale.get("RescaleSlope"), self.rescale.get("RescaleIntercept")
        if slope is None or intercept is None or (slope == 1 and intercept == 0):
            return stored
        return stored.astype(np.float64) * float(slope) + float(intercept)


def _first_frame_item(ds: Dataset, keyword: str) -> Dataset:
    """Find where enhanced multi-frame objects keep what older ones keep at the top: per frame, shared, or `ds`."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for item in (ds.get(groups) or [])[:1]:
            if item.get(keyword):
                return item[keyword].value[0]
    return ds


def _window(ds: Dataset) -> tuple[float, float, str] | None:
    """Return (centre, width, function), the first where several are offered; None where absent or meaningless."""
    both: list[float] = []
    for keyword in ("WindowCenter", "WindowWidth"):
        value = ds.get(keyword)
        if value is None or value == "" or value == []:
            return None
        both.append(float(value if isinstance(value, (int, float, str)) else value[0]))
    centre, width = both
    if not (np.isfinite(centre) and np.isfinite(width) and width > 0):
        return None
    return centre, width, str(ds.get("VOILUTFunction") or "LINEAR")


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
