"""Keep the predictions that a version's figures come from, record by record.

None is by a head that had seen the record. They lie beside its report, so that another version can be held against it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

FILE = "judged.npz"
OUT_OF_FOLD = "out-of-fold.npz"
"""Predictions for all that was learned, each by a head that had not; beside FILE where that holds others."""
_DIGEST = 8  # bytes of a sha256: two of a million images are mistaken for one another once in 30 million data sets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What a card's figures come from, for N records, K labels and R repeats of cross-validation (1: a test split).

    Attributes
    ----------
    digests
        uint64 (N,), the first 8 bytes of the sha256 of each image.
    groups
        int64 (N,), records of one patient have one.
    targets
        float32 (N, K) of 1/0/NaN.
    probabilities
        float32 (R, N, K).
    announced
        float32 (N, K), the share of the repeats in which the label was announced.
    flagged
        float32 (N, K), the share in which the label reached its line; None where that was not kept.
    erased
        How many more there were, which were erased since: at the wish of those pictured.
    """

    labels: tuple[str, ...]
    task: str
    digests: np.ndarray
    groups: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray
    announced: np.ndarray
    flagged: np.ndarray | None = None
    erased: int = 0

    @property
    def question(self) -> str:
        """What the predictions answer, in words."""
        return f"{self.task} {', '.join(self.labels)}"

    @staticmethod
    def digest(sha256s: Sequence[bytes]) -> np.ndarray:
        """Shorten whole digests to uint64 (N,)."""
        return np.frombuffer(b"".join(d[:_DIGEST] for d in sha256s), np.uint64)

    def exclude(self, known: np.ndarray) -> Evidence:
        """Leave out all groups of which any record is known.

        Parameters
        ----------
        known
            bool (N,): learned from before, as by a network that this one went on from.
        """
        return self.take(np.flatnonzero(~np.isin(self.groups, self.groups[known])))

    def erase(self, digests: np.ndarray) -> Evidence:
        """Leave out records for good, by their shortened digests uint64 (M,), and count them."""
        kept = ~np.isin(self.digests, digests)
        return replace(self.take(np.flatnonzero(kept)), erased=self.erased + int((~kept).sum()))

    def take(self, rows: np.ndarray) -> Evidence:
        """Take some records: int (n,)."""
        return replace(
            self,
            digests=self.digests[rows],
            groups=self.groups[rows],
            targets=self.targets[rows],
            probabilities=self.probabilities[:, rows],
            announced=self.announced[rows],
            flagged=None if self.flagged is None else self.flagged[rows],
        )

    def as_bytes(self) -> bytes:
        """Write the content of judged.npz."""
        out = io.BytesIO()
        arrays = {name: getattr(self, name) for name in ("digests", "groups", "targets", "probabilities", "announced")}
        arrays |= {} if self.flagged is None else {"flagged": self.flagged}
        said = {"labels": np.array(self.labels), "task": np.array(self.task)}
        if self.erased:
            said["erased"] = np.array(self.erased)
        np.savez_compressed(out, **said, **arrays)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Evidence:
        """Read the content of judged.npz; nothing in it is executed.

        Raises
        ------
        ValueError
            It is damaged.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as stored:
                made = cls(
                    labels=tuple(stored["labels"].tolist()),
                    task=str(stored["task"]),
                    digests=stored["digests"],
                    groups=stored["groups"],
                    targets=stored["targets"],
                    probabilities=stored["probabilities"],
                    announced=stored["announced"],
                    flagged=stored.get("flagged"),
                    erased=int(stored["erased"]) if "erased" in stored else 0,
                )
        except (KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as e:
            raise ValueError(f"{FILE} is damaged: {e}") from e
        n, k, r = made.digests.size, len(made.labels), made.probabilities.shape[:1]
        arrays = (made.digests, made.groups, made.targets, made.announced, made.probabilities)
        kinds = "".join(a.dtype.kind for a in arrays)
        if kinds != "uifff" or r == (0,) or [a.shape for a in arrays] != [(n,), (n,), (n, k), (n, k), (*r, n, k)]:
            raise ValueError(f"{FILE} is damaged: its parts do not fit together.")
        if made.flagged is not None and (made.flagged.dtype.kind != "f" or made.flagged.shape != (n, k)):
            raise ValueError(f"{FILE} is damaged: its parts do not fit together.")
        return made

    @classmethod
    def read(cls, folder: Path, file: str = FILE) -> Evidence | None:
        """Read what a version's folder holds; None where there is none that can be read."""
        try:
            return cls.from_bytes((folder / file).read_bytes())
        except (OSError, ValueError):
            return None


def join_groups(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Join two groupings (N,): records stay together that either keeps together."""
    one, other = (np.unique(g, return_inverse=True)[1] for g in (one, other))
    label = one.copy()
    while True:  # the smallest number spreads through both until nothing changes
        before = label
        for grouping in (other, one):
            least = np.full(int(grouping.max(initial=-1)) + 1, len(label))
            np.minimum.at(least, grouping, label)
            label = least[grouping]
        if np.array_equal(before, label):
            return label
