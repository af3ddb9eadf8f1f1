"""Sound files of every format that fuzzing begins with, made on the spot."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

import ecgmaker
import ecgwriters
import mutations
import pictures


def of_kinds(*kinds: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [data for kind in kinds for _, data in mutations.sound_files()[kind]]


@cache
def _signal() -> ecgmaker.Signal:
    return ecgmaker.ecg(ecgmaker.even(6.0), 6.0, 250.0, ("I", "II", "V1"))


def text_seeds() -> Sequence[bytes]:
    return [
        ecgwriters.text(_signal(), time=1.0),
        ecgwriters.text(_signal(), separator=";", decimal=",", time=1.0),
        ecgwriters.text(_signal(), separator="\t", time=1000.0, header="time (ms)\tI (mV)\tII (mV)\tV1 (mV)"),
    ]


def npz_seeds() -> Sequence[bytes]:
    samples = _signal().samples.astype(np.float32)
    whole = {"fs": _signal().rate, "leads": list(_signal().leads)}
    packed = io.BytesIO()
    np.savez_compressed(packed, signal=samples, fs=_signal().rate)
    return [ecgwriters.npz(signal=samples, **whole), ecgwriters.npz(ecg=samples.T, **whole), packed.getvalue()]


def edf_seeds() -> Sequence[bytes]:
    return [ecgwriters.edf(_signal()), ecgwriters.edf(_signal(), bdf=True)]


def waveform_seeds() -> Sequence[bytes]:
    return [ecgwriters.dicom_waveform(_signal())]


def wfdb_seeds() -> Sequence[bytes]:
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for form in ("16", "212", "80"):
            header = ecgwriters.wfdb_record(_signal(), Path(folder) / form, form=form)
            made.append(header.read_bytes() + b"\0\0A" + header.with_suffix(".dat").read_bytes())
    return made


def table_seeds() -> Sequence[bytes]:
    rows = "\n".join(f"images/{i:03d}.png;{'ab'[i % 2]};{40 + i},5;P{i // 3}" for i in range(30))
    return [
        f"file;label;age;patient\n{rows}\n".encode("utf-8-sig"),
        f"file,label,age,patient\n{rows}\n".replace(",5", ".5").replace(";", ",").encode("utf-16"),
        b'"a.png","x, y",1\n"b.png","z ""q""",2\n',
    ]


def card_seeds() -> Sequence[bytes]:
    from medloupe.starter import shipped

    return [json.dumps(dict(shipped.load_shipped(name).card)).encode() for name in ("pneumonia", "arrhythmia")]


def model_seeds() -> Sequence[bytes]:
    import tiny
    from medloupe.modelfile.writer import write_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(tiny.model(Path(folder)), path)
        return [path.read_bytes()]


def inference_seeds() -> Sequence[bytes]:
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


def heif_seeds() -> Sequence[bytes]:
    import pillow_heif

    made = []
    for image in (pictures.photo(96, 64), pictures.photo(96, 64).convert("L")):
        out = io.BytesIO()
        pillow_heif.from_pillow(image).save(out, quality=70)
        made.append(out.getvalue())
    return [*made, pictures.encode(pictures.photo(96, 64), "AVIF")]


def excel_seeds() -> Sequence[bytes]:
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


def facility_seeds() -> Sequence[bytes]:
    place = {"amenity": "hospital", "name": "Nord", "beds": "40", "phone": "+33 1 23"}
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [2.5, 48.5]}, "properties": place}
    rows = "".join(f"Clinic {i};4{i},5;2,{i}5;clinic;{i}\n" for i in range(9))
    overpass = {"elements": [{"type": "node", "id": 7, "lat": 1.5, "lon": -3.25, "tags": place}]}
    return [
        json.dumps({"type": "FeatureCollection", "features": [point] * 3}).encode(),
        f"name;latitude;longitude;type;beds\n{rows}".encode(),
        json.dumps(overpass).encode(),
    ]


def annotation_seeds() -> Sequence[bytes]:
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
