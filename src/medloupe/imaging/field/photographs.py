"""Photograph a picture in one of many ways, and know where in the photograph it lies."""

from __future__ import annotations

import numpy as np

from medloupe.errors import UnreadableImageError
from medloupe.imaging.field.cameras import take
from medloupe.imaging.field.faults import FaultLevels, Severity
from medloupe.imaging.field.placing import place_picture
from medloupe.imaging.field.rooms import cast_shadow, lay_fingers, reflect_light
from medloupe.imaging.field.surfaces import Surface, shine

_SIDES = (300, 720)  # longer side of the photograph in pixels, of which networks see some 224


def photograph(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    surface: Surface = "screen",
    severity: Severity = "mild",
    longer: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Photograph a picture by phone.

    Light goes from the surface (monitor, film on a light box, print, eyepiece) past shadows, reflections and fingers
    through the lens to the sensor, the phone's processing and a JPEG file. The same picture and generator give the same
    photograph.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture.
    rng : Generator
        Of all that is drawn.
    surface : str
        One of surfaces.SURFACES.
    severity : str
        One of faults.SEVERITIES.
    longer : int, optional
        Longer side of the photograph in pixels; drawn where left out.

    Returns
    -------
    pixels : ndarray of uint8, shape (h', w', 3)
        The photograph.
    corners : ndarray of float64, shape (4, 2)
        Where the picture's top left, top right, bottom right and bottom left corners lie in it: x, y in pixels.

    Raises
    ------
    UnreadableImageError
        For anything but uint8 (h, w, 3).
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < 2:
        raise UnreadableImageError(
            f"The pixels are {image.dtype} of shape {image.shape}; expected uint8 (h, w, 3), 2 pixels a side or more.",
            "Decode the file with medloupe.imaging.decode.decode.",
        )
    levels = FaultLevels.draw(severity, rng)
    side = longer or round(float(np.exp(rng.uniform(*np.log(_SIDES)))))
    placed = place_picture(image, levels, side)
    light = shine(placed, levels, surface).astype(np.float32, copy=False)
    shape = light.shape[:2]
    glassy = {"screen": 0.7, "film": 0.4, "print": 0.3, "eyepiece": 0.15}[surface]
    if "shadow" in levels.worst or (surface in ("print", "film") and rng.random() < 0.5):
        light *= cast_shadow(shape, levels)[..., None]
    if surface in ("print", "film") and levels.happens(0.1, 0.3, 0.4):
        light = lay_fingers(light, placed, levels)
    if "glare" in levels.worst or rng.random() < glassy:
        for _ in range(int(rng.integers(1, 3))):
            light += reflect_light(shape, levels)
    if "veil" in levels.worst or rng.random() < 0.4:
        light += np.float32(levels.level("veil"))
    return take(light, levels), placed.corners
