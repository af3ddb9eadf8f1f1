"""Make field views of a picture: its photograph as taken, the same with the corners undone, and a worn direct copy.

Which surface, severity and faults a view has is drawn from the picture's content, the round and a seed alone, so that
views can be cached by these and made again at any time.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from medloupe.imaging import corruptions
from medloupe.imaging.field.faults import SEVERITIES, Severity
from medloupe.imaging.field.photographs import photograph
from medloupe.imaging.field.placing import jitter_corners, rectify
from medloupe.imaging.field.surfaces import SURFACES, Surface

ViewKind = Literal["whole", "straight", "worn"]
VIEW_KINDS: tuple[ViewKind, ...] = ("whole", "straight", "worn")
"""A whole photograph; the same with its corners undone; a direct copy that was saved, sent, blurred or cut."""

_SURFACE_SHARES = (0.40, 0.25, 0.20, 0.15)  # of SURFACES
_SEVERITY_SHARES = (0.35, 0.40, 0.25)  # of SEVERITIES
_LONGER = (230, 430)  # pixels of a photograph: networks see some 224
_MOST = 640  # longer side of the picture from which views are made
_CORNERS = (0.006, 0.015, 0.025)  # how far given corners lie off, of the sides, by severity


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnView:
    """What was drawn for the views of one picture in one round.

    Attributes
    ----------
    surface, severity : str
        Of the photograph.
    worn : str
        The severity of the worn copy.
    """

    surface: Surface
    severity: Severity
    worn: Severity


def draw_view(content: bytes, number: int, seed: int) -> DrawnView:
    """Draw surface and severities of a picture's views in round `number`. content: digest of the picture."""
    return _draw(_generator(content, number, seed, "drawn"))


def _draw(rng: np.random.Generator) -> DrawnView:
    return DrawnView(
        surface=SURFACES[int(rng.choice(len(SURFACES), p=_SURFACE_SHARES))],
        severity=SEVERITIES[int(rng.choice(3, p=_SEVERITY_SHARES))],
        worn=SEVERITIES[int(rng.choice(3, p=_SEVERITY_SHARES))],
    )


def severity_of(drawn: DrawnView, kind: ViewKind) -> Severity:
    """Tell how severe a view of this kind is."""
    return drawn.worn if kind == "worn" else drawn.severity


def make_views(
    image: np.ndarray, content: bytes, number: int, seed: int, kinds: tuple[ViewKind, ...] = VIEW_KINDS
) -> Mapping[ViewKind, np.ndarray]:
    """Make the views of a picture in a round.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture.
    content : bytes
        Its digest.
    number, seed : int
        The round, and of what is drawn by chance.
    kinds : tuple of str
        Which are made.

    Returns
    -------
    mapping of str to ndarray of uint8, shape (h', w', 3)
        By kind.
    """
    drawn = draw_view(content, number, seed)
    image = _limit(image)
    made: dict[ViewKind, np.ndarray] = {}
    if "whole" in kinds or "straight" in kinds:
        rng = _generator(content, number, seed, "photograph")
        longer = round(float(np.exp(rng.uniform(*np.log(_LONGER)))))
        pixels, corners = photograph(image, rng, surface=drawn.surface, severity=drawn.severity, longer=longer)
        if "whole" in kinds:
            made["whole"] = pixels
        if "straight" in kinds:
            given = jitter_corners(corners, rng, _CORNERS[SEVERITIES.index(drawn.severity)])
            made["straight"] = rectify(pixels, given)
    if "worn" in kinds:
        made["worn"] = wear(image, _generator(content, number, seed, "worn"), drawn.worn)
    return made


def wear(image: np.ndarray, rng: np.random.Generator, severity: Severity) -> np.ndarray:
    """Wear a direct copy out: sent, resized, blurred, cut, turned, too dark or bright; one to three things at once.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture.
    rng : Generator
        Of what is drawn.
    severity : str
        How much of each.

    Returns
    -------
    ndarray of uint8, shape (h', w', 3)
    """
    rank = SEVERITIES.index(severity)
    names = ("jpeg", "blur", "noise", "light", "resolution", "crop", "turn", "contrast")
    for name in rng.choice(names, int(rng.integers(1, 3 + (rank > 0))), replace=False):
        image = _wear_once(image, str(name), rng, rank)
    return np.ascontiguousarray(image)


def _wear_once(image: np.ndarray, name: str, rng: np.random.Generator, rank: int) -> np.ndarray:
    much = rng.uniform(0.3, 1.0)
    if name == "jpeg":
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=int((75, 45, 22)[rank] + 20 * (1 - much)))
        return np.asarray(Image.open(file).convert("RGB"))
    if name == "blur":
        return corruptions.blur(image, much * (0.003, 0.007, 0.016)[rank])
    if name == "noise":
        return corruptions.add_noise(image, much * (7, 16, 36)[rank], rng)
    if name == "light":
        stops = much * (0.35, 0.8, 1.5)[rank] * rng.choice((-1, 1))
        return corruptions.change_exposure(image, float(2.0 ** (stops if stops < 0 else 0.7 * stops)))
    if name == "resolution":
        longer = max(image.shape[:2])
        wanted = float(np.exp(rng.uniform(*np.log(((120, 400), (72, 200), (36, 90))[rank]))))
        return corruptions.lower_resolution(image, min(1.0, wanted / longer)) if longer > 40 else image
    if name == "crop":
        share = much * (0.05, 0.10, 0.18)[rank]
        h, w = image.shape[:2]
        top, bottom, left, right = (rng.uniform(0, share, 4) * (h, h, w, w)).astype(int).tolist()
        return image[top : h - bottom, left : w - right]
    if name == "turn":
        return corruptions.rotate(image, float(much * (3, 7, 14)[rank] * rng.choice((-1, 1))))
    share = 1 - much * (0.2, 0.4, 0.65)[rank]
    worn = corruptions.lower_contrast(image, share)
    return corruptions.change_gamma(worn, float(np.exp(rng.uniform(-0.4, 0.4) * (rank + 1) / 2)))


def _limit(image: np.ndarray) -> np.ndarray:
    h, w = image.shape[:2]
    return corruptions.lower_resolution(image, _MOST / max(h, w)) if max(h, w) > _MOST else image


def _generator(content: bytes, number: int, seed: int, use: str) -> np.random.Generator:
    return np.random.default_rng([seed, number, int.from_bytes(content[:8], "little"), *use.encode()])
