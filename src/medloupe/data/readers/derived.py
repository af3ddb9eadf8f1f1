"""Find pictures made from other pictures of a data set: outlines, maps, previews. They are no examples.

A name is a hint: `x_mask.png`, `masks/x.png`. What settles it is another picture that goes by the same name without the
mark, in the same folder or in one beside it; and for marks that are in no list, how few values such pictures hold.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from medloupe.data.readers.base import list_some
from medloupe.data.readers.levels import COPY
from medloupe.errors import ImageError

MASK = "mask of another image"
PREVIEW = "preview of another image"

_OUTLINE = (
    r"masks?|gt|ground[-_ ]?truths?|segmentations?|segs?|segmented|segmap|superpixels?|outlines?|contours?"
    r"|annot(ation)?s?|annotated|labels?|labelmap|roi|rois|overlays?|heat[-_ ]?maps?|label[-_ ]?maps?"
    r"|lesion[-_ ]?masks?"
)
_SMALL = r"thumb(nail)?s?|previews?|icons?"
_MARK = re.compile(
    rf"^(?P<front>[-_. ]*[^-_. ]+(?:[-_. ]+[^-_. ]+)*?)[-_. ]+(?P<end>{_OUTLINE}|{_SMALL})(?P<number>[-_ ]?\d+)?$"
    rf"|^(?P<start>{_OUTLINE}|{_SMALL})[-_. ](?P<back>.+)$",
    re.IGNORECASE,
)
_FOLDER = re.compile(
    rf"(?:[\w.() ]*[-_. ])?(?:{_OUTLINE}|{_SMALL}|manual\d?|binary|bw)(?:[-_. ]\w+)?|\d(?:st|nd)[-_ ]manual", re.I
)
_COPIED = re.compile(
    r"^(?P<front>[-_. ]*[^-_. ]+(?:[-_. ]+[^-_. ]+)*?)[-_. ]+"
    r"(aug(ment(ed|ation))?|rot(at(e|ed|ion))?|[hv]?flip(ped)?|mirror(ed)?"
    r"|nois[ey]|blur(red)?|bright(ness)?|contrast|zoom(ed)?|shift(ed)?|shear(ed)?|crop(ped)?|sharp(en(ed)?)?|clahe)"
    r"([-_ ]?-?\d+)?$"
    r"|^(aug(mented)?|rotated|flipped|mirrored)[-_. ]+(?P<back>.+)$",
    re.IGNORECASE,
)
_PREVIEW = re.compile(_SMALL, re.IGNORECASE)
_SHARE = 0.5  # of the pictures in a folder called as one of outlines that have a picture of their name beside it
_ALIKE = 0.8  # the same for a folder whose name says nothing
_DENIAL = r"(no|non|not|without|un)[-_ ]*"
_LOOKED_AT = 12  # pictures of a folder that are decoded
_TRIED = 3  # pairs of folders of the same two names that are compared by their pixels
_MOST_SIBLINGS = 24  # folders beside each other that are compared where no name speaks of outlines
_LEVELS = 8  # grey levels, of 64, that hold nearly all pixels of an outline
_NEARLY_ALL = 0.97
_MOST = 0.75  # of the pictures looked at, where a folder is called one of outlines by them


def find_derived(root: Path, images: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Find the pictures that were made from others, by the reason to leave them out.

    Parameters
    ----------
    root : Path
        The data folder, for the few pictures whose pixels must be looked at.
    images : sequence of str
        Relative paths.
    """
    found = find_marked(images)
    rest = [image for image in images if image not in found]
    found |= _find_in_folders(root, rest)
    reasons: dict[str, list[str]] = {}
    for image, reason in found.items():
        reasons.setdefault(reason, []).append(image)
    return {reason: tuple(sorted(names)) for reason, names in reasons.items()}


def note_derived(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Say how many pictures are left out as made from others, and where they lie."""
    notes = []
    for reason, images in found.items():
        folders = sorted({image.rpartition("/")[0] for image in images})
        what = {MASK: "outlines or maps drawn for", COPY: "copies made of"}.get(reason, "previews of")
        where = f"in {list_some(folders)}, " if folders != [""] else ""
        notes.append(
            f"{len(images)} pictures ({where}such as {images[0]}) are {what} others of the same name: left out."
        )
    return notes


def find_marked(images: Sequence[str]) -> dict[str, str]:
    """Find the pictures whose name is that of another in the same folder and a mark: x_mask, mask_x, x_GT, x_rot90."""
    bare = {_stem(image) for image in images}
    found = {}
    for image in images:
        folder, _, _ = image.rpartition("/")
        name = _stem(image[len(folder) :].lstrip("/"))
        for pattern in (_MARK, _COPIED):
            match = pattern.match(name)
            other = (match["front"] or match["back"]) if match else ""
            if match is None or (f"{folder}/{other}" if folder else other) not in bare:
                continue
            if pattern is _COPIED:
                found[image] = COPY
            else:
                found[image] = PREVIEW if _PREVIEW.fullmatch(match["end"] or match["start"]) else MASK
            break
    return found


def _stem(image: str) -> str:
    """Write a path without the suffix."""
    folder, slash, name = image.rpartition("/")
    front, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{front if front and dot else name}"


@lru_cache(maxsize=1 << 16)
def _is_called(folder: str) -> bool:
    """Tell whether a folder is called as one of outlines or previews is."""
    return _FOLDER.fullmatch(folder) is not None


@lru_cache(maxsize=1 << 16)
def bare_name(name: str) -> str:
    """Write a file's name without suffix and mark, by which a picture and its outline are the same."""
    stem = _stem(name)
    match = _MARK.match(stem)
    return (match["front"] or match["back"] if match else stem).casefold()


def _find_in_folders(root: Path, images: Sequence[str]) -> dict[str, str]:
    """Find folders of outlines beside folders of the pictures: masks/x.png beside images/x.png, at any level."""
    # By what stands above and below one folder of the path: the folders there, each with its pictures by bare name.
    beside: dict[tuple[str, str], dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for image in images:
        *folders, name = image.split("/")
        bare = bare_name(name)
        for k, folder in enumerate(folders):
            around = "/".join(folders[:k]), "/".join(folders[k + 1 :])
            beside[around][folder].setdefault(bare, image)
        # Outlines in a folder below their pictures: class/x.png and class/masks/x.png.
        if folders and _is_called(folders[-1]):
            continue
        beside["/".join(folders), ""]["."].setdefault(bare, image)
    look = _PixelLevels(root)
    found: dict[str, str] = {}
    kinds: dict[tuple[str, str], str] = {}
    refused: Counter[tuple[str, str]] = Counter()
    for (above, _), siblings in beside.items():
        called = {name for name in siblings if _is_called(name) and not _is_denied(name, siblings)}
        for folder, here in siblings.items():
            if folder == "." or found.keys() >= set(here.values()):
                continue
            if folder in called:
                others = {bare: image for name in siblings.keys() - called for bare, image in siblings[name].items()}
                reason = _judge_called(look, folder, here, others)
            elif len(siblings) > _MOST_SIBLINGS:
                continue
            else:
                reason = None
                for name, there in siblings.items():
                    # What is no outline below a few folders is none below the thousands of others.
                    if name in (folder, ".") or refused[folder, name] >= _TRIED or reason:
                        continue
                    reason = MASK if _are_outlines(look, here, there) else None
                    refused[folder, name] += reason is None
            if reason:
                kinds[above, folder] = reason
                found |= dict.fromkeys(here.values(), reason)
    found |= _find_nested([image for image in images if image not in found])
    # A folder of outlines has them all, though some have no picture of their name.
    for image in images if kinds else ():
        folders = image.split("/")[:-1]
        for k, folder in enumerate(folders):
            if reason := kinds.get(("/".join(folders[:k]), folder)):
                found.setdefault(image, reason)
    return found


def _find_nested(images: Sequence[str]) -> dict[str, str]:
    """Find outlines in folders below one that is called so, beside the pictures: masks/left/x.png, images/x.png."""
    below: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for image in images:
        *folders, name = image.split("/")
        k = next((k for k, folder in enumerate(folders[:-1]) if _is_called(folder)), None)
        if k is not None:
            below["/".join(folders[:k]), folders[k]][image] = bare_name(name)
    found: dict[str, str] = {}
    for (above, folder), here in below.items():
        start = f"{above}/" if above else ""
        others = [image for image in images if image.startswith(start) and image not in here]
        siblings = {folder, *(image[len(start) :].split("/")[0] for image in others)}
        bare = {bare_name(image.rpartition("/")[2]) for image in others}
        named = sum(name in bare for name in here.values())
        if bare and named >= _SHARE * len(here) and not _is_denied(folder, siblings) and not _PREVIEW.fullmatch(folder):
            found |= dict.fromkeys(here, MASK)
    return found


def _judge_called(look: _PixelLevels, folder: str, here: Mapping[str, str], others: Mapping[str, str]) -> str | None:
    """Judge a folder that is called as one of outlines is: by the names of its pictures, else by their pixels."""
    reason = PREVIEW if _PREVIEW.fullmatch(folder) else MASK
    if not others or len(here.keys() & others.keys()) >= _SHARE * len(here):
        return reason if others else None
    if reason == PREVIEW or look.share_flat(list(here.values())) < _MOST:
        return None
    return MASK if look.share_flat(list(others.values())) <= 1 - _MOST else None


def _are_outlines(look: _PixelLevels, here: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Tell whether a folder whose name says nothing holds outlines of the pictures of the same names in another."""
    shared = sorted(here.keys() & there.keys())
    if len(shared) < max(3, _ALIKE * len(here)):
        return False
    if look.share_flat([here[name] for name in shared]) < _MOST:
        return False
    return look.share_flat([there[name] for name in shared]) <= 1 - _MOST


def _is_denied(folder: str, siblings: Iterable[str]) -> bool:
    """Tell whether a folder and one beside it are each other's opposites, as mask and no_mask: these are classes."""
    bare = {re.sub(_DENIAL, "", name.lower()) for name in siblings if re.match(_DENIAL, name.lower())}
    word = re.sub(r"^with[-_ ]+", "", folder.lower())
    return word in bare or re.match(_DENIAL, word) is not None


class _PixelLevels:
    """A look at some of the pictures, each decoded once."""

    def __init__(self, root: Path):
        self._root = root
        self._flat: dict[str, bool | None] = {}

    def share_flat(self, images: Sequence[str]) -> float:
        """Measure in what share of some pictures a few levels, two at least, hold nearly all pixels."""
        step = max(1, len(images) // _LOOKED_AT)
        told = [flat for image in islice(images, 0, None, step) if (flat := self._is_flat(image)) is not None]
        return sum(told) / len(told) if told else 0.5

    def _is_flat(self, image: str) -> bool | None:
        if image not in self._flat:
            self._flat[image] = _is_flat(self._root / image)
        return self._flat[image]


def _is_flat(path: Path) -> bool | None:
    from medloupe.imaging.decode import decode  # here, as most data sets have no such folders

    try:
        grey = decode(path, min_side=128).mean(2)
    except ImageError:
        return None
    levels = np.sort(np.bincount((grey / 4).astype(int).ravel(), minlength=64))[::-1]
    several = levels[1] >= 0.001 * levels.sum()  # of one value it is blank, which is another fault
    return bool(several and levels[:_LEVELS].sum() >= _NEARLY_ALL * levels.sum())
