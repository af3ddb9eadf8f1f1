"""Choose which of a check-up's precisions answers on this machine: the one whose network is faster here.

Timed once on each machine, both networks as they would serve, their runs interleaved; kept beside the optimised copies.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medloupe.errors import MedloupeError
from medloupe.graphs.latency import measure_pace
from medloupe.graphs.optimised import describe_machine, ensure_optimised, open_optimised
from medloupe.graphs.session import run
from medloupe.utils.files import write_atomically

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

ROUNDS = 15
WORTHWHILE = 1.05  # times faster, from which another precision than the one trained in is taken
_FILE = "pace.json"
log = logging.getLogger("medloupe.serving")


class Precisions:
    """Chooses among the precisions of check-ups; safe to use from several threads.

    Parameters
    ----------
    folder
        Where the optimised copies lie, and what was measured.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._known = read_measurements(folder)
        self._measuring = threading.Lock()  # two at once would slow each other

    def choose(self, options: Mapping[str, CheckUp]) -> CheckUp:
        """Choose one of a version's check-ups by precision; "fp32", in which it was trained, is one of them.

        Where the other cannot be opened, or is hardly faster, it is fp32. Raises nothing of its own.
        """
        best, ahead = options["fp32"], WORTHWHILE
        for precision, checkup in options.items():
            if precision == "fp32":
                continue
            try:
                times = self._times_faster(options["fp32"], checkup)
            except MedloupeError as e:
                log.warning("precision not used", extra={"model": checkup.name, "reason": str(e)})
                continue
            if times >= ahead:
                best, ahead = checkup, times
        return best

    def _times_faster(self, usual: CheckUp, other: CheckUp) -> float:
        """Tell how many times as fast the network of `other` is; raises ModelFileError, StoreError."""
        key = measurement_key(usual.network_sha256, other.network_sha256)
        if key in self._known:
            return self._known[key]
        with self._measuring:
            if key not in self._known:
                self._known[key] = times = self._measure(usual, other)
                said = f"{other.precision} is {times:.2f} times as fast as {usual.precision}"
                log.info("precision timed", extra={"model": other.name, "version": other.version, "reason": said})
                self._write()
        return self._known[key]

    def _measure(self, usual: CheckUp, other: CheckUp) -> float:
        dice = np.random.default_rng(0)
        noise = dice.integers(0, 256, usual.blank().shape, np.uint8)
        pixels = noise if usual.windows is None else (noise / np.float32(128) - 1).astype(np.float32)
        copies = [ensure_optimised(c.network, c.network_sha256, self._folder) for c in (usual, other)]
        opened = [open_optimised(copy, 1) for copy in copies]
        return measure_pace([lambda s=s: run(s, ["embedding"], pixels) for s in opened], ROUNDS).times_faster[1]

    def _write(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / _FILE, json.dumps(self._known, indent=1).encode())
        except OSError as e:  # it is measured again at the next start
            log.warning("pace not kept", extra={"reason": str(e)})


def read_measurements(folder: Path) -> dict[str, float]:
    """Read what was measured before: times faster, by `measurement_key`."""
    try:
        said = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: float(v) for k, v in said.items() if isinstance(v, int | float)} if isinstance(said, dict) else {}


def measurement_key(usual_sha256: str, other_sha256: str) -> str:
    """Name what a measurement holds for: this kind of machine and two networks."""
    return f"{describe_machine()}:{usual_sha256}:{other_sha256}"
