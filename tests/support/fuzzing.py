"""What reads bytes from elsewhere, each as a target for damaged input: it reads them or refuses on purpose.

What was read must hold what its reader promises, and be the same when it is read again. `hammer` gives a target files
damaged from sound ones, the same for the same seed. benchmarks/fuzz.py runs all of it by hand, and fuzz_guided.py
there does guided by coverage; a twentieth runs as a test.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import tostring

import numpy as np

import ecgmaker
import ecgwriters
import mutations
import pictures
from medloupe.errors import MedloupeError
from medloupe.serving.http.errors import HttpError

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

SIDE = 224  # pixels to which pictures are fitted
SLOWEST = 2.0  # seconds that one file may take
MEMORY = 400  # MiB by which one file may raise the peak; a server's decoders may take less beside what they are given


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A reader of files: `run` takes one, and raises what is raised on purpose, or AssertionError of a broken promise.

    Attributes
    ----------
    seeds : callable
        Sound files to begin with.
    run : callable
        Returns what it read, as bytes or text that are the same whenever the same file is read.
    suffixes : tuple of str
        Of further files, from a folder, that it can begin with.
    """

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], object]
    suffixes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How many files were read and refused, the slowest in seconds, the largest growth in MiB, and what went wrong."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    largest: int = 0
    faults: list[str] | None = None

    def note(self, what: str) -> None:
        self.faults = [*(self.faults or ()), what]


def try_one(target: Target, data: bytes, outcome: Outcome, called: str, *, again: bool = False) -> None:
    """Give a target one file, and note how it went. again: twice, where it is read."""
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        told = target.run(data)
        outcome.read += 1
        if again and told != target.run(data):
            outcome.note(f"{called}: read otherwise the second time")
    except (MedloupeError, HttpError):
        outcome.refused += 1
    except Exception as e:
        outcome.note(f"{called}: {type(e).__name__}: {str(e)[:200]}")
    spent = (time.process_time() - began) / (1 + again)
    outcome.slowest = max(outcome.slowest, spent)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    outcome.largest = max(outcome.largest, grown)
    if grown > MEMORY:
        outcome.note(f"{called}: {grown} MiB of memory")
    if spent > SLOWEST:
        outcome.note(f"{called}: {spent:.1f} s of the processor")


def warm(target: Target) -> Sequence[bytes]:
    """Give a target its sound files, and return them: what is imported when first needed is no file's doing."""
    seeds = target.seeds()
    for data in seeds:
        with contextlib.suppress(MedloupeError, HttpError):
            target.run(data)
    return seeds


def hammer(name: str, count: int, seed: int) -> Outcome:
    """Give a target count damaged files."""
    target, outcome = TARGETS[name], Outcome()
    seeds = warm(target)
    for data in seeds:  # so that what follows is about damage; some bundled DICOM files are refused as they are
        try_one(target, data, outcome, "sound")
    if outcome.refused > len(seeds) / 4:
        outcome.note(f"{outcome.refused} of {len(seeds)} sound files are refused")
    outcome.read = outcome.refused = 0
    outcome.slowest, outcome.largest = 0.0, 0
    rng = np.random.default_rng(seed)
    for number in range(count):
        at = int(rng.integers(len(seeds)))
        data = mutations.damage(seeds[at], rng, seeds[int(rng.integers(len(seeds)))])
        try_one(target, data, outcome, f"seed {seed}, file {number} from {at}", again=number % 4 == 0)
    return outcome


def _picture(data: bytes) -> object:
    from medloupe.imaging.decode import decode_picture

    picture = decode_picture(data, min_side=SIDE)
    pixels = picture.fit(SIDE)
    assert pixels.shape == (SIDE, SIDE, 3), pixels.shape
    assert pixels.dtype == np.uint8, pixels.dtype
    assert picture.width > 0 < picture.height
    measures = picture.measure()
    return pixels.tobytes(), repr(measures), picture.facts


def _ecg_named(name: str) -> Callable[[bytes], object]:
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


def _wfdb(data: bytes) -> object:
    """The header, then the samples, parted by two zero bytes and an A."""
    header, _, samples = data.partition(b"\0\0A")
    return _ecg({"r1.hea": header, "r1.dat": samples})


def _table_named(name: str) -> Callable[[bytes], object]:
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


def _facilities(data: bytes) -> object:
    from medloupe.facilities.reading import Told, read_facilities

    name = "places.geojson" if data[:1] in (b"{", b"[") else "places.csv"
    with _file(name, data) as path:
        lists, notes = read_facilities(path, Told(source="fuzzed", licence="none", date="2026-01-01"))
    for place in (place for found in lists for place in found.places):
        assert abs(place.lat) <= 90, place
        assert abs(place.lon) <= 180, place
    return [found.places for found in lists], [note.replace(str(path.parent), "") for note in notes]


def _annotations(data: bytes) -> object:
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


def _card(data: bytes) -> object:
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


def _model(data: bytes) -> object:
    from medloupe.modelfile.card import parse_card

    return repr(parse_card(data, "model.onnx"))


def _inference(data: bytes) -> object:
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


def _pictures(*kinds: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [data for kind in kinds for _, data in mutations.sound_files()[kind]]


@cache
def _signal() -> ecgmaker.Signal:
    return ecgmaker.ecg(ecgmaker.even(6.0), 6.0, 250.0, ("I", "II", "V1"))


def _text_seeds() -> Sequence[bytes]:
    return [
        ecgwriters.text(_signal(), time=1.0),
        ecgwriters.text(_signal(), separator=";", decimal=",", time=1.0),
        ecgwriters.text(_signal(), separator="\t", time=1000.0, header="time (ms)\tI (mV)\tII (mV)\tV1 (mV)"),
    ]


def _npz_seeds() -> Sequence[bytes]:
    samples = _signal().samples.astype(np.float32)
    whole = {"fs": _signal().rate, "leads": list(_signal().leads)}
    packed = io.BytesIO()
    np.savez_compressed(packed, signal=samples, fs=_signal().rate)
    return [ecgwriters.npz(signal=samples, **whole), ecgwriters.npz(ecg=samples.T, **whole), packed.getvalue()]


def _edf_seeds() -> Sequence[bytes]:
    return [ecgwriters.edf(_signal()), ecgwriters.edf(_signal(), bdf=True)]


def _wfdb_seeds() -> Sequence[bytes]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for form in ("16", "212", "80"):
            header = ecgwriters.wfdb_record(_signal(), Path(folder) / form, form=form)
            made.append(header.read_bytes() + b"\0\0A" + header.with_suffix(".dat").read_bytes())
    return made


def _table_seeds() -> Sequence[bytes]:
    rows = "\n".join(f"images/{i:03d}.png;{'ab'[i % 2]};{40 + i},5;P{i // 3}" for i in range(30))
    return [
        f"file;label;age;patient\n{rows}\n".encode("utf-8-sig"),
        f"file,label,age,patient\n{rows}\n".replace(",5", ".5").replace(";", ",").encode("utf-16"),
        b'"a.png","x, y",1\n"b.png","z ""q""",2\n',
    ]


def _card_seeds() -> Sequence[bytes]:
    from medloupe.starter import shipped

    return [json.dumps(dict(shipped.load_shipped(name).card)).encode() for name in ("pneumonia", "arrhythmia")]


def _model_seeds() -> Sequence[bytes]:
    import tiny
    from medloupe.modelfile.writer import write_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(tiny.model(Path(folder)), path)
        return [path.read_bytes()]


def _inference_seeds() -> Sequence[bytes]:
    files = b"".join(len(f).to_bytes(4, "little") + f for f in (b"one", b"", b"three"))
    named = {"name": "image", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(files)}}
    text = json.dumps({"id": "7", "inputs": [named], "outputs": [{"name": "logits"}]}).encode()
    pixels = {"name": "image", "datatype": "UINT8", "shape": [1, 2, 2, 3], "data": list(range(12))}
    signal = {"name": "signal", "datatype": "FP32", "shape": [1, 2, 3], "data": [[0.1, 0.2, 0.3], [1, 2, 3]]}
    return [
        text + b"\0\0A" + files,
        json.dumps({"inputs": [pixels, {**signal, "name": "clinical", "shape": [1, 6]}]}).encode(),
        json.dumps({"inputs": [signal]}).encode(),
    ]


def _heif_seeds() -> Sequence[bytes]:
    import pillow_heif

    made = []
    for image in (pictures.photo(96, 64), pictures.photo(96, 64).convert("L")):
        out = io.BytesIO()
        pillow_heif.from_pillow(image).save(out, quality=70)
        made.append(out.getvalue())
    return [*made, pictures.encode(pictures.photo(96, 64), "AVIF")]


def _excel_seeds() -> Sequence[bytes]:
    import openpyxl

    made = []
    for titles in ((), ("Images of the clinic",)):
        book = openpyxl.Workbook()
        for row in (titles, ("file", "label", "age"), *((f"{i}.png", "ab"[i % 2], 40 + i) for i in range(9))):
            if row:
                book.active.append(row)
        book.create_sheet("notes").append(["seen", True, 0.5])
        out = io.BytesIO()
        book.save(out)
        made.append(out.getvalue())
    return made


def _facility_seeds() -> Sequence[bytes]:
    place = {"amenity": "hospital", "name": "Nord", "beds": "40", "phone": "+33 1 23"}
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [2.5, 48.5]}, "properties": place}
    rows = "".join(f"Clinic {i};4{i},5;2,{i}5;clinic;{i}\n" for i in range(9))
    overpass = {"elements": [{"type": "node", "id": 7, "lat": 1.5, "lon": -3.25, "tags": place}]}
    return [
        json.dumps({"type": "FeatureCollection", "features": [point] * 3}).encode(),
        f"name;latitude;longitude;type;beds\n{rows}".encode(),
        json.dumps(overpass).encode(),
    ]


def _annotation_seeds() -> Sequence[bytes]:
    shape = {"label": "cell", "points": [[3, 4], [30, 40]], "shape_type": "rectangle"}
    marked = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 40.5], "area": 1215, "iscrowd": 0}
    pictured = {"id": 1, "file_name": "a.png", "width": 64, "height": 48}
    value = {"x": 1, "y": 2, "width": 30, "height": 40.5, "rotation": 0, "rectanglelabels": ["cell"]}
    result = {"type": "rectanglelabels", "value": value, "original_width": 64, "original_height": 48}
    task = {"id": 1, "data": {"image": "/data/upload/a.png"}, "annotations": [{"id": 1, "result": [result]}]}
    return [
        json.dumps({"images": [pictured], "annotations": [marked], "categories": [{"id": 2, "name": "x"}]}).encode(),
        json.dumps({"version": "5", "shapes": [shape], "imagePath": "a.png", "imageHeight": 48}).encode(),
        json.dumps([task, task]).encode(),
        b"<annotation><size><width>9</width></size><object><name>cell</name></object></annotation>",
    ]


_IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
TARGETS: dict[str, Target] = {
    "pictures": Target(
        seeds=_pictures("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM"), run=_picture, suffixes=_IMAGES
    ),
    "dicom": Target(seeds=_pictures("DICOM"), run=_picture, suffixes=(".dcm", ".ima")),
    "heif": Target(seeds=_heif_seeds, run=_picture, suffixes=(".heic", ".avif")),
    "ecg-text": Target(seeds=_text_seeds, run=_ecg_named("r1.csv"), suffixes=(".csv", ".txt")),
    "ecg-npz": Target(seeds=_npz_seeds, run=_ecg_named("r1.npz"), suffixes=(".npz",)),
    "ecg-edf": Target(seeds=_edf_seeds, run=_ecg_named("r1.edf"), suffixes=(".edf", ".bdf")),
    "ecg-dicom": Target(seeds=lambda: [ecgwriters.dicom_waveform(_signal())], run=_ecg_named("r1.dcm")),
    "ecg-wfdb": Target(seeds=_wfdb_seeds, run=_wfdb),
    "table": Target(seeds=_table_seeds, run=_table_named("labels.csv"), suffixes=(".csv", ".tsv", ".txt")),
    "excel": Target(seeds=_excel_seeds, run=_table_named("labels.xlsx"), suffixes=(".xlsx",)),
    "annotations": Target(seeds=_annotation_seeds, run=_annotations, suffixes=(".json", ".xml")),
    "facilities": Target(seeds=_facility_seeds, run=_facilities),
    "card": Target(seeds=_card_seeds, run=_card),
    "model": Target(seeds=_model_seeds, run=_model),
    "inference": Target(seeds=_inference_seeds, run=_inference),
}
