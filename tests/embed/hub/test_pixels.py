"""How published networks take their pixels, against transformers' own preprocessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import transformers

from medloupe.embed.hub.pixels import MOST, PixelFormat, read_pixel_format
from medloupe.errors import BackboneError

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)


def applied(given: PixelFormat) -> np.ndarray:
    """float32 (3, S, S), as the graph has it."""
    x = IMAGE.transpose(2, 0, 1).astype(np.float32)
    x = x * given.scale[:, None, None] + given.shift[:, None, None]
    return x[::-1] if given.reversed else x


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("ViTImageProcessorPil", {}),
        ("ViTImageProcessorPil", {"image_mean": [0.1, 0.5, 0.3], "image_std": [0.2, 0.3, 0.9]}),
        ("ConvNextImageProcessorPil", {}),
        ("BitImageProcessorPil", {"do_normalize": False}),
        ("MobileNetV1ImageProcessorPil", {"rescale_factor": 1 / 127}),
        ("MobileViTImageProcessorPil", {}),  # blue first, no normalisation
        ("EfficientNetImageProcessorPil", {"image_std": [0.47, 0.47, 0.47]}),  # divides twice
        ("EfficientNetImageProcessorPil", {"include_top": False, "rescale_offset": True}),
    ],
)
def test_as_transformers_prepares_them(kind: str, options: dict[str, Any]) -> None:
    theirs = getattr(transformers, kind)(
        do_resize=False, do_center_crop=False, size={"height": 32, "width": 32}, **options
    )
    want = theirs(IMAGE, return_tensors="np")["pixel_values"][0]
    given = read_pixel_format(theirs.to_dict(), {}, "x")
    assert given.size == 32
    assert not given.assumed
    np.testing.assert_allclose(applied(given), want, atol=1e-5)


@pytest.mark.parametrize(
    ("stated", "network", "size"),
    [
        ({"size": 224}, {}, 224),
        ({"size": {"height": 48, "width": 48}}, {"image_size": 96}, 48),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, {}, 224),
        ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": True}, {}, 224),
        ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": False}, {}, 256),
        ({"size": [64, 64]}, {}, 64),
        ({}, {"image_size": 96}, 96),
        ({}, {"image_size": [96, 96]}, 96),
    ],
)
def test_the_side(stated: dict[str, Any], network: dict[str, Any], size: int) -> None:
    assert read_pixel_format(stated, network, "x").size == size


def test_what_is_not_stated_is_assumed_and_said() -> None:
    given = read_pixel_format({}, {"image_size": 32}, "x")
    assert given.assumed
    want = (IMAGE / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(applied(given), want.transpose(2, 0, 1), atol=1e-5)
    assert not read_pixel_format({"do_normalize": False, "size": 32}, {}, "x").assumed


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, "does not say how large"),
        ({"size": {"height": 48, "width": 64}}, "not square"),
        ({"size": MOST + 1}, "16 to 1024"),
        ({"size": 0}, "16 to 1024"),
        ({"size": "large"}, "no number"),
        ({"size": 32, "image_mean": ["a", "b", "c"], "image_std": [1, 1, 1]}, "no number"),
        ({"size": 32, "image_mean": [0, 0, 0], "image_std": [1, 0, 1]}, "deviation of 0"),
        ({"size": 32, "rescale_factor": float("nan")}, "no number"),
        ({"size": 32, "do_color_quantize": True}, "do_color_quantize"),
    ],
)
def test_refused(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(BackboneError, match=said) as error:
        read_pixel_format(stated, {}, "odd")
    assert "odd" in error.value.message
    assert error.value.hint
