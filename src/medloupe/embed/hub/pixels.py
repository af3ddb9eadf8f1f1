"""Read how a published network takes its pixels: side, range, mean and deviation, from its preprocessor_config.json.

`transformers` has a class for each kind of preprocessing, which needs torchvision or works one image at a time; a
backbone has them as one multiplication and one addition in its graph. What cannot be said so is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.errors import BackboneError

MOST = 1024  # pixels a side
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of colours in 0..1
_OTHER = ("do_color_quantize", "do_grayscale", "do_thumbnail", "do_convert_annotations")


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How a network takes its pixels.

    Attributes
    ----------
    size : int
        Side in pixels.
    scale, shift : np.ndarray
        float32 (3,), what a byte of each colour is multiplied by and then added to.
    reversed : bool
        Whether the network takes blue first.
    assumed : bool
        Whether mean and deviation were not stated.
    """

    size: int
    scale: np.ndarray
    shift: np.ndarray
    reversed: bool
    assumed: bool


def read_pixel_format(stated: Mapping[str, Any], network: Mapping[str, Any], called: str) -> PixelFormat:
    """Read how a network takes its pixels from its settings.

    Parameters
    ----------
    stated : mapping
        What preprocessor_config.json states; empty where there is none.
    network : mapping
        The network's config.json, for the side.
    called : str
        The network's name for messages.

    Raises
    ------
    BackboneError
        Where it does what a graph of ours cannot, or its side is not to be told.
    """
    if unknown := [key for key in _OTHER if stated.get(key)]:
        raise BackboneError(
            f"{called} wants pixels prepared in a way that is not known here ({', '.join(unknown)}).",
            "Choose another backbone.",
        )
    scale, shift = np.ones(3), np.zeros(3)
    if stated.get("do_rescale", True):
        scale *= _number(stated.get("rescale_factor", 1 / 255), called, "rescale_factor")
        shift -= bool(stated.get("rescale_offset"))
    assumed = False
    if stated.get("do_normalize", "MobileViT" not in _kind(stated)):  # the one kind that never does and says nothing
        given = stated.get("image_mean"), stated.get("image_std")
        assumed = None in given
        mean, deviation = (
            (np.array([_number(x, called, "image_mean") for x in _three(v)]) for v in given)
            if not (assumed)
            else map(np.array, IMAGENET)
        )
        if not deviation.all():
            raise BackboneError(f"{called} states a deviation of 0 for its pixels.", "Its files are damaged.")
        scale, shift = scale / deviation, (shift - mean) / deviation
        if "EfficientNet" in _kind(stated) and stated.get("include_top", True):
            scale, shift = scale / deviation, shift / deviation  # as its authors did, on purpose
    return PixelFormat(
        size=_size(stated, network, called),
        scale=scale.astype(np.float32),
        shift=shift.astype(np.float32),
        reversed=bool(stated.get("do_flip_channel_order")),
        assumed=assumed,
    )


def _size(stated: Mapping[str, Any], network: Mapping[str, Any], called: str) -> int:
    cropped = stated.get("crop_size") if stated.get("do_center_crop", "crop_size" in stated) else None
    for said in (cropped, stated.get("size"), network.get("image_size")):
        sides = {int(_number(x, called, "size")) for x in _sides(said)}
        if not sides:
            continue
        if len(sides) > 1:
            raise BackboneError(f"{called} takes pictures that are not square: {said}.", "Choose another backbone.")
        if 16 <= (size := sides.pop()) <= MOST:
            return size
        raise BackboneError(
            f"{called} takes pictures of {size} pixels a side; 16 to {MOST} are possible.", "Choose another backbone."
        )
    raise BackboneError(
        f"{called} does not say how large its pictures are.", "Its preprocessor_config.json should have a `size`."
    )


def _sides(said: Any) -> list[Any]:
    """List the sides in any of the ways in which they have been written."""
    if isinstance(said, Mapping):
        return [said[k] for k in ("height", "width", "shortest_edge", "longest_edge") if said.get(k) is not None][:2]
    return list(said)[-2:] if isinstance(said, list | tuple) else [] if said is None else [said]


def _three(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) and len(value) == 3 else [value] * 3


def _number(value: Any, called: str, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BackboneError(
            f"{called} states a {key} that is no number: {str(value)[:60]!r}.", "Its files are damaged."
        )
    return float(value)


def _kind(stated: Mapping[str, Any]) -> str:
    return str(stated.get("image_processor_type") or stated.get("feature_extractor_type") or "")
