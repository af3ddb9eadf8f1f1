"""A published check-up of several findings a picture with its data set, and corrections that come to it."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import generated
from loops import Loop
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.review_nouns import ReviewCase
from medloupe.studio.training import start_training

NAME = "films"
FINDINGS = ("dots", "stripes")
SIDE = 96


def picture(number: int, found: Collection[str]) -> bytes:
    """A PNG, another one for every number, with bright dots in it, or stripes, or both, or neither."""
    rng = np.random.default_rng([77, number])
    ground = generated.tissue(number, sick=False)
    made = Image.fromarray(ground).resize((SIDE, SIDE))
    draw = ImageDraw.Draw(made)
    for _ in range(6):
        x, y = (int(v) for v in rng.integers(12, SIDE - 16, 2))
        colour = tuple(int(v) for v in rng.integers(185, 240, 3))
        if "dots" in found:
            draw.ellipse([x - 5, y - 5, x + 5, y + 5], fill=colour)
        if "stripes" in found:
            draw.line([2, SIDE - y, SIDE - 2, SIDE - y], fill=colour, width=3)
    out = io.BytesIO()
    made.save(out, "PNG")
    return out.getvalue()


def pick(number: int) -> tuple[str, ...]:
    """Which findings a picture of this number has: none, one, the other or both in turn."""
    return tuple(name for k, name in enumerate(FINDINGS) if number >> k & 1)


class FindingsLoop(Loop):
    """The store under a home with the data set `films` and its version 1 in production."""

    @property
    def dataset(self) -> str:
        return self.sets.get(NAME).id

    def settle_one(
        self, number: int, found: Collection[str], reader: str = "rea", *, turned: bool = False, version: int = 1
    ) -> ReviewCase:
        """A new picture, answered "nothing flagged", and settled by a reader; turned: who says the opposite."""
        answer = {"prediction": "dots", "flagged": [], "probabilities": {"dots": 0.3, "stripes": 0.2}}
        said = [name for name in FINDINGS if (name in found) != turned]
        labels = {name: int(name in said) for name in FINDINGS}
        return self._settle(
            number, picture(number, found), reader, answer, said, size=(SIDE, SIDE), version=version, labels=labels
        )

    def correct(
        self, first: int, count: int, reader: str = "rea", *, turned: bool = False, version: int = 1
    ) -> list[ReviewCase]:
        return [
            self.settle_one(first + n, pick(first + n), reader, turned=turned, version=version) for n in range(count)
        ]


def make_findings_loop(root: Path, count: int = 48) -> None:
    """Train and publish version 1 of so many pictures: none, one, the other and both in turn."""
    home = root / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(home))
        loop = FindingsLoop(home)
        classes = [DatasetClass(name=name, role="sought") for name in FINDINGS]
        id = loop.sets.create(NAME, title="Films", task="multilabel", classes=classes).id
        items = [
            NewItem(
                key=f"base-{n}",
                data=picture(n, pick(n)),
                file=f"films/{n:03}.png",
                labels={name: int(name in pick(n)) for name in FINDINGS},
                patient=f"P{n // 2}" if n < count // 2 else None,
            )
            for n in range(count)
        ]
        untold = NewItem(key="untold", data=picture(count, ()), file="films/untold.png")
        loop.sets.add(id, [*items, untold], batch="base")
        start_training(loop.sets, loop.queue, id, by="local")
        loop.work()
        loop.store.promote(NAME, 1, actor="local")
