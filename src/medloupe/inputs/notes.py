"""Encode free-text notes by their letters: hashed character n-grams, weighted by rarity, projected by an SVD.

No dictionary and no download: any language and script, and a misspelt word is still near the right one.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.inputs.projection import DIMENSION, FEWEST, TextEncoder, decode_halves, encode_halves, fit_projection
from medloupe.utils.validation import read_entry

BUCKETS = 1 << 13
NGRAMS = (2, 3, 4)
LONGEST = 20_000  # characters of a note that are read
_TOKEN = re.compile(r"\w+(?:[-'’./]\w+)*")
_SAMPLE = 2_000  # notes that the SVD is made from, at most
_FEW_WORDS = 5  # as many count half
METHOD = "character n-grams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes(TextEncoder):
    """How notes become numbers by their letters. idf: float16 (BUCKETS,), the weight of each bucket."""

    idf: np.ndarray

    @property
    def method(self) -> str:
        """How they are read, in words."""
        return METHOD

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
        """Fit to the training notes; None where fewer than ten say anything.

        Parameters
        ----------
        texts
            One a row; None where there is none.
        dimension
            M, less with few notes.
        mask
            Words to blank (see `Masks`).
        column
            Where they stand.
        seed
            Of the SVD.
        """
        masks = Masks(mask)
        read = [split_words(masks.apply(t)) for t in texts if t]
        read = [r for r in read if r]
        if len(read) < FEWEST:
            return None
        step = max(1, -(-len(read) // _SAMPLE))
        x = np.stack([_count_ngrams(r) for r in read[::step]])
        often = (x > 0).sum(0)
        # a gram of one note alone says nothing of the next
        idf = np.where(often > 1, np.log((1 + len(x)) / (1 + often)) + 1, 0).astype(np.float16)
        x *= idf
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
        return cls(column=column, mask=tuple(mask), idf=idf, **fit_projection(x, dimension, seed))

    def vectors(self, texts: Sequence[str | None]) -> np.ndarray:
        """Encode several notes, float32 (N, M)."""
        z = np.zeros((len(texts), self.width), np.float32)
        masks = Masks(self.mask if any(texts) else ())
        for i, text in enumerate(texts):
            read = split_words(masks.apply(text)) if text else []
            if not read:
                continue
            weighed = _count_ngrams(read) * self.idf
            length = float(np.linalg.norm(weighed))
            if length > 0:
                used = np.flatnonzero(weighed)
                trust = len(read) / (len(read) + _FEW_WORDS)  # two words say less than a paragraph
                along = (weighed[used] / length) @ self.axes[used].astype(np.float32)
                z[i] = (along - self.mean) * (self.scale * trust)
        return z

    def as_json(self) -> dict[str, Any]:
        """Give all of it, in types that JSON has."""
        # not super(), which a class with slots lacks
        return {**TextEncoder.as_json(self), "idf": encode_halves(self.idf)}

    @classmethod
    def from_json(cls, entry: object) -> Notes:
        """Read back from as_json, trusting nothing.

        Raises
        ------
        ValueError
            Says what is wrong with it.
        """
        from medloupe.inputs.schema import LETTERS_SENTENCES, LettersEntry

        checked = read_entry(LettersEntry, entry, LETTERS_SENTENCES)
        size = len(checked.mean)
        idf = decode_halves(checked.idf, BUCKETS)
        axes = decode_halves(checked.axes, BUCKETS * size).reshape(BUCKETS, size)
        if idf.min() < 0:
            raise ValueError("the weights of the notes are not above 0")
        return cls(idf=idf, axes=axes, **checked.common())


class Masks:
    """Words to blank: `covid` is that word alone, `*covid*` any that holds it; several words are a phrase.

    No regular expressions: what a model file brings must not be able to keep a server busy.
    """

    def __init__(self, masks: Sequence[str]):
        self.phrases = [p for p in (tuple(fold_text(m).split()) for m in masks) if p]

    def apply(self, text: str) -> str:
        """Fold the text and replace every masked word by a blank."""
        said = fold_text(text[:LONGEST])[:LONGEST]  # folding may make it several times longer
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


def fold_text(text: str) -> str:
    """Bring a text to one spelling whatever case and width: NFKC, case-folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def split_words(text: str) -> list[str]:
    """Split a text into words as they are counted: folded, with what hyphens and the like join kept together."""
    return _TOKEN.findall(fold_text(text[:LONGEST])[:LONGEST])


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


def _count_ngrams(tokens: Sequence[str]) -> np.ndarray:
    """Count the n-grams of words, float32 (BUCKETS,): 1 + log of how often each bucket's occur."""
    counts = np.bincount(np.concatenate([_buckets(t) for t in tokens]), minlength=BUCKETS).astype(np.float32)
    return np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0).astype(np.float32)


def _buckets(word: str) -> np.ndarray:
    """Hash a word's n-grams, its ends marked, into buckets; by CRC-32, the same on every machine."""
    marked = f" {word[:60]} "
    grams = [marked[i : i + n] for n in NGRAMS for i in range(len(marked) - n + 1)]
    return np.array([zlib.crc32(g.encode("utf-8", "surrogatepass")) % BUCKETS for g in grams], np.int64)
