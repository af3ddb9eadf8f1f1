"""Kinds of pictures seen by the shared backbone, as they are and as the field changes them: what the shipped check-ups
learn to tell their own kind from.

A sight is the embedding of a picture; sights of a data set are kept in a file under the home folder, since thousands of
pictures, each in a dozen ways, take minutes. Only embeddings are kept, never pictures.
"""

from __future__ import annotations

import hashlib
import inspect
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import medloupe
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session, run
from medloupe.imaging import corruptions, rephotograph
from medloupe.imaging.corruptions import CORRUPTIONS, limit_size
from medloupe.imaging.decode import FITTING, decode, decode_picture, load
from medloupe.imaging.photo import PhotoRequest
from medloupe.model.contrast import Contrast
from medloupe.model.novelty import Novelty
from medloupe.model.sketch import sketch
from medloupe.training.audit.findings import audit
from medloupe.training.heads.contrast import FOLDS, fit_contrast
from medloupe.utils.files import write_atomically
from terms import NOT_OPEN

KINDS: Mapping[str, str] = {
    "chest_pneumonia": "chest X-ray",
    "chest_findings": "chest X-ray",
    "chest_heart_size": "chest X-ray",
    "covid_cxr": "chest X-ray",
    "malaria": "blood cell",
    "malaria_colour": "blood cell",
    "blood_cells": "blood smear",
    "brain_mri": "brain MRI",
    "brain_boxes": "brain MRI",
    "fundus_idrid": "fundus",
    "fundus": "fundus",
    "breast_ultrasound": "breast ultrasound",
    "breast_idc": "breast histology",
    "oct": "retinal OCT",
    "ecg_images": "ECG report",
    "bone_boxes": "bone X-ray",
    "skin": "dermoscopy",
    "contradictions": "dermoscopy",
    "monkeypox": "photograph of skin",
    "polyp_boxes": "colonoscopy",
    "cervical_cells": "cervical smear",
    "head_ct": "head CT",
    "cats_dogs": "everyday photograph",
    "drawn": "drawn",
}
"""What kind of picture each data set holds."""
LABELS = {
    "chest_findings": "labels",
    "chest_findings_more": "labels",
    "brain_boxes": "label",
    "chest_nodule": "label",
    "polyp_boxes": "label",
}
COLOURLESS = "greyscale"  # no change that a picture of a coloured kind must survive
USED = tuple(
    c for c in CORRUPTIONS if c.name not in ("jpeg-60", "jpeg-30", "blur-mild", "noise-mild", "turned-5", "crop-5")
)
"""The stronger of the changes: who bears these bears the weaker."""
MOST, CHANGED = 400, 80  # pictures of a data set; of these as changed
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png"),
    *("motorcycle_left.png", "rocket.jpg", "text.png", "page.png", "gravel.png", "logo.png"),
)
QUARTERED = 7  # of these, the first, the corners count too
_BATCH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sights:
    """plain: (N, D) embeddings of a data set's pictures, of `groups` (N,). changed: by change, those of rows `rows`."""

    plain: np.ndarray
    groups: np.ndarray
    rows: np.ndarray
    changed: Mapping[str, np.ndarray]

    def part(self, inside: np.ndarray) -> Sights:
        """Of the pictures in a mask (N,)."""
        place = np.cumsum(inside) - 1
        kept = inside[self.rows]
        return Sights(
            plain=self.plain[inside],
            groups=self.groups[inside],
            rows=place[self.rows[kept]],
            changed={name: e[kept] for name, e in self.changed.items()},
        )

    @classmethod
    def join(cls, parts: Sequence[Sights]) -> Sights:
        """Of several data sets; their groups are numbered each for itself, and count apart."""
        starts = np.cumsum([0, *(len(part.plain) for part in parts)])
        names = parts[0].changed
        return cls(
            plain=np.concatenate([part.plain for part in parts]),
            groups=np.concatenate([np.char.add(f"{i}:", part.groups) for i, part in enumerate(parts)]),
            rows=np.concatenate([part.rows + start for part, start in zip(parts, starts, strict=False)]),
            changed={name: np.concatenate([part.changed[name] for part in parts]) for name in names},
        )

    def all(self, without: Sequence[str] = ()) -> np.ndarray:
        """Everything, as float32 (M, D)."""
        changed = [e for name, e in self.changed.items() if name not in without]
        return np.concatenate([self.plain, *changed]).astype(np.float32)


def gathered(data: Path, home: Path, names: Sequence[str] = tuple(KINDS)) -> dict[str, Sights]:
    """Sights of these data sets; what lies under home already is taken from there."""
    found = {}
    for name in names:
        pictures, groups = drawn_pictures() if name == "drawn" else pictures_of(data / name)
        kept = home / "kinds" / f"{name}-{_key(pictures, groups)}.npz"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            _write(kept, _looked(pictures, groups))
        found[name] = _read(kept)
    return found


def _key(pictures: Sequence[Path | np.ndarray], groups: Sequence[str]) -> str:
    """All that sights depend on, in short."""
    made = hashlib.sha256(f"{backbone().sha256} {FITTING} {CHANGED} {[c.name for c in USED]}".encode())
    for module in (corruptions, rephotograph):
        made.update(inspect.getsource(module).encode())
    for picture, group in zip(pictures, groups, strict=True):
        content = picture.tobytes() if isinstance(picture, np.ndarray) else picture.read_bytes()
        made.update(hashlib.sha256(content).digest() + group.encode())
    return made.hexdigest()[:16]


def contrasted(
    novelty: Novelty,
    own: Sights,
    alike: Sequence[Sights],
    others: Sequence[Sights],
    cut: Mapping[str, np.ndarray] | None = None,
) -> Novelty:
    """The same with a contrast. own: pictures like those it was fitted on. alike: of its kind from elsewhere. others:
    of other kinds. Each set weighs as much as it brings pictures. cut: embeddings of its own as photographs were made
    of them and the app cut them out again (`see_cut`): for these there is to be room, too."""

    def sketched(embedding: np.ndarray) -> np.ndarray:
        return sketch(embedding.astype(np.float32), novelty.levels)

    without = [] if _grey(own) else [COLOURLESS]
    elsewhere = [sketched(s.plain) for s in alike]  # changed as well, they would widen its own kind too much
    outside = np.concatenate([sketched(s.all()) for s in others])

    def boundary(part: Sights) -> Contrast:
        return fit_contrast(np.concatenate([sketched(part.all(without)), *elsewhere]), outside)

    _, member = np.unique(own.groups, return_inverse=True)
    fold = (np.random.default_rng(0).permutation(member.max() + 1) % FOLDS)[member]
    sides = [boundary(own.part(fold != f)).side(sketched(own.plain[fold == f])) for f in range(FOLDS)]
    changed = {name: sketched(e) for name, e in own.changed.items() if name not in without}
    changed[""] = sketched(own.plain)
    changed |= {name: sketched(e) for name, e in (cut or {}).items()}
    apart = np.concatenate(sides)  # of its own pictures, each by a boundary drawn without its group
    drawn = boundary(own)
    moved = drawn.shift(apart)
    return replace(
        novelty,
        contrast=moved.with_room({n: novelty.distance(z) for n, z in changed.items()}, changed),
        own_refused=max(novelty.own_refused, float((apart + moved.bias - drawn.bias <= 0).mean())),
    )


def see_cut(folders: Sequence[Path]) -> dict[str, np.ndarray]:
    """Embeddings (n, D) of CHANGED pictures of each folder, photographed and cut out again as the app does it."""
    ways = [c for c in CORRUPTIONS if c.name in ("screen", "lightbox")]
    pictures = [limit_size(decode(p)) for folder in folders for p in pictures_of(folder, most=CHANGED)[0]]
    return {f"{way.name}, cut": embedded([_cut(way(picture)) for picture in pictures]) for way in ways}


def _cut(photograph: np.ndarray) -> np.ndarray:
    return np.asarray(decode_picture(photograph, photo=PhotoRequest(mode="auto")).image.convert("RGB"))


def _grey(sights: Sights) -> bool:
    """Whether taking the colour away changes nothing, or little."""
    taken = sights.changed.get(COLOURLESS)
    if taken is None or not len(taken):
        return True
    apart = np.linalg.norm((taken - sights.plain[sights.rows]).astype(np.float32), axis=1)
    return bool(np.median(apart) < 0.1 * np.median(np.linalg.norm(sights.plain.astype(np.float32), axis=1)))


def pictures_of(folder: Path, most: int | None = MOST) -> tuple[list[Path | np.ndarray], list[str]]:
    """At most so many pictures of a set by whole patients, and the group of each: what the audit holds together."""
    data = medloupe.read(folder, labels=LABELS.get(folder.name))
    if folder.name in NOT_OPEN:
        column, values = NOT_OPEN[folder.name]
        data = replace(data, records=tuple(r for r in data.records if r.columns.get(column) not in values))
    group = [r.patient or r.id for r in data.records]
    rank = {g: i for i, g in enumerate(np.random.default_rng(0).permutation(sorted(set(group))).tolist())}
    rows = sorted(range(len(group)), key=lambda i: (rank[group[i]], i))[:most]
    part = replace(data, records=tuple(data.records[i] for i in rows))
    features = embed(scan_dataset(part), backbone())
    groups = dict(zip((r.id for r in features.data.records), audit(features).groups.tolist(), strict=True))
    readable = [r for r in part.records if r.id in groups]
    return [r.image for r in readable], [str(groups[r.id]) for r in readable]


def drawn_pictures() -> tuple[list[Path | np.ndarray], list[str]]:
    """Noise, plain colours, slopes, pages of text, charts and shapes: pictures of no kind; and what stands for skin."""
    rng = np.random.default_rng(0)
    pictures: list[Path | np.ndarray] = []
    for i in range(40):
        noise = rng.integers(0, 256, (rng.integers(100, 400), rng.integers(100, 400), 3), np.uint8)
        pictures.append(noise if i % 2 else np.asarray(Image.fromarray(noise).convert("L")))
    pictures += [np.full((200, 260, 3), rng.integers(0, 256, 3), np.uint8) for _ in range(30)]
    for _ in range(20):
        slope = np.linspace(0, 1, 256)[:, None, None] * rng.integers(50, 256, 3)
        pictures.append(np.broadcast_to(slope, (256, 256, 3)).astype(np.uint8))
    pictures += [_page(rng) for _ in range(60)] + [_chart(rng) for _ in range(50)]
    pictures += [_skin(rng) for _ in range(150)]
    return pictures, [str(i) for i in range(len(pictures))]


def everyday_photographs() -> list[np.ndarray]:
    """The photographs among scikit-image's files, and corners of the large ones."""
    import skimage

    folder, pictures = Path(skimage.__file__).parent / "data", []
    for number, name in enumerate(PHOTOGRAPHS):
        whole = np.asarray(Image.open(folder / name).convert("RGB"))
        pictures.append(whole)
        if number < QUARTERED:
            h, w = (side // 2 for side in whole.shape[:2])
            pictures += [whole[:h, :w], whole[h:, w:], whole[:h, w:]]
    return pictures


def _page(rng: np.random.Generator) -> np.ndarray:
    w, h = (620, 877) if rng.random() < 0.5 else (900, 600)
    page = Image.new("RGB", (w, h), tuple(int(v) for v in rng.integers(215, 256, 3)))
    draw, font, y = ImageDraw.Draw(page), ImageFont.load_default(size=int(rng.integers(10, 30))), 20
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
    while y < h - 30:
        words = ("".join(rng.choice(letters, int(rng.integers(2, 10)))) for _ in range(int(rng.integers(2, 14))))
        draw.text((int(rng.integers(10, 60)), y), " ".join(words), fill=(20, 20, 30), font=font)
        y += int(rng.integers(16, 60))
    return np.asarray(page)


_SPOTS = ((150, 70, 60), (90, 55, 40), (190, 110, 100), (60, 45, 50))  # colours


def _blob(x: np.ndarray, y: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """How much each place belongs to a round thing with an uneven edge around the origin, 0 to 1."""
    angle = np.arctan2(y, x)
    edge = 1 + sum(rng.uniform(0, 0.2 / k) * np.sin(k * angle + rng.uniform(0, 6.3)) for k in range(2, 6))
    steep = (np.hypot(x, y) / (radius * edge) - 1) * rng.uniform(6, 25)
    return 1 / (1 + np.exp(np.clip(steep, -30, 30)))


def _skin(rng: np.random.Generator) -> np.ndarray:
    """Skin with spots, as close photographs and dermatoscopes show it: none of the open sets holds any."""
    w, h = (int(v) for v in rng.integers(200, 500, 2))
    dark = rng.random()
    tone = np.array([235, 195, 170]) * (1 - dark) + np.array([110, 70, 50]) * dark + rng.normal(0, 12, 3)
    y, x = np.mgrid[:h, :w].astype(np.float32) / max(w, h)
    image = np.broadcast_to(tone, (h, w, 3)).astype(np.float32).copy()
    for scale in (4, 12, 40):  # blotches, texture, pores
        grain = rng.normal(0, 1, (scale * h // max(w, h) + 2, scale * w // max(w, h) + 2)).astype(np.float32)
        blown = np.asarray(Image.fromarray(grain).resize((w, h), Image.Resampling.BICUBIC))
        image += blown[..., None] * rng.uniform(2, 9) * np.array([1.0, 0.9, 0.8], np.float32)
    for _ in range(int(rng.integers(1, 4) if rng.random() < 0.6 else rng.integers(4, 40))):
        cx, cy = rng.uniform(0.1, 0.9, 2) * (w, h) / max(w, h)
        inside = _blob(x - cx, y - cy, rng.uniform(0.01, 0.25), rng)
        colour = np.array(_SPOTS)[rng.integers(len(_SPOTS))] + rng.normal(0, 12, 3)
        image += inside[..., None] * rng.uniform(0.3, 0.95) * (colour - image)
    shade = rng.uniform(0, 0.9) * np.clip(np.hypot(x - 0.5 * w / max(w, h), y - 0.5 * h / max(w, h)) * 2 - 0.6, 0, 1)
    made = Image.fromarray(np.clip(image * (1 - shade[..., None]), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(made)
    for _ in range(int(rng.integers(0, 25)) if rng.random() < 0.4 else 0):  # hairs
        a, b = rng.uniform(0, w, 2), rng.uniform(0, h, 2)
        draw.line([(a[0], b[0]), (a.mean() + rng.normal(0, 20), b.mean()), (a[1], b[1])], fill=(45, 30, 25), width=2)
    return np.asarray(made)


def _chart(rng: np.random.Generator) -> np.ndarray:
    page = Image.new("RGB", (480, 360), tuple(int(v) for v in rng.integers(0, 256, 3)))
    draw = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(3, 25))):
        x, y = sorted(rng.integers(0, 480, 2).tolist()), sorted(rng.integers(0, 360, 2).tolist())
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        shape = (draw.rectangle, draw.ellipse, draw.line)[int(rng.integers(0, 3))]
        shape((x[0], y[0], x[1], y[1]), fill=colour)
    return np.asarray(page)


def _looked(pictures: Sequence[Path | np.ndarray], groups: Sequence[str]) -> Sights:
    """Every picture as it is, and some in every way."""
    opened = [limit_size(decode(picture)) for picture in pictures]
    step = max(1, len(opened) // CHANGED)
    rows = np.arange(0, len(opened), step)[:CHANGED]
    changed = {c.name: embedded([c(opened[i]) for i in rows]) for c in USED}
    return Sights(plain=embedded(opened), groups=np.array(groups), rows=rows, changed=changed)


def embedded(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """float16 (N, D) of pictures uint8 (h, w, 3), on the shared backbone."""
    network = backbone()
    opened, size = open_session(network.path), network.card.input_size
    out = [np.zeros((0, network.card.dimension), np.float32)]
    for i in range(0, len(pictures), _BATCH):
        batch = np.stack([load(picture, size) for picture in pictures[i : i + _BATCH]])
        out += run(opened, ["embedding"], batch)
    return np.concatenate(out).astype(np.float16)


def _write(path: Path, sights: Sights) -> None:
    changed = {f"changed:{name}": e for name, e in sights.changed.items()}
    out = io.BytesIO()
    np.savez(out, plain=sights.plain, groups=sights.groups, rows=sights.rows, **changed)
    write_atomically(path, out.getvalue())


def _read(path: Path) -> Sights:
    with np.load(path, allow_pickle=False) as z:
        changed = {k.removeprefix("changed:"): z[k] for k in z.files if k.startswith("changed:")}
        return Sights(plain=z["plain"], groups=z["groups"], rows=z["rows"], changed=changed)
