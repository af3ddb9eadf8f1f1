"""Which bits of a DICOM word count, and whether they have a sign: as declared, unless the words prove it wrong."""

from __future__ import annotations

import numpy as np
import pytest

from dicoms import dicom
from medloupe.imaging import decode
from medloupe.imaging.stored import resolve_words


def wave(low: int, high: int) -> np.ndarray:
    """Smooth values from low to high, int64 (64, 64)."""
    y, x = np.mgrid[:64, :64] / 63
    shape = (np.sin(3 * x) * np.cos(2 * y) + x) / 2
    shape = (shape - shape.min()) / np.ptp(shape)
    return np.rint(low + shape * (high - low)).astype(np.int64)


def resolved(words: np.ndarray, bits: int, high_bit: int | None = None, overlays: bool = False) -> tuple:
    found = resolve_words(words, bits=bits, high_bit=bits - 1 if high_bit is None else high_bit, overlays=overlays)
    return found.pixels.astype(np.int64), [fact.code for fact in found.facts], found.bits


VALUES = wave(0, 4095)


@pytest.mark.parametrize(
    ("words", "bits", "high_bit", "expected", "facts"),
    [
        (VALUES.astype(np.uint16), 12, 11, VALUES, []),
        ((VALUES << 4).astype(np.uint16), 12, 15, VALUES, []),
        ((VALUES << 4 | 5).astype(np.uint16), 12, 15, VALUES, []),  # overlays below
        ((VALUES << 2).astype(np.uint16), 12, 13, VALUES, []),
        (VALUES.astype(np.uint16), 12, 15, VALUES, ["high_bit"]),  # right-aligned all the same
        (wave(0, 60000).astype(np.uint16), 12, 11, wave(0, 60000), ["bits"]),
        (wave(0, 1000).astype(np.uint16), 16, 15, wave(0, 1000), []),
        (wave(-1000, 1000).astype(np.int16), 12, 11, wave(-1000, 1000), []),
        ((wave(-1000, 1000) & 0xFFF).astype(np.uint16).view(np.int16), 12, 11, wave(-1000, 1000), []),  # not extended
        (wave(0, 4095).astype(np.int16), 12, 11, wave(0, 4095), ["sign"]),  # signed by word alone
        (wave(-1000, 3000).astype(np.int16).view(np.uint16), 16, 15, wave(-1000, 3000), ["sign"]),
        (wave(0, 65535).astype(np.uint16).view(np.int16), 16, 15, wave(0, 65535), ["sign"]),
        (wave(0, 65535).astype(np.uint16), 16, 15, wave(0, 65535), []),
        (wave(0, 255).astype(np.uint8).view(np.int8), 8, 7, wave(0, 255), ["sign"]),
        (wave(-60, 60).astype(np.int8), 8, 7, wave(-60, 60), []),
        (wave(0, 255).astype(np.uint8), 8, 7, wave(0, 255), []),
    ],
)
def test_words(words: np.ndarray, bits: int, high_bit: int, expected: np.ndarray, facts: list[str]) -> None:
    pixels, codes, _ = resolved(words, bits, high_bit)
    np.testing.assert_array_equal(pixels, expected)
    assert codes == facts


def test_low_bits_alone_are_no_picture_however_small_their_range() -> None:
    noise = np.random.default_rng(0).integers(-12, 13, (64, 64))
    values = np.clip(wave(300, 3800) + 16 * noise, 0, 4095)  # neighbours differ by more than 8 bits of them could
    pixels, facts, bits = resolved(values.astype(np.uint16), 8)
    np.testing.assert_array_equal(pixels, values)
    assert (facts, bits) == (["bits"], 12)


def test_overlays_in_the_unused_bits_are_left_alone() -> None:
    """A ring in bit 12, told by OverlayBitPosition or by the picture being smoother without it."""
    ring = (np.abs(np.hypot(*(np.mgrid[:64, :64] - 32)) - 20) < 1).astype(np.int64)
    words = (VALUES | ring << 12).astype(np.uint16)
    for overlays in (False, True):
        pixels, codes, bits = resolved(words, 12, overlays=overlays)
        np.testing.assert_array_equal(pixels, VALUES)
        assert (codes, bits) == ([], 12)


def test_saturated_background_is_no_sign() -> None:
    words = wave(0, 3000).astype(np.uint16)
    words[:20] = 65535
    pixels, codes, _ = resolved(words, 16)
    np.testing.assert_array_equal(pixels, words)
    assert codes == []


def test_noisy_black_and_white_is_no_sign() -> None:
    """Around 0 the two would be neighbours; but a picture's edges have what lies between."""
    rng = np.random.default_rng(5)
    scene = np.where(wave(0, 99) > 50, 65500, 20) + rng.integers(0, 30, (64, 64))
    scene[:, 30:33] = np.linspace(20, 65000, 3)  # one soft edge
    pixels, codes, _ = resolved(scene.astype(np.uint16), 16)
    np.testing.assert_array_equal(pixels, scene)
    assert codes == []


def test_masks_are_no_sign() -> None:
    mask = (wave(0, 9) > 4).astype(np.uint16) * 65535
    assert resolved(mask, 16)[1] == []


def test_a_window_meets_the_values_that_count() -> None:
    """Shifted by four bits, a window of the true values would show nothing but white."""
    window = {"WindowCenter": 2048, "WindowWidth": 4096, "BitsStored": 12}
    plain = decode.decode(dicom(VALUES.astype(np.uint16), HighBit=11, **window))
    high = decode.decode_picture(dicom((VALUES << 4).astype(np.uint16), HighBit=15, **window))
    np.testing.assert_array_equal(np.asarray(high.image), plain[..., 0])
    assert high.facts == ()
    told = decode.decode_picture(dicom(wave(0, 60000).astype(np.uint16), BitsStored=12, HighBit=11))
    assert [fact.text for fact in told.facts] == [
        "The file says 12 bits a value, but they take 16; that counts.",
    ]
    assert np.asarray(told.image).std() > 40


@pytest.mark.parametrize("bits", [2, 4, 6, 7])
def test_fewer_than_8_bits_reach_white(bits: int) -> None:
    values = wave(0, 2**bits - 1).astype(np.uint8)
    shown = decode.decode(dicom(values, BitsStored=bits, HighBit=bits - 1))[..., 0]
    np.testing.assert_array_equal(shown, np.rint(values * (255 / (2**bits - 1))))
