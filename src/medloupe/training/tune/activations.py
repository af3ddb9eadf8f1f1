"""Cache what reaches the cut of a backbone, for every picture and a few augmented views of it: mapped, resumable.

Fine-tuning the upper stages then never decodes a picture or runs the lower stages again. One folder holds one data set:

    view-V.f16     float16 (N, H, W, C), the activation at the cut; V = 0 is the picture as it is
    done-V.u1      uint8 (N,): 1 where the row is written; flushed after it, so that a kill loses little
"""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medloupe.errors import StoreError
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import DECODING, FITTING, load
from medloupe.settings import home
from medloupe.training.tune.views import LIGHT, TURN, ZOOM, Symmetry, random_view
from medloupe.utils.batches import map_batches
from medloupe.utils.mapped import flush, map_array
from medloupe.utils.progress import Progress

if TYPE_CHECKING:
    from medloupe.embed.backbone import Backbone
    from medloupe.embed.features import Features

MOST_BYTES = 8 * 10**9  # bytes of all cut caches together, the one in use apart
BATCH = 4
_FLUSH = 64  # pictures between two flushes


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """Mapped activations of V views of N pictures.

    Attributes
    ----------
    maps : tuple of np.ndarray
        V arrays float16 (N, H, W, C).
    files : tuple of Path
        Where they lie.
    """

    maps: tuple[np.ndarray, ...]
    files: tuple[Path, ...] = ()


def cache_activations(
    features: Features, backbone: Backbone, allowed: Symmetry, views: int, progress: Progress | None = None
) -> Activations:
    """Make the activations at the cut of all pictures of a data set; what is cached already is not made again.

    Parameters
    ----------
    features : Features
        Of N pictures.
    backbone : Backbone
        With a cut.
    allowed : Symmetry
        Which changes the views may have.
    views : int
        How many of each picture; the first is the picture as it is.
    progress : Progress or None
        Called with rows made, of those that were missing.

    Raises
    ------
    StoreError
        When the disk is full.
    ImageError
        When a picture that could be read before no longer can.
    """
    folder = _folder(features, backbone, allowed)
    n = len(features.data)
    with explain_disk_errors(folder, _row_bytes(n, backbone) * views):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "used").touch()
        made = [_open(folder, v, n, backbone) for v in range(views)]
        todo = [(i, v) for i in range(n) for v in range(views) if not made[v][1][i]]
        if todo:
            _fill(features, backbone, allowed, made, todo, progress)
        evict_caches(folder)
    return Activations(
        maps=tuple(maps for maps, _ in made), files=tuple(folder / f"view-{v}.f16" for v in range(views))
    )


def count_missing(features: Features, backbone: Backbone, allowed: Symmetry, views: int) -> int:
    """Count the rows of so many views that are not cached yet."""
    folder, n = _folder(features, backbone, allowed), len(features.data)
    done = [folder / f"done-{v}.u1" for v in range(views)]
    return n * views - sum(int(np.fromfile(path, np.uint8).sum()) for path in done if path.exists())


def cache_pixels(
    features: Features, backbone: Backbone, progress: Progress | None = None
) -> tuple[Path, tuple[int, ...]]:
    """Map a file of all fitted pictures, to train a whole network on.

    Returns
    -------
    tuple of (Path, tuple of int)
        The file, uint8, and its shape (N, S, S, 3).

    Raises
    ------
    StoreError, ImageError
        As cache_activations does.
    """
    n, size = len(features.data), backbone.card.input_size
    folder = _folder(features, backbone, Symmetry(mirror=False, turn=False)).with_suffix(f".{size}")
    shape = (n, size, size, 3)
    with explain_disk_errors(folder, n * size * size * 3):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "used").touch()
        pixels = map_array(folder / "pixels.u1", np.uint8, shape, folder / "done")
        if not (folder / "done").exists():

            def start() -> Callable[[list[int]], int]:
                def work(taken: list[int]) -> int:
                    for i in taken:
                        pixels[i] = load(features.data.records[i].picture, size)
                    return len(taken)

                return work

            count = 0
            for taken in map_batches(range(n), 16, start):
                count += taken
                if progress:
                    progress(count, n)
            flush(pixels)
            (folder / "done").touch()
        evict_caches(folder)
    return folder / "pixels.u1", shape


@contextmanager
def explain_disk_errors(folder: Path, size: int) -> Iterator[None]:
    """Raise StoreError for what the disk refuses. size: bytes that are needed under the folder."""
    try:
        yield
    except OSError as e:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise StoreError(
            f"The cache for fine-tuning {folder} cannot be written: {e.strerror or e}.",
            f"This data set needs {size / 1e9:.1f} GB there: free some space, or choose another place with --home."
            if full
            else "Choose a folder you may write to with --home or MEDLOUPE_HOME.",
        ) from e


def _folder(features: Features, backbone: Backbone, allowed: Symmetry) -> Path:
    recipe = f"{FITTING}:{DECODING}:{backbone.sha256}:{allowed.mirror}:{allowed.turn}:{TURN}:{ZOOM}:{LIGHT}"
    key = hashlib.sha256(recipe.encode())
    for digest in features.digests:
        key.update(digest)
    return home() / "cache" / "cuts" / key.hexdigest()[:24]


def _row_bytes(n: int, backbone: Backbone) -> int:
    return n * (2 * int(np.prod(backbone.card.cut)) + 1)


def _open(folder: Path, v: int, n: int, backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    c, h, w = backbone.card.cut
    done = folder / f"done-{v}.u1"
    maps = map_array(folder / f"view-{v}.f16", np.float16, (n, h, w, c), done)
    return maps, map_array(done, np.uint8, (n,))


def _fill(
    features: Features,
    backbone: Backbone,
    allowed: Symmetry,
    made: Sequence[tuple[np.ndarray, np.ndarray]],
    todo: list[tuple[int, int]],
    progress: Progress | None,
) -> None:
    network, size = open_session(backbone.path, threads=1), backbone.card.input_size
    records = features.data.records

    def start() -> Callable[[list[tuple[int, int]]], list[tuple[int, int]]]:
        pixels = np.empty((BATCH, size, size, 3), np.uint8)

        def work(taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
            last, plain = -1, pixels[0]
            for slot, (i, v) in enumerate(taken):
                if i != last:
                    last, plain = i, load(records[i].picture, size)
                rng = np.random.default_rng([v, *features.digests[i][:8]])
                pixels[slot] = random_view(plain, allowed, rng) if v else plain
            (cut,) = run(network, ["cut"], pixels[: len(taken)])  # the stages above do not run
            for slot, (i, v) in enumerate(taken):
                made[v][0][i] = cut[slot].transpose(1, 2, 0)
            return taken

        return work

    written: list[tuple[int, int]] = []
    count = 0
    for taken in map_batches(todo, BATCH, start):
        written += taken
        count += len(taken)
        if len(written) >= _FLUSH or count == len(todo):
            _mark(made, written)
            written = []
        if progress:
            progress(count, len(todo))


def _mark(made: Sequence[tuple[np.ndarray, np.ndarray]], written: list[tuple[int, int]]) -> None:
    """Write rows first, then the marks that they are there."""
    for maps, _ in made:
        flush(maps)
    for i, v in written:
        made[v][1][i] = 1
    for _, done in made:
        flush(done)


def evict_caches(keep: Path) -> None:
    """Delete the other folders beside `keep`, the longest unused first, beyond MOST_BYTES; touch its `used`."""
    (keep / "used").touch()
    others = [f for f in keep.parent.iterdir() if f.is_dir() and f != keep]
    sizes = {f: sum(p.stat().st_size for p in f.rglob("*")) for f in others}
    used = {f: (f / "used").stat().st_mtime if (f / "used").exists() else 0.0 for f in others}
    for folder in sorted(others, key=used.__getitem__):
        if sum(sizes.values()) <= MOST_BYTES:
            break
        with suppress(OSError):
            shutil.rmtree(folder)
        sizes.pop(folder)
