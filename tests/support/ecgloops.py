"""Published check-ups of ECGs with their data sets: one class each, and several findings each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

import ecgmaker
from loops import Loop
from medloupe.ecg.packing import pack_signal
from medloupe.ecg.signal import Signal
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.studio.training import start_training

NAME = {False: "rhythms", True: "ecg-findings"}
CLASSES = {
    False: (DatasetClass(name="sinus", role="normal"), DatasetClass(name="ectopic", role="sought")),
    True: (DatasetClass(name="ectopic", role="sought"), DatasetClass(name="fast", role="sought")),
}


def draw_signal(number: int, found: Collection[str], seconds: float = 10, rate: float = 250) -> Signal:
    """Twelve leads, another ECG for every number, with ventricular beats, or fast, or both, or neither."""
    pace = (118 if "fast" in found else 62) + 1.1 * (number % 15)
    beats = ecgmaker.even(seconds, pace, spread=0.03, seed=number)
    made = ecgmaker.with_ectopics(beats, every=3) if "ectopic" in found else beats
    return ecgmaker.ecg(made, seconds, rate, noise=0.02, wander=0.05, seed=number)


def pick(number: int, *, several: bool) -> tuple[str, ...]:
    """What an ECG of this number shows: the classes in turn, or none, one, the other or both findings."""
    if not several:
        return (CLASSES[False][number % 2].name,)
    return tuple(c.name for k, c in enumerate(CLASSES[True]) if number >> k & 1)


class EcgLoop(Loop):
    """The store under a home with a data set of ECGs and its version 1 in production."""

    @property
    def name(self) -> str:
        """The data set's, and the check-up's."""
        return self.sets.list()[0].name

    @property
    def dataset(self) -> str:
        return self.sets.get(self.name).id


def make_ecg_loop(root: Path, *, several: bool, count: int = 48) -> None:
    """Train and publish version 1 of so many ECGs."""
    home = root / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(home))
        loop, name = EcgLoop(home), NAME[several]
        task = "ecg_multilabel" if several else "ecg"
        id = loop.sets.create(name, title=name, task=task, classes=CLASSES[several]).id
        items = []
        for n in range(count):
            found = pick(n, several=several)
            told: dict[str, Any] = (
                {"labels": {c.name: int(c.name in found) for c in CLASSES[True]}} if several else {"label": found[0]}
            )
            data = pack_signal(draw_signal(n, found))
            items.append(NewItem(key=f"{n}", data=data, file=f"{n:03}.npz", patient=f"P{n}", **told))
        loop.sets.add(id, items, batch="base")
        start_training(loop.sets, loop.queue, id, by="local")
        loop.work()
        loop.store.promote(name, 1, actor="local")


def make_rhythms(root: Path) -> None:
    """One class each."""
    make_ecg_loop(root, several=False)


def make_ecg_findings(root: Path) -> None:
    """Several findings each."""
    make_ecg_loop(root, several=True)
