"""A detector of discs and squares on generated pictures, trained once, and a server that has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from discs import write_discs
from live import Live, running


@dataclass(frozen=True)
class TrainedDetector:
    """home: of the store with the model `shapes`; data: what it learned from."""

    home: Path
    data: Path

    @property
    def pictures(self) -> list[Path]:
        return sorted((self.data / "images").glob("*.png"))


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> TrainedDetector:
    """Trained in some seconds on 24 pictures."""
    pytest.importorskip("torch")
    import medloupe
    from medloupe.training.detect import loop

    root = tmp_path_factory.mktemp("detector")
    data = write_discs(root / "shapes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        patch.setattr(loop, "STEPS", 60)
        medloupe.train(medloupe.read(data), name="shapes")
    return TrainedDetector(root / "home", data)


@pytest.fixture(scope="session")
def live_detector(detector: TrainedDetector) -> Iterator[Live]:
    """A server with it that keeps pictures."""
    with running(detector.home, "--keep-images") as server:
        yield server
