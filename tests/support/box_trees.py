"""The same few boxes, written as each annotation tool writes them: a.png has two, b.png one, c.png none, d.png is not
annotated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from medloupe.data.records import Box
from readers_cases import write

SIZES = {"a.png": (60, 40), "b.png": (50, 50), "c.png": (40, 60), "d.png": (40, 40)}
BOXES: dict[str, tuple[Box, ...]] = {
    "a.png": (Box("WBC", 10, 5, 20, 10), Box("RBC", 30, 20, 8, 8)),
    "b.png": (Box("RBC", 0, 0, 10, 10),),
    "c.png": (),
}
NAMES = ("RBC", "WBC")


def pictures(root: Path, folder: str = "images", names: Mapping[str, tuple[int, int]] = SIZES) -> None:
    """Pictures that all differ, of the sizes told."""
    for k, (name, size) in enumerate(names.items()):
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(k).integers(0, 255, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(path)


def coco_document(folder: str = "", first: int = 1) -> dict:
    images = [
        {"id": k, "file_name": f"{folder}{name}", "width": SIZES[name][0], "height": SIZES[name][1]}
        for k, name in enumerate(BOXES)
    ]
    marks = [
        {
            "id": 10 * k + j,
            "image_id": k,
            "category_id": first + NAMES.index(box.label),
            "bbox": [box.x, box.y, box.width, box.height],
            "iscrowd": 0,
        }
        for k, name in enumerate(BOXES)
        for j, box in enumerate(BOXES[name])
    ]
    categories = [{"id": first + k, "name": name} for k, name in enumerate(NAMES)]
    return {"images": images, "annotations": marks, "categories": categories}


def coco(root: Path) -> None:
    pictures(root)
    write(root / "annotations" / "instances.json", json.dumps(coco_document()))


def yolo_text(name: str, names: tuple[str, ...] = NAMES) -> str:
    width, height = SIZES[name]
    return "\n".join(
        f"{names.index(b.label)} {(b.x + b.width / 2) / width:.6f} {(b.y + b.height / 2) / height:.6f}"
        f" {b.width / width:.6f} {b.height / height:.6f}"
        for b in BOXES[name]
    )


def yolo(root: Path) -> None:
    pictures(root)
    for name in BOXES:
        write(root / "labels" / f"{Path(name).stem}.txt", yolo_text(name))
    write(root / "data.yaml", "nc: 2\nnames: ['RBC', 'WBC']  # two\ntrain: images\n")


def voc_text(name: str, filename: str = "", database: str = "Unknown") -> str:
    width, height = SIZES[name]
    objects = "".join(
        f"<object><name>{b.label}</name><bndbox><xmin>{b.x}</xmin><ymin>{b.y}</ymin><xmax>{b.x + b.width}</xmax>"
        f"<ymax>{b.y + b.height}</ymax></bndbox></object>\n"
        for b in BOXES[name]
    )
    return (
        f"<annotation><folder>x</folder><filename>{filename or name}</filename><source><database>{database}</database>"
        f"</source><size><width>{width}</width><height>{height}</height><depth>3</depth></size>{objects}</annotation>"
    )


def voc(root: Path) -> None:
    pictures(root, "JPEGImages")
    for name in BOXES:
        write(root / "Annotations" / f"{Path(name).stem}.xml", voc_text(name))


def csv(root: Path) -> None:
    pictures(root)
    rows = ["file,label,x,y,w,h"]
    rows += [f"images/{n},{b.label},{b.x},{b.y},{b.width},{b.height}" for n, boxes in BOXES.items() for b in boxes]
    write(root / "boxes.csv", "\n".join([*rows, "images/c.png,,,,,"]))


def csv_shares(root: Path) -> None:
    pictures(root)
    rows = ["filename,class,xmin,ymin,xmax,ymax"]
    for name, boxes in BOXES.items():
        w, h = SIZES[name]
        rows += [
            f"{name},{b.label},{b.x / w:.6f},{b.y / h:.6f},{(b.x + b.width) / w:.6f},{(b.y + b.height) / h:.6f}"
            for b in boxes
        ]
    write(root / "_annotations.csv", "\n".join([*rows, "c.png,,,,,"]))


def labelme(root: Path) -> None:
    pictures(root)
    for name, boxes in BOXES.items():
        width, height = SIZES[name]
        shapes = [
            {"label": b.label, "shape_type": "rectangle", "points": [[b.x + b.width, b.y], [b.x, b.y + b.height]]}
            for b in boxes
        ]
        held = {"version": "5.0", "shapes": shapes, "imagePath": f"..\\images\\{name}", "imageData": "A" * 100}
        held |= {"imageHeight": height, "imageWidth": width}
        write(root / "json" / f"{Path(name).stem}.json", json.dumps(held))


def cvat(root: Path) -> None:
    pictures(root)
    images = "".join(
        f'<image id="{k}" name="{name}" width="{SIZES[name][0]}" height="{SIZES[name][1]}">'
        + "".join(
            f'<box label="{b.label}" occluded="0" xtl="{b.x}" ytl="{b.y}" xbr="{b.x + b.width}"'
            f' ybr="{b.y + b.height}"></box>'
            for b in boxes
        )
        + "</image>\n"
        for k, (name, boxes) in enumerate(BOXES.items())
    )
    labels = "".join(f"<label><name>{name}</name></label>" for name in NAMES)
    write(
        root / "annotations.xml",
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task><labels>{labels}'
        f"</labels></task></meta>{images}</annotations>",
    )


def label_studio(root: Path) -> None:
    pictures(root)
    tasks = []
    for k, (name, boxes) in enumerate(BOXES.items()):
        w, h = SIZES[name]
        results = [
            {
                "type": "rectanglelabels",
                "original_width": w,
                "original_height": h,
                "value": {
                    "x": 100 * b.x / w,
                    "y": 100 * b.y / h,
                    "width": 100 * b.width / w,
                    "height": 100 * b.height / h,
                    "rotation": 0,
                    "rectanglelabels": [b.label],
                },
            }
            for b in boxes
        ]
        data = {"image": f"/data/upload/1/0a1b2c3d-{name}"}
        tasks.append({"id": k, "data": data, "annotations": [{"result": results, "was_cancelled": False}]})
    tasks.append({"id": 9, "data": {"image": "/data/upload/1/0a1b2c3e-d.png"}, "annotations": []})
    write(root / "project.json", json.dumps(tasks))


def masks(root: Path) -> None:
    """Colours of a table: the only masks that tell kinds apart by name."""
    pictures(root)
    write(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nWBC:255,0,0::\nRBC:0,255,0::\n")
    colours = {"WBC": (255, 0, 0), "RBC": (0, 255, 0)}
    for name, boxes in BOXES.items():
        width, height = SIZES[name]
        pixels = np.zeros((height, width, 3), np.uint8)
        for box in boxes:
            pixels[
                int(box.y) : int(box.y + box.height),
                int(box.x) : int(box.x + box.width),
            ] = colours[box.label]
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / "masks" / name)


TREES: Mapping[str, Callable[[Path], None]] = {
    "COCO": coco,
    "YOLO": yolo,
    "Pascal VOC": voc,
    "table": csv,
    "table of shares": csv_shares,
    "LabelMe": labelme,
    "CVAT": cvat,
    "Label Studio": label_studio,
    "masks": masks,
}
