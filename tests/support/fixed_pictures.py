"""Draw pictures that are the same on every machine: with whole numbers, and noise from NumPy's frozen RandomState.

What lies in a file may still depend on the libraries that write it, so digests go by what was drawn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CR_IMAGE = "1.2.840.10008.5.1.4.1.1.1"


def noise(seed: int, low: int, high: int, *shape: int) -> np.ndarray:
    """Whole numbers from low up to, but not including, high: int64 of that shape."""
    return np.random.RandomState(seed).randint(low, high, shape, dtype=np.int64)


def array_digest(values: np.ndarray) -> str:
    return hashlib.sha256(str((values.shape, values.dtype.str)).encode() + values.tobytes()).hexdigest()[:16]


def digest(arrays: Mapping[str, np.ndarray] | Iterable[np.ndarray]) -> str:
    """Of arrays, with their shapes and types."""
    values = arrays.values() if isinstance(arrays, Mapping) else arrays
    return hashlib.sha256("".join(map(array_digest, values)).encode()).hexdigest()[:16]


def _places(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(height)[:, None], np.arange(width)[None]


def _within(height: int, width: int, y: int, x: int, ry: int, rx: int) -> np.ndarray:
    """Where an ellipse of those radii lies, bool (height, width)."""
    yy, xx = _places(height, width)
    return ((yy - y) * rx) ** 2 + ((xx - x) * ry) ** 2 <= (ry * rx) ** 2


def _smooth(values: np.ndarray, times: int) -> np.ndarray:
    """Whole numbers (h, w), each the mean of itself and its neighbours, rounded down, so many times over."""
    for _ in range(times):
        wide = np.pad(values, 1, mode="edge")
        values = (4 * values + wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) // 8
    return values


def _colours(grey: np.ndarray, red: int, green: int, blue: int) -> np.ndarray:
    """uint8 (h, w, 3): grey 0 … 255 as shades of one colour."""
    return np.clip(grey[..., None] * np.array([red, green, blue]) // 255, 0, 255).astype(np.uint8)


def gradient() -> np.ndarray:
    yy, xx = _places(200, 300)
    return np.stack(np.broadcast_arrays(yy * 255 // 199, xx * 255 // 299, (yy + xx) * 255 // 498), 2).astype(np.uint8)


def shapes() -> np.ndarray:
    """Discs and boxes in plain colours, uint8 (480, 640, 3)."""
    picture = np.full((480, 640, 3), 235, np.uint8)
    for k, (y, x, side) in enumerate(noise(1, 30, 110, 14, 3).tolist()):
        place = (y * 37 + k * 61) % 420, (x * 53 + k * 97) % 560
        colour = np.array([k * 53 % 256, k * 101 % 256, k * 197 % 256], np.uint8)
        if k % 2:
            picture[_within(480, 640, *place, side // 2, side // 3)] = colour
        else:
            picture[place[0] : place[0] + side, place[1] : place[1] + side // 2] = colour
    return picture


def cell(*, parasite: bool) -> np.ndarray:
    """A stained red blood cell on black, uint8 (142, 130, 3); with a parasite, a violet ring in it."""
    h, w = 142, 130
    picture = _colours(_smooth(noise(2, 190, 256, h, w), 20), 225, 165, 180)
    if parasite:
        ring = _within(h, w, 60, 74, 13, 12) & ~_within(h, w, 60, 74, 6, 5)
        picture[ring | _within(h, w, 66, 84, 5, 5)] = (110, 40, 130)
    picture[~_within(h, w, 71, 65, 64, 58)] = 0
    return picture


def chest(height: int, width: int, opaque: bool = False) -> np.ndarray:
    """A chest as an X-ray shows it: whole numbers 0 … 4095 (height, width)."""
    yy, _ = _places(height, width)
    base = 2600 + _smooth(noise(3, -700, 700, height, width), 6) - abs(yy - height // 2) * 1200 // height
    for k, side in enumerate((1, -1)):
        middle = width // 2 + side * width // 5
        lung = _within(height, width, height // 2, middle, height // 3, width // 7)
        base -= 1500 * lung
        ribs = (yy * 14 // height) % 2 == 0
        base += 260 * (lung & ribs)
        if opaque and k == 0:
            base += 900 * _within(height, width, height * 5 // 8, middle, height // 9, width // 10)
    base += 700 * _within(height, width, height * 5 // 8, width * 9 // 16, height // 7, width // 8)
    base -= 2300 * ~_within(height, width, height // 2, width // 2, height * 6 // 10, width * 5 // 10)
    return np.clip(_smooth(base, 4), 0, 4095)


def brain() -> np.ndarray:
    """A slice of a head with a bright mass, uint8 (256, 256)."""
    head = _within(256, 256, 128, 128, 112, 92)
    grey = 70 + _smooth(noise(4, -60, 60, 256, 256), 2)
    grey += 90 * (head & ~_within(256, 256, 128, 128, 104, 84))
    grey -= 45 * (_within(256, 256, 118, 112, 30, 9) | _within(256, 256, 118, 144, 30, 9))
    grey += 95 * _within(256, 256, 92, 160, 20, 17)
    return np.clip(np.where(head, grey, 4), 0, 255).astype(np.uint8)


def fundus() -> np.ndarray:
    """The back of an eye with bright spots, uint8 (400, 420, 3)."""
    h, w = 400, 420
    yy, xx = _places(h, w)
    shade = 205 + _smooth(noise(5, -40, 40, h, w), 5) - ((yy - 200) ** 2 + (xx - 210) ** 2) // 700
    for k in range(1, 5):
        shade = shade - 60 * (abs((xx - 300) ** 2 // (60 * k) + 130 + 25 * k - yy) < 3)
    picture = _colours(np.clip(shade, 0, 255), 235, 120, 50)
    picture[_within(h, w, 195, 300, 30, 27)] = (250, 225, 150)
    for y, x in noise(6, 90, 300, 12, 2).tolist():
        picture[_within(h, w, y, x, 4, 5)] = (240, 215, 110)
    picture[~_within(h, w, 200, 210, 196, 200)] = 0
    return picture


def lesion() -> np.ndarray:
    """A dark spot on skin, uint8 (300, 400, 3)."""
    h, w = 300, 400
    edge = _smooth(noise(7, -900, 900, h, w), 12)
    yy, xx = _places(h, w)
    spot = (yy - 150) ** 2 + (xx - 190) ** 2 * 2 // 3 + 12 * edge < 6500
    grey = np.clip(215 + edge // 8 - 120 * spot, 0, 255)
    return np.where(spot[..., None], _colours(grey, 200, 140, 110), _colours(grey, 245, 190, 170))


def ultrasound() -> np.ndarray:
    """Speckle around a dark lesion, uint8 (360, 480)."""
    grey = _smooth(noise(8, 0, 12, 360, 480) ** 2 * 2, 1) - _places(360, 480)[0] // 8
    grey = grey - 70 * _within(360, 480, 150, 250, 45, 70)
    return np.clip(grey + 35, 0, 255).astype(np.uint8)


def dicom(levels: np.ndarray, path: Path) -> None:
    """An X-ray of 12 bits, MONOCHROME1, with a window."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CR_IMAGE
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    ds.Modality, ds.PatientID = "CR", "p1"
    ds.Rows, ds.Columns = levels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME1"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds.WindowCenter, ds.WindowWidth = 1900, 3300
    ds.PixelData = (4095 - levels).astype("<u2").tobytes()
    ds.save_as(path, enforce_file_format=True)


def pictures(folder: Path) -> dict[str, str]:
    """Draw and write them all; the digest of what was drawn, by the file's name."""
    folder.mkdir(parents=True)
    drawn: dict[str, np.ndarray] = {}

    def save(name: str, pixels: np.ndarray, image: Image.Image | None = None, **options: object) -> None:
        drawn[name] = pixels
        (image or Image.fromarray(pixels)).save(folder / name, **options)

    xray, opaque = chest(420, 512), chest(420, 512, opaque=True)
    save("gradient.png", gradient())
    save("noise.png", noise(9, 0, 256, 224, 224, 3).astype(np.uint8))
    save("shapes.png", shapes())
    save("palette.png", shapes(), Image.fromarray(shapes()).quantize(16, Image.Quantize.MEDIANCUT, dither=0))
    save("small.gif", shapes()[::20, ::20, 0])
    save("cell.png", cell(parasite=False))
    save("parasite.bmp", cell(parasite=True))
    save("chest.png", (xray // 16).astype(np.uint8))
    save("opaque.tif", (opaque // 16).astype(np.uint8))
    save("deep.png", (xray * 16).astype(np.uint16))
    save("brain.png", brain())
    save("fundus.webp", fundus(), lossless=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: the camera was held upright
    save("turned.jpg", lesion(), quality=92, exif=turned)
    save("large.jpg", np.repeat(np.repeat(lesion(), 5, 0), 5, 1), quality=85)
    save("ultrasound.png", ultrasound())
    clear = np.dstack([fundus(), np.where(fundus().any(2), 255, 0).astype(np.uint8)])
    save("clear.png", clear)
    drawn["chest.dcm"] = opaque
    dicom(opaque, folder / "chest.dcm")
    drawn["cut.png"] = brain()
    whole = (folder / "brain.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    return {name: array_digest(pixels) for name, pixels in sorted(drawn.items())}


# -------------------------------------------------------------- to train on


def tissue(number: int, sick: bool) -> np.ndarray:
    """Cloudy tissue, uint8 (64, 64); sick has a bright spot in it, too faint to see in every third."""
    grey = 90 + _smooth(noise(100 + number, -140, 140, 64, 64), 4)
    if sick:
        y, x, radius = (*noise(1000 + number, 14, 50, 2).tolist(), 3 + number % 4)
        grey = grey + (9 if number % 3 == 0 else 55) * _within(64, 64, y, x, radius, radius)
    return np.clip(grey, 0, 255).astype(np.uint8)


def labelled_pictures(folder: Path, each: int = 18) -> Path:
    """A folder a class."""
    for label in ("clear", "spot"):
        (folder / label).mkdir(parents=True)
        for i in range(each):
            Image.fromarray(tissue(2 * i + (label == "spot"), label == "spot")).save(folder / label / f"{i:02}.bmp")
    return folder


def unlabelled_pictures(folder: Path, number: int = 4) -> list[Path]:
    """Pictures of the same kind that no training has seen."""
    folder.mkdir(parents=True)
    made = [folder / f"{i}.bmp" for i in range(number)]
    for i, path in enumerate(made):
        Image.fromarray(tissue(900 + i, bool(i % 2))).save(path)
    return made


def labelled_table(folder: Path, rows: int = 40) -> Path:
    """Pictures, and a table with patient, age, sex and a note beside each, which all say something of the label."""
    (folder / "images").mkdir(parents=True)
    complaints = ("no complaint", "dry cough", "short of breath", "fever and cough")
    lines = ["file,label,patient,age,sex,note"]
    for i in range(rows):
        sick = i % 2
        Image.fromarray(tissue(200 + i, bool(sick))).save(folder / "images" / f"{i:02}.bmp")
        says = [sick if i // 2 % wrong else 1 - sick for wrong in (4, 5)]  # sex and note, each wrong at times
        age = 30 + i * 7 % 40 + 14 * sick if i % 11 else ""
        sex, note = "mf"[says[0]], complaints[2 * says[1] + i // 4 % 2]
        lines.append(f"images/{i:02}.bmp,{('clear', 'spot')[sick]},p{i // 4 * 2 + sick},{age},{sex},{note}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
