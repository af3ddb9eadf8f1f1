"""Ultralytics' YOLOv8n from random weights (`yolov8n.yaml`): its own weights are downloaded when first used.

    python detect_ultralytics.py DATA OUT.json [--minutes 5]

All as the package has it (mosaic, its optimiser, EMA), but that its validation after each pass is left out, and that it
ends when the minutes of the processor are over: its schedules go by `time`, which counts hours by the clock, so they
are given the passes that fit, from a pass that is timed first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
import torchvision_ops  # noqa: F401  (before torchvision)
from detect_data import Boxes, Clock, Found, arguments, boxes, write
from PIL import Image

os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())

from ultralytics import YOLO

NETWORK = "yolov8n.yaml"
CHECKED = 2  # pictures that it checks itself on after the last pass, which cannot be left out


def laid_out(data: Boxes, folder: Path, root: Path) -> Path:
    """The training pictures as YOLO wants them: images, labels and a data.yaml; its path."""
    for kind in ("images", "labels"):
        for part in ("train", "few"):
            (root / kind / part).mkdir(parents=True)
    for number, name in enumerate(data.learned):
        flat = name.replace("/", "_")
        shutil.copy(folder / name, root / "images" / "train" / flat)
        if number < CHECKED:
            shutil.copy(folder / name, root / "images" / "few" / flat)
        with Image.open(folder / name) as picture:
            wide, high = picture.size
        lines = [
            f"{k} {(x + w / 2) / wide:.6f} {(y + h / 2) / high:.6f} {w / wide:.6f} {h / high:.6f}"
            for k, x, y, w, h in data.of[name]
        ]
        (root / "labels" / "train" / flat).with_suffix(".txt").write_text("\n".join(lines))
    names = "\n".join(f"  {i}: {label}" for i, label in enumerate(data.labels))
    told = root / "data.yaml"
    told.write_text(f"path: {root}\ntrain: images/train\nval: images/few\nnames:\n{names}\n")
    return told


def trained(table: Path, root: Path, passes: int, told: object, clock: Clock | None) -> YOLO:
    """A network after so many passes, or after the minutes of the clock."""
    model = YOLO(NETWORK)
    if clock is not None:

        def end_when_over(trainer: object) -> None:
            clock.say(f"pass {trainer.epoch + 1} of {passes}")
            trainer.stop = trainer.stop or not clock.left()

        model.add_callback("on_fit_epoch_end", end_when_over)
    model.train(
        data=str(table),
        epochs=passes,
        imgsz=told.size,
        batch=told.batch,
        device="cpu",
        workers=0,
        pretrained=False,
        val=False,
        plots=False,
        save=True,
        seed=told.seed,
        project=str(root),
        name=f"of_{passes}",
        verbose=False,
        amp=False,
        exist_ok=True,
    )
    return model


def found(model: YOLO, data: Boxes, folder: Path, size: int) -> Found:
    said: Found = {}
    for name in data.asked:
        (answer,) = model.predict(folder / name, imgsz=size, conf=0.001, iou=0.6, max_det=300, verbose=False)
        rows = zip(answer.boxes.cls, answer.boxes.xyxy, answer.boxes.conf, strict=True)
        said[name] = [
            [data.labels[int(k)], float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1]), float(p)]
            for k, b, p in rows
        ]
    return said


def main() -> None:
    told = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    data = boxes(told.data)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        table = laid_out(data, told.data, root)
        first = Clock(told.minutes)
        trained(table, root, 1, told, None)
        passes = max(1, int(told.minutes / first.spent()))
        clock = Clock(told.minutes)
        model = trained(table, root, passes, told, clock)
        minutes, last = clock.spent(), root / f"of_{passes}" / "weights" / "last.pt"
        answers = found(YOLO(last) if last.is_file() else model, data, told.data, told.size)
    write(told.out, minutes, passes, answers, "ultralytics YOLOv8n, random weights")


if __name__ == "__main__":
    main()
