"""Free-text notes as a few numbers: hashed character n-grams, weighted by how rare they are, projected by an SVD.

No dictionary and no download: any language and script, and a misspelt word is still near the right one.

Source: latent semantic analysis, Deerwester et al. (1990); randomised SVD, Halko, Martinsson & Tropp (2011).
"""

from __future__ import annotations

import base64
import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BUCKETS = 1 << 13
DIMENSION = 32
MOST_DIMENSIONS = 64
NGRAMS = (2, 3, 4)
MOST_MASKS = 200
LONGEST_MASK = 100
LONGEST = 20_000  # characters of a note that are read
_TOKEN = re.compile(r"\w+(?:[-'’./]\w+)*")
_SAMPLE = 2_000  # notes that the SVD is made from, at most
_ROUNDS = 4  # of power iteration
_FEW_WORDS = 5  # as many count half
_KEYS = ("column", "mask", "idf", "axes", "mean", "scale")
METHOD = "character n-grams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """How notes become numbers.

    column: its name. mask: words blanked before all else, `*` standing for any letters. idf: float16 (BUCKETS,), the
    weight of each bucket. axes: float16 (BUCKETS, M). mean: float32 (M,) and scale of the training notes.
    """

    column: str
    mask: tuple[str, ...]
    idf: np.ndarray
    axes: np.ndarray
    mean: np.ndarray
    scale: float

    @property
    def width(self) -> int:
        """How many numbers encode a note."""
        return self.axes.shape[1]

    @property
    def method(self) -> str:
        """How they are read, in words."""
        return METHOD

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays in memory."""
        return self.idf.nbytes + self.axes.nbytes + self.mean.nbytes

    @classmethod
    def fit(
        cls,
        texts: Sequence[str | None],
        *,
        dimension: int = DIMENSION,
        mask: Sequence[str] = (),
        column: str = "notes",
        seed: int = 0,
    ) -> Notes | None:
        """From the training notes; None where fewer than ten say anything. dimension: M, less with few notes."""
        masks = Masks(mask)
        read = [words(masks.applied(t)) for t in texts if t]
        read = [r for r in read if r]
        if len(read) < 10:
            return None
        step = max(1, -(-len(read) // _SAMPLE))
        x = np.stack([_counted(r) for r in read[::step]])
        often = (x > 0).sum(0)
        # a gram of one note alone says nothing of the next
        idf = np.where(often > 1, np.log((1 + len(x)) / (1 + often)) + 1, 0).astype(np.float16)
        x *= idf
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
        axes = leading(x, min(dimension, MOST_DIMENSIONS, len(x) // 4), seed).astype(np.float16)
        z = x @ axes.astype(np.float32)
        mean = z.mean(0)
        scale = float(1 / max(np.sqrt(z.var(0).mean()), 1e-6))
        return cls(column=column, mask=tuple(mask), idf=idf, axes=axes, mean=mean.astype(np.float32), scale=scale)

    def vector(self, text: str | None) -> np.ndarray:
        """float32 (M,); all 0 of a note that says nothing."""
        return self.vectors([text])[0]

    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """float32 (N, M) of several notes."""
        z = np.zeros((len(texts), self.width), np.float32)
        masks = Masks(self.mask if any(texts) else ())
        for i, text in enumerate(texts):
            read = words(masks.applied(text)) if text else []
            if not read:
                continue
            weighed = _counted(read) * self.idf
            length = float(np.linalg.norm(weighed))
            if length > 0:
                used = np.flatnonzero(weighed)
                trust = len(read) / (len(read) + _FEW_WORDS)  # two words say less than a paragraph
                along = (weighed[used] / length) @ self.axes[used].astype(np.float32)
                z[i] = (along - self.mean) * (self.scale * trust)
        return z

    def field(self) -> dict[str, Any]:
        """What a form asks for."""
        return field_of(self.column)

    def as_json(self) -> dict[str, Any]:
        """Complete, in types that JSON has: arrays as base64 of their bytes, little endian."""
        return {
            "column": self.column,
            "mask": list(self.mask),
            "idf": halves_as_text(self.idf),
            "axes": halves_as_text(self.axes),
            "mean": [float(v) for v in self.mean],
            "scale": self.scale,
        }

    @classmethod
    def from_json(cls, entry: object) -> Notes:
        """Read back from as_json, trusting nothing. Raises ValueError, saying what is wrong with it."""
        if not isinstance(entry, Mapping) or set(entry) != set(_KEYS):
            raise ValueError(f"notes must be an object of {', '.join(_KEYS)}")
        common = checked(entry)
        size = len(common["mean"])
        idf = halves_from(entry["idf"], BUCKETS)
        axes = halves_from(entry["axes"], BUCKETS * size).reshape(BUCKETS, size)
        if idf.min() < 0:
            raise ValueError("the weights of the notes are not above 0")
        return cls(idf=idf, axes=axes, **common)


class Masks:
    """Words to blank: `covid` is that word alone, `*covid*` any that holds it; several words are a phrase.

    No regular expressions: what a model file brings must not be able to keep a server busy.
    """

    def __init__(self, masks: Sequence[str]):
        self.phrases = [p for p in (tuple(folded(m).split()) for m in masks) if p]

    def applied(self, text: str) -> str:
        """The text, folded, with every masked word replaced by a blank."""
        said = folded(text[:LONGEST])[:LONGEST]  # folding may make it several times longer
        if not self.phrases:
            return said
        spans = [m.span() for m in _TOKEN.finditer(said)]
        tokens = [said[a:b] for a, b in spans]
        blank = np.zeros(len(tokens), bool)
        matching: dict[tuple[str, str], bool] = {}

        def matches(pattern: str, token: str) -> bool:
            key = (pattern, token)
            if key not in matching:
                matching[key] = _matches(pattern, token)
            return matching[key]

        for phrase in self.phrases:
            for i in range(len(tokens) - len(phrase) + 1):
                if all(matches(p, tokens[i + k]) for k, p in enumerate(phrase)):
                    blank[i : i + len(phrase)] = True
        kept, at = [], 0
        for (a, b), hide in zip(spans, blank, strict=True):
            kept += [said[at:a], " " if hide else said[a:b]]
            at = b
        return "".join([*kept, said[at:]])


def folded(text: str) -> str:
    """One spelling whatever case and width: NFKC, case-folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text: str) -> list[str]:
    """The words of a text as they are counted: folded, with what hyphens and the like join kept together."""
    return _TOKEN.findall(folded(text[:LONGEST])[:LONGEST])


def _matches(pattern: str, token: str) -> bool:
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == token
    *middle, last = rest
    if len(token) < len(first) + len(last) or not token.startswith(first) or not token.endswith(last):
        return False
    at, end = len(first), len(token) - len(last)
    for part in middle:
        found = token.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _counted(tokens: Sequence[str]) -> np.ndarray:
    """float32 (BUCKETS,): 1 + log of how often each bucket's n-grams occur in the words."""
    counts = np.bincount(np.concatenate([_buckets(t) for t in tokens]), minlength=BUCKETS).astype(np.float32)
    return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0).astype(np.float32)


def _buckets(word: str) -> np.ndarray:
    """Buckets of a word's n-grams, its ends marked; by CRC-32, the same on every machine."""
    marked = f" {word[:60]} "
    grams = [marked[i : i + n] for n in NGRAMS for i in range(len(marked) - n + 1)]
    return np.array([zlib.crc32(g.encode("utf-8", "surrogatepass")) % BUCKETS for g in grams], np.int64)


def leading(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The leading right singular vectors float32 (D, count) of centred x (n, D)."""
    rng = np.random.default_rng(seed)
    x = x - x.mean(0)
    y = x @ rng.normal(size=(x.shape[1], min(count + 8, len(x)))).astype(np.float32)
    for _ in range(_ROUNDS):
        y = x @ (x.T @ np.linalg.qr(y)[0])
    b = np.linalg.qr(y)[0].T @ x  # small by D: its singular vectors are those of x, and cheap from b @ b.T
    values, vectors = np.linalg.eigh((b @ b.T).astype(np.float64))
    largest = np.argsort(-values)[:count]
    axes = (b.T @ (vectors[:, largest] / np.sqrt(np.maximum(values[largest], 1e-12)))).astype(np.float32)
    return axes * np.where(axes[np.abs(axes).argmax(0), np.arange(count)] < 0, -1, 1)  # a sign that repeats


def field_of(column: str) -> dict[str, Any]:
    """What a form asks for, of notes in a column."""
    return {"name": column, "kind": "notes", "label": column.replace("_", " ")}


def checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What every way of reading notes has: column, mask, mean and scale of its JSON. Raises ValueError."""
    column, mask, mean, scale = (entry[key] for key in ("column", "mask", "mean", "scale"))
    if not isinstance(column, str) or not 0 < len(column) <= 200:
        raise ValueError("the column of the notes has no name")
    if not isinstance(mask, list) or len(mask) > MOST_MASKS or not all(isinstance(m, str) for m in mask):
        raise ValueError(f"the masked words must be a list of at most {MOST_MASKS} texts")
    if any(not 0 < len(m) <= LONGEST_MASK for m in mask):
        raise ValueError(f"a masked word is empty or longer than {LONGEST_MASK} characters")
    if not isinstance(mean, list) or not 0 < len(mean) <= MOST_DIMENSIONS:
        raise ValueError(f"notes must have 1 to {MOST_DIMENSIONS} dimensions")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e6 for v in (*mean, scale)):
        raise ValueError("the notes hold values that are no numbers")
    if scale <= 0:
        raise ValueError("the weights of the notes are not above 0")
    return {"column": column, "mask": tuple(mask), "mean": np.array(mean, np.float32), "scale": float(scale)}


def halves_as_text(values: np.ndarray) -> str:
    """Base64 of float16, little endian."""
    return base64.b64encode(np.ascontiguousarray(values, "<f2").tobytes()).decode()


def halves_from(text: object, size: int) -> np.ndarray:
    """float16 (size,) from such a text. Raises ValueError where it is none, or holds other than numbers."""
    if not isinstance(text, str) or len(text) != 4 * -(-2 * size // 3):
        raise ValueError("the arrays of the notes do not fit together")
    try:
        values = np.frombuffer(base64.b64decode(text, validate=True), "<f2")
    except ValueError as e:
        raise ValueError("the arrays of the notes are no base64 of float16") from e
    if len(values) != size or not np.isfinite(values).all():
        raise ValueError("the arrays of the notes hold values that are no numbers")
    return values.astype(np.float16)
