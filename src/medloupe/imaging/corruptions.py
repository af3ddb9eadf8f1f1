"""Do to pictures on purpose what happens to them in the field: saved again, blurred, badly lit, photographed.

Every corruption is a function of pixels uint8 (h, w, 3) and a generator to uint8 (h', w', 3), and acts on the picture
as it was brought, before the ordinary fitting. Lengths are shares of the picture's longer side, so that large and small
pictures suffer alike; only JPEG, noise and resolution act on its own pixels, as they do in the field. Photographs of
screens and films are in rephotograph.py.

After Hendrycks & Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations" (ICLR
2019, arXiv:1903.12261), with what that leaves out: a tilted film, a cut margin, the screen between picture and camera.
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from medloupe.errors import UnreadableImageError
from medloupe.imaging import rephotograph

MOST = 1536
"""Longer side, in pixels, to which larger pictures are brought first (`workable`)."""

_LAMP = 400.0  # grey levels at the core: whatever lies below is lost

Act = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corruption:
    """One thing that happens to a picture.

    Attributes
    ----------
    name : str
        For programs.
    kind : str
        What it is, for people.
    strength : str
        How much of it, for people; "" where there is but one.
    words : str
        What is done, in a sentence.
    act : Callable
        Does it: pixels uint8 (h, w, 3) and a generator to uint8 (h', w', 3).
    """

    name: str
    kind: str
    strength: str
    words: str
    act: Act

    @property
    def title(self) -> str:
        """Kind and strength, as "JPEG (quality 60)"."""
        return f"{self.kind} ({self.strength})" if self.strength else self.kind

    def __call__(self, image: np.ndarray, seed: int = 0) -> np.ndarray:
        """Corrupt a picture. Same picture, seed and corruption, same result.

        Parameters
        ----------
        image : ndarray of uint8, shape (h, w, 3)
            The picture.
        seed : int
            Of what is drawn by chance.

        Returns
        -------
        ndarray of uint8, shape (h', w', 3)

        Raises
        ------
        UnreadableImageError
            For anything but uint8 (h, w, 3).
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise UnreadableImageError(
                f"The pixels are {image.dtype} of shape {image.shape}; expected uint8 (h, w, 3).",
                "Decode the file with medloupe.imaging.decode.decode.",
            )
        content = zlib.crc32(np.ascontiguousarray(image).data)
        rng = np.random.default_rng([seed, zlib.crc32(self.name.encode()), content])
        return np.ascontiguousarray(self.act(image, rng), np.uint8)


def limit_size(image: np.ndarray) -> np.ndarray:
    """Bring the picture to a longer side of at most MOST pixels.

    No network here sees more than a fraction of that, and a corruption of 50 megapixels takes a minute.
    """
    h, w = image.shape[:2]
    if max(h, w) <= MOST:
        return image
    return _resize(image, MOST / max(h, w))


def is_grey(image: np.ndarray) -> bool:
    """Tell whether all three channels are the same."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all())


def compress_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Save as JPEG of this quality and read again."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def blur(image: np.ndarray, share: float) -> np.ndarray:
    """Blur by a Gaussian; share: its standard deviation as a share of the longer side."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(share * max(image.shape[:2]))))


def change_exposure(image: np.ndarray, factor: float) -> np.ndarray:
    """Multiply every value by a factor; what exceeds white is lost."""
    return _apply_curve(image, np.arange(256) * factor)


def lower_contrast(image: np.ndarray, share: float) -> np.ndarray:
    """Leave only this share of each value's distance from the picture's mean."""
    mean = float(image.mean())
    return _apply_curve(image, mean + share * (np.arange(256) - mean))


def change_gamma(image: np.ndarray, gamma: float) -> np.ndarray:
    """Change the gamma: above 1 the middle tones become darker, black and white stay."""
    return _apply_curve(image, 255 * (np.arange(256) / 255) ** gamma)


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate about the middle in a frame of the same size; the corners continue what lies beside them."""
    h, w = image.shape[:2]
    pad = math.ceil(abs(math.sin(math.radians(degrees))) * max(h, w) / 2) + 2
    wide = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), "symmetric")
    rotated = Image.fromarray(wide).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(rotated)[pad : pad + h, pad : pad + w]


def lower_resolution(image: np.ndarray, share: float) -> np.ndarray:
    """Keep this share of the pixels a side."""
    return _resize(image, share)


def add_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add a sensor's noise: its variance is that of read-out and of counted light, which grows with brightness.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture; a grey one gets grey noise.
    strength : float
        Standard deviation, in grey levels, at middle grey.
    rng : Generator
        Of the noise.
    """
    shape = (*image.shape[:2], 1 if is_grey(image) else 3)
    deviation = strength * np.sqrt(0.2 + 0.8 * image[..., : shape[2]].astype(np.float32) / 127.5)
    return _to_uint8(image + deviation * rng.standard_normal(shape, np.float32))


def remove_colour(image: np.ndarray) -> np.ndarray:
    """Keep the brightness alone (ITU-R BT.601)."""
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def crop_margins(image: np.ndarray, share: float) -> np.ndarray:
    """Cut this share of the height and width off on each side."""
    h, w = image.shape[:2]
    y, x = min(round(share * h), (h - 1) // 2), min(round(share * w), (w - 1) // 2)
    return image[y : h - y, x : w - x]


def add_glare(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Reflect a lamp near the middle: white at its core, fading outwards.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3)
        The picture.
    share : float
        Radius at which the light has fallen to a third, as a share of the longer side.
    rng : Generator
        Of its place.
    """
    h, w = image.shape[:2]
    y, x = (rng.uniform(0.35, 0.65) * side for side in (h, w))
    far = ((np.arange(h)[:, None] - y) ** 2 + (np.arange(w) - x) ** 2) / (share * max(h, w)) ** 2
    return _to_uint8(image + (_LAMP * np.exp(-far))[..., None])


def _rotate_either_way(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    return rotate(image, degrees if rng.random() < 0.5 else -degrees)


def _apply_curve(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)[image]


def _to_uint8(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _resize(image: np.ndarray, share: float) -> np.ndarray:
    size = [max(1, round(side * share)) for side in (image.shape[1], image.shape[0])]
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _corruption(name: str, kind: str, strength: str, words: str, act: Act) -> Corruption:
    return Corruption(name=name, kind=kind, strength=strength, words=words, act=act)


CORRUPTIONS: tuple[Corruption, ...] = (
    *(
        _corruption(
            f"jpeg-{q}",
            "JPEG",
            f"quality {q}",
            f"Saved again as JPEG of quality {q}, as messengers and old archives do.",
            lambda im, rng, q=q: compress_jpeg(im, q),
        )
        for q in (60, 30, 10)
    ),
    _corruption(
        "blur-mild",
        "blur",
        "mild",
        "Slightly out of focus: blurred by 0.4% of the longer side.",
        lambda im, rng: blur(im, 0.004),
    ),
    _corruption(
        "blur-strong",
        "blur",
        "strong",
        "Clearly out of focus: blurred by 1.2% of the longer side.",
        lambda im, rng: blur(im, 0.012),
    ),
    _corruption(
        "darker",
        "darker",
        "",
        "All values times 0.55, as in too short an exposure.",
        lambda im, rng: change_exposure(im, 0.55),
    ),
    _corruption(
        "brighter",
        "brighter",
        "",
        "All values times 1.4, as in too long an exposure; the brightest parts are lost.",
        lambda im, rng: change_exposure(im, 1.4),
    ),
    _corruption(
        "contrast",
        "lower contrast",
        "",
        "Half the contrast, as behind a veil of light.",
        lambda im, rng: lower_contrast(im, 0.5),
    ),
    _corruption(
        "gamma",
        "other gamma",
        "",
        "Middle tones darkened (gamma 1.7), as another viewer shows them.",
        lambda im, rng: change_gamma(im, 1.7),
    ),
    *(
        _corruption(
            f"turned-{d}",
            "turned",
            f"{d}°",
            f"Turned by {d} degrees, some pictures to the left and some to the right.",
            lambda im, rng, d=d: _rotate_either_way(im, d, rng),
        )
        for d in (5, 10)
    ),
    _corruption("half", "resolution", "half", "Half the pixels a side.", lambda im, rng: lower_resolution(im, 0.5)),
    _corruption(
        "quarter",
        "resolution",
        "quarter",
        "A quarter of the pixels a side.",
        lambda im, rng: lower_resolution(im, 0.25),
    ),
    _corruption(
        "noise-mild", "noise", "mild", "Noise of a good sensor in poor light.", lambda im, rng: add_noise(im, 8, rng)
    ),
    _corruption(
        "noise-strong",
        "noise",
        "strong",
        "Noise of a small sensor in poor light.",
        lambda im, rng: add_noise(im, 24, rng),
    ),
    _corruption(
        "screen",
        "photograph of a screen",
        "",
        "Photographed from a monitor: tilted view, moiré, a reflection, a colour cast, surroundings, JPEG 70.",
        rephotograph.photograph_screen,
    ),
    _corruption(
        "lightbox",
        "photograph on a light box",
        "",
        "Photographed as a film on a light box: tilted view, bright uneven surroundings, a veil, JPEG 70.",
        rephotograph.photograph_light_box,
    ),
    _corruption("greyscale", "without colour", "", "Brightness alone.", lambda im, rng: remove_colour(im)),
    *(
        _corruption(
            f"crop-{p}",
            "margins cut",
            f"{p}%",
            f"{p}% of the height and width cut off on each side.",
            lambda im, rng, p=p: crop_margins(im, p / 100),
        )
        for p in (5, 10)
    ),
)
"""All changes, in the order in which they are reported."""
