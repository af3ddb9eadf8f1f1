"""What reads files from elsewhere, as fuzzing calls it, and what each promises of what it read.

Each takes one file, raises what is raised on purpose or AssertionError of a broken promise, and returns what it read,
the same whenever the same file is read.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import tostring

import numpy as np

from medloupe.errors import MedloupeError

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

SIDE = 224  # pixels to which pictures are fitted


def picture(data: bytes) -> object:
    from medloupe.imaging.decode import decode_picture

    picture = decode_picture(data, min_side=SIDE)
    pixels = picture.fit(SIDE)
    assert pixels.shape == (SIDE, SIDE, 3), pixels.shape
    assert pixels.dtype == np.uint8, pixels.dtype
    assert picture.width > 0 < picture.height
    measures = picture.measure()
    return pixels.tobytes(), repr(measures), picture.facts


def ecg_named(name: str) -> Callable[[bytes], object]:
    return lambda data: _ecg({name: data})


def _ecg(files: dict[str, bytes]) -> object:
    from medloupe.ecg.channels import reading_within
    from medloupe.ecg.files import read_ecg
    from medloupe.ecg.parsers import HOUR
    from medloupe.ecg.signal import RATES

    with reading_within(HOUR):  # as a server reads them
        signal = read_ecg(files)
    assert signal.samples.dtype == np.float32, signal.samples.dtype
    assert signal.samples.ndim == 2, signal.samples.shape
    assert signal.samples.size, signal.samples.shape
    assert len(signal.leads) == len(signal.samples), signal.leads
    assert RATES[0] <= signal.rate <= RATES[1], signal.rate
    assert not np.isinf(signal.samples).any(), "infinite samples"
    known = [lead for lead in signal.leads if lead]
    assert len(set(known)) == len(known), f"a lead twice: {signal.leads}"
    return signal.samples.tobytes(), signal.rate, signal.leads, signal.notes


def wfdb(data: bytes) -> object:
    """The header, then the samples, parted by two zero bytes and an A."""
    header, _, samples = data.partition(b"\0\0A")
    return _ecg({"r1.hea": header, "r1.dat": samples})


def table_named(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        from medloupe.data.readers.sheet import load_sheet

        with _file(name, data) as path:
            sheet = load_sheet(path)
        assert sheet.columns
        assert len(set(sheet.columns)) == len(sheet.columns), sheet.columns
        assert {len(row) for row in sheet.rows} <= {len(sheet.columns)}
        cells = [*sheet.columns, *(cell for row in sheet.rows for cell in row)]
        assert all(isinstance(cell, str) and cell == cell.strip() for cell in cells)
        return sheet.columns, sheet.rows, [note.replace(str(path.parent), "") for note in sheet.notes]

    return read


@contextlib.contextmanager
def _file(name: str, data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def facilities(data: bytes) -> object:
    from medloupe.facilities.reading import Told, read_facilities

    name = "places.geojson" if data[:1] in (b"{", b"[") else "places.csv"
    with _file(name, data) as path:
        lists, notes = read_facilities(path, Told(source="fuzzed", licence="none", date="2026-01-01"))
    for place in (place for found in lists for place in found.places):
        assert abs(place.lat) <= 90, place
        assert abs(place.lon) <= 180, place
    return [found.places for found in lists], [note.replace(str(path.parent), "") for note in notes]


def annotations(data: bytes) -> object:
    from medloupe.data.readers.annotations.documents import iterate_xml, read_json

    if data[:1] == b"<":
        with _file("a.xml", data) as path:
            return [tostring(element) for element in iterate_xml(path)]
    from medloupe.data.readers.annotations import coco, label_studio, labelme

    with _file("a.json", data) as path:
        document = read_json(path, coco.slim)
        if coco.is_coco(document):
            found = coco.read_coco([(path, document)], path.parent)
        elif label_studio.is_label_studio(document):
            found = label_studio.read_label_studio([(path, document)], path.parent)
        elif labelme.is_labelme(document):
            found = labelme.read_labelme([(path, document)], path.parent)
        else:
            raise MedloupeError("no annotations")
    for box in (box for marked in found.pictures for box in marked.boxes):
        assert np.isfinite([box.x, box.y, box.width, box.height]).all(), box
    return repr(found).replace(str(path.parent), "")


def card(data: bytes) -> object:
    """A card is refused, or all that shows it can show it."""
    from medloupe.modelfile.schema import card_fault

    try:
        card = json.loads(data)
        fault = card_fault(card)
    except (ValueError, RecursionError):
        fault = "is no JSON"
    if fault:
        raise MedloupeError(f"Its card {fault}.")
    return _shown(card)


def _shown(card: dict[str, Any]) -> object:
    from medloupe.cli.console import print_card
    from medloupe.report.pages import render
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.web.language import language
    from medloupe.serving.web.tiles import describe_tile

    model = replace(_any_model(), card={**card, "version": card.get("version") or 1})
    tiles = [describe_tile(CheckUp.of(model), language(code)) for code in ("en", "fr")]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        print_card(model)
    page = render({"card": dict(model.card)})
    assert "<html" in page
    return repr(tiles), said.getvalue()


@cache
def _any_model() -> Model:
    from medloupe.starter import shipped

    return shipped.load_shipped("pneumonia")


def model(data: bytes) -> object:
    from medloupe.modelfile.card import parse_card

    return repr(parse_card(data, "model.onnx"))


def inference(data: bytes) -> object:
    from medloupe.serving.api.tensors import parse_request

    text, mark, rest = data.partition(b"\0\0A")
    read = parse_request(text + rest, str(len(text)) if mark else None)
    for numbers in (read.image, *read.beside.values()):
        if isinstance(numbers, np.ndarray):
            assert numbers.size
            assert np.isfinite(numbers).all()
    names = [name for name, _ in read.outputs]
    assert len(set(names)) == len(names), names
    return repr(read)
