"""Arrays as base64 of their bytes, little endian, for JSON; read back trusting nothing."""

from __future__ import annotations

import base64

import numpy as np


def as_text(values: np.ndarray, dtype: str) -> str:
    """The array as base64. dtype: as which numbers, such as "<f2"."""
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


def decoded(text: str, dtype: str, what: str) -> np.ndarray:
    """The numbers (n,) of such a text. what: to call it in errors. Raises ValueError."""
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype)
    except ValueError as e:  # no base64, or no whole number of values
        raise ValueError(f"{what} are no base64 of {np.dtype(dtype).name}") from e


def of_size(text: object, size: int, dtype: str, what: str, fits: str) -> np.ndarray:
    """As decoded, of just `size` finite numbers. fits: what they must fit, in words. Raises ValueError."""
    if not isinstance(text, str) or len(text) != 4 * -(-np.dtype(dtype).itemsize * size // 3):
        raise ValueError(f"{what} do not fit {fits}")
    values = decoded(text, dtype, what)
    if len(values) != size or not np.isfinite(values).all():
        raise ValueError(f"{what} hold values that are no numbers")
    return values
