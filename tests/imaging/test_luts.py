"""Lookup tables of DICOM whose descriptor and data contradict each other."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicoms import RAMP, dicom
from medloupe.imaging import decode
from medloupe.imaging.luts import believed_bits, unpack_entries


def table(values: np.ndarray, declared: int, first: int = 0, vr: str = "OW") -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "US", [len(values) & 0xFFFF, first, declared])
    item.add_new(0x00283006, vr, values.tobytes() if vr == "OW" else values.tolist())
    return Sequence([item])


def shown(tags: dict[str, object], pixels: np.ndarray = RAMP) -> tuple[np.ndarray, list[str]]:
    picture = decode.decode_picture(dicom(pixels, **{"BitsStored": 12, "HighBit": 11, **tags}))
    return np.asarray(picture.image).astype(int), [fact.code for fact in picture.facts]


ENTRIES = np.arange(4096)


@pytest.mark.parametrize("tags", [{}, {"PhotometricInterpretation": "MONOCHROME1"}])
@pytest.mark.parametrize(
    ("held", "declared", "vr", "facts"),
    [
        (12, 12, "OW", []),
        (12, 16, "OW", ["table"]),
        (10, 16, "OW", ["table"]),
        (14, 16, "OW", ["table"]),
        (16, 12, "OW", ["table"]),
        (16, 16, "US", []),
        (12, 16, "US", ["table"]),
        (8, 8, "OW", []),
        (8, 16, "OW", ["table"]),
    ],
)
def test_a_table_is_scaled_by_what_it_holds(
    held: int, declared: int, vr: str, facts: list[str], tags: dict[str, object]
) -> None:
    values = (ENTRIES << 4 >> (16 - held)).astype(np.uint16)
    levels, codes = shown({"VOILUTSequence": table(values, declared, vr=vr), **tags})
    expected = np.rint(values[RAMP].astype(int) * (255 / (2**held - 1)))
    assert np.abs(levels - (255 - expected if tags else expected)).max() <= 1
    assert codes == facts


def test_entries_of_8_bits_fill_a_byte_each() -> None:
    values = (ENTRIES >> 4).astype(np.uint8)
    levels, codes = shown({"VOILUTSequence": table(values, 8)})
    np.testing.assert_array_equal(levels, values[RAMP])
    assert codes == []
    odd = np.arange(255, dtype=np.uint8)
    np.testing.assert_array_equal(unpack_entries(odd.tobytes() + b"\0", 255, little=True), odd)
    words = values.view("<u2").astype(int).tolist()
    np.testing.assert_array_equal(unpack_entries(words, 4096, little=True), values)
    np.testing.assert_array_equal(unpack_entries(values.astype(">u2").tobytes(), 4096, little=False), values)


def test_a_table_that_is_dark_on_purpose_stays_so() -> None:
    """It uses more than a quarter of its depth, so nothing is contradicted."""
    values = (ENTRIES // 2).astype(np.uint16)
    levels, codes = shown({"VOILUTSequence": table(values, 12)})
    assert (levels.max(), codes) == (127, [])
    assert [believed_bits(16, most) for most in (65535, 40000, 20000, 16383, 4095)] == [16, 16, 16, 14, 12]


def test_a_table_that_leaves_nothing_to_see_is_not_used() -> None:
    levels, codes = shown({"VOILUTSequence": table(np.full(4096, 3000, np.uint16), 12)})
    np.testing.assert_array_equal(levels, decode.decode(RAMP)[..., 0])
    assert codes == ["table_flat"]
    window = {"WindowCenter": 2048, "WindowWidth": 2000}
    both, codes = shown({"VOILUTSequence": table(np.full(4096, 9, np.uint16), 12), **window})
    np.testing.assert_array_equal(both, shown(window)[0])
    assert codes == ["table_flat"]


def test_modality_tables_go_by_the_same_rules() -> None:
    values = (ENTRIES[::-1] >> 4).astype(np.uint8)
    levels, _ = shown({"ModalityLUTSequence": table(values, 8)})
    np.testing.assert_array_equal(levels, values[RAMP])


def test_first_value_may_be_negative() -> None:
    signed = (RAMP.astype(np.int16) - 2048).astype(np.int16)
    tags = {"PixelRepresentation": 1, "VOILUTSequence": table(ENTRIES.astype(np.uint16), 12, first=65536 - 2048)}
    levels, _ = shown(tags, signed)
    assert np.abs(levels - np.rint(RAMP * (255 / 4095))).max() <= 1


@pytest.mark.parametrize(("held", "facts"), [(16, []), (12, ["table"]), (8, [])])
def test_palettes_are_scaled_by_what_they_hold(held: int, facts: list[str]) -> None:
    entries = (np.arange(256) * 257 >> (16 - held)).astype(np.uint16)
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR", "BitsStored": 8, "HighBit": 7}
    for colour, scale in (("Red", 1.0), ("Green", 0.5), ("Blue", 0.0)):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{colour}PaletteColorLookupTableData"] = (entries * scale).astype(np.uint16).tobytes()
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    levels, codes = shown(tags, pixels)
    assert np.abs(levels[..., 0] - pixels).max() <= 1
    assert np.abs(levels[..., 1] - pixels / 2).max() <= 1
    assert (levels[..., 2].max(), codes) == (0, facts)
