"""Pictures embedded by a Ray cluster are those embedded here, and so is what is trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed import pictures
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.errors import MedloupeError
from medloupe.jobs.local_pool import LocalPool
from medloupe.jobs.pool import Lost
from medloupe.training.audit.findings import audit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = generated.folders(tmp_path / "data", 12)
    (folder / "sick" / "broken.png").write_bytes((folder / "sick" / "000.png").read_bytes()[:99])
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_training_by_ray_is_training_here(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = []
    monkeypatch.setattr(pictures, "TASK", 10)
    for engine in ("local", "ray"):
        monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / engine))
        monkeypatch.setenv("MEDLOUPE_ENGINE", engine)
        models.append(medloupe.train(read(data), name="spots"))
    here, there = models
    np.testing.assert_allclose(there.head.weight, here.head.weight, atol=1e-5)
    np.testing.assert_allclose(there.head.bias, here.head.bias, atol=1e-5)
    for part in ("metrics", "data", "per_label", "audit", "novelty"):
        assert there.card[part] == here.card[part]


def test_workers_that_live_embed_the_same(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by processes of this machine, which need no Ray."""
    monkeypatch.setattr(pictures, "open_pool", lambda engine, start: LocalPool(start, 1))
    monkeypatch.setattr(pictures, "TASK", 7)
    found = {}
    for engine in ("local", "ray"):
        monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / engine))
        monkeypatch.setenv("MEDLOUPE_ENGINE", engine)
        found[engine] = embed(scan_dataset(read(data)), backbone())
    here, there = found["local"], found["ray"]
    assert there.decoded == here.decoded == 24
    assert [r.id for r in there.data.records] == [r.id for r in here.data.records]
    assert there.unreadable == here.unreadable and len(there.unreadable) == 1
    np.testing.assert_array_equal(there.facts, here.facts)
    np.testing.assert_allclose(there.embeddings, here.embeddings, atol=1e-5)
    assert np.array_equal(audit(there).groups, audit(here).groups)


def test_pictures_that_end_every_worker(data: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ending(LocalPool):
        def run(self, tasks):
            yield next(iter(tasks)), Lost(3)

    monkeypatch.setattr(pictures, "open_pool", lambda engine, start: Ending(start, 1))
    monkeypatch.setenv("MEDLOUPE_ENGINE", "ray")
    with pytest.raises(MedloupeError, match="3 workers ended while they embedded 25 pictures from normal/000"):
        embed(scan_dataset(read(data)), backbone())
