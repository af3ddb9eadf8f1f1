"""Place a picture in the frame of a photograph, seen askew; and undo that by its corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from medloupe.imaging.field.faults import FaultLevels

_SHAPES = (3 / 4, 4 / 3, 16 / 9, 9 / 16, 1.0)  # width over height of frames
_UNIT = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPicture:
    """A picture as it lies in a frame.

    Attributes
    ----------
    shown : ndarray of uint8, shape (h, w, 3)
        The picture, its edge continued by a pixel; black beyond.
    corners : ndarray of float64, shape (4, 2)
        Top left, top right, bottom right and bottom left corner of the picture, x and y in pixels of the frame.
    u, v : ndarray of float32, shape (h, w)
        Place of every pixel in the picture's own plane: 0 to 1 inside it.
    """

    shown: np.ndarray
    corners: np.ndarray
    u: np.ndarray
    v: np.ndarray

    def inside(self, grown: float = 0.0, taller: float = 0.0) -> np.ndarray:
        """Tell where the picture lies, grown by shares of its sides: float32 (h, w), 0 to 1 with soft edges."""
        soft = 1.5 / max(8.0, float(np.linalg.norm(self.corners[1] - self.corners[0])))
        x = np.minimum(self.u + grown, 1 + grown - self.u)
        y = np.minimum(self.v + grown + taller, 1 + grown + taller - self.v)
        return np.clip(np.minimum(x, y) / soft + 0.5, 0, 1)


def place_picture(image: np.ndarray, levels: FaultLevels, longer: int) -> PlacedPicture:
    """Place a picture in a frame.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture.
    levels : FaultLevels
        How far it is askew.
    longer : int
        Longer side of the frame in pixels.
    """
    rng = levels.rng
    h, w = image.shape[:2]
    shape = float(rng.choice(_SHAPES)) if rng.random() < 0.7 else w / h
    fw, fh = (longer, max(64, round(longer / shape))) if shape >= 1 else (max(64, round(longer * shape)), longer)
    low = (0.72, 0.55, 0.45)[levels.rank]
    fit = min(fw / w, fh / h) * rng.uniform(low, 0.97)
    size = np.array([w * fit, h * fit])
    angle = np.deg2rad(levels.signed("turn"))
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    corners = (_UNIT - 0.5) * size @ turn
    corners += rng.uniform(-1, 1, (4, 2)) * levels.level("askew") * size
    spare = np.array([fw, fh]) - np.ptp(corners, axis=0)
    middle = np.array([fw, fh]) / 2 + rng.uniform(-0.4, 0.4, 2) * np.maximum(spare, 0)
    corners += middle - (corners.min(0) + corners.max(0)) / 2
    return _project(image, corners, (fw, fh))


def _project(image: np.ndarray, corners: np.ndarray, frame: tuple[int, int]) -> PlacedPicture:
    """Draw a picture between four corners of a frame (w, h)."""
    side = max(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1]))
    shrink = side / max(image.shape[:2])
    small = Image.fromarray(image)
    if shrink < 0.8:  # else what is finer than the frame's pixels would alias
        small = small.resize(
            (max(2, round(image.shape[1] * shrink)), max(2, round(image.shape[0] * shrink))),
            Image.Resampling.BICUBIC,
            reducing_gap=2.0,
        )
    wide = Image.fromarray(np.pad(np.asarray(small), ((1, 1), (1, 1), (0, 0)), "edge"))
    own = _UNIT * small.size
    back = solve_perspective(corners, own)
    seen = wide.transform(frame, Image.Transform.PERSPECTIVE, _shifted(back, 1.0), Image.Resampling.BICUBIC)
    u, v = _plane_places(solve_perspective(corners, _UNIT), frame)
    return PlacedPicture(shown=np.asarray(seen), corners=corners, u=u, v=v)


def _shifted(back: tuple[float, ...], by: float) -> tuple[float, ...]:
    """Let a perspective end `by` pixels further on both axes."""
    a, b, c, d, e, f, g, h = back
    return a + by * g, b + by * h, c + by, d + by * g, e + by * h, f + by, g, h


def _plane_places(back: tuple[float, ...], frame: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f, g, h = (np.float32(n) for n in back)
    x = (np.arange(frame[0], dtype=np.float32) + 0.5)[None]
    y = (np.arange(frame[1], dtype=np.float32) + 0.5)[:, None]
    under = g * x + h * y + 1
    return (a * x + b * y + c) / under, (d * x + e * y + f) / under


def solve_perspective(source: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """Solve for the eight numbers by which Pillow goes from places `source` to places `target`, (4, 2) each."""
    rows, right = [], []
    for (x, y), (p, q) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -p * x, -p * y], [0, 0, 0, x, y, 1, -q * x, -q * y]]
        right += [p, q]
    return tuple(np.linalg.solve(np.array(rows, float), np.array(right, float)).tolist())


def rectify(pixels: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Cut the picture out of a photograph and undo its perspective.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        The photograph.
    corners : ndarray, shape (4, 2)
        Top left, top right, bottom right, bottom left: x, y in its pixels.

    Returns
    -------
    ndarray of uint8, shape (h', w', 3)
        With sides as long as the mean of those in the photograph.
    """
    corners = np.asarray(corners, float)
    edge = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    w, h = max(8, round((edge[0] + edge[2]) / 2)), max(8, round((edge[1] + edge[3]) / 2))
    back = solve_perspective(_UNIT * (w, h), corners)
    made = Image.fromarray(pixels).transform((w, h), Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC)
    return np.asarray(made)


def jitter_corners(corners: np.ndarray, rng: np.random.Generator, share: float = 0.015) -> np.ndarray:
    """Move corners (4, 2) a little, as a finder or a person gives them: each by up to a share of the sides."""
    side = np.ptp(corners, axis=0)
    return corners + rng.normal(0, share / 2, (4, 2)).clip(-share, share) * side
