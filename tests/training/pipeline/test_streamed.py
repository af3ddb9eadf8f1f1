"""A training whose features are larger than memory says so, and comes to the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
from medloupe.data.reading import read


@pytest.mark.slow
def test_features_larger_than_memory(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = generated.folders(tmp_path / "data", 45, splits=("train", "test"))  # 180 × 3,584 × 4 bytes: 2.6 MB
    told: list[str] = []
    models = []
    for megabytes in ("1000", "1"):
        monkeypatch.setenv("MEDLOUPE_FEATURES_MB", megabytes)
        told.append(f"up to {megabytes}")
        monkeypatch.setenv("MEDLOUPE_HOME", str(home / megabytes))
        models.append(medloupe.train(read(data), name="spots", progress=lambda stage, *_: told.append(stage)))
    assert "streaming" not in told[: told.index("up to 1")]
    assert "streaming" in told[told.index("up to 1") :]
    inside, streamed = models
    assert streamed.card["metrics"]["auc"]["value"] == pytest.approx(inside.card["metrics"]["auc"]["value"], abs=0.01)
    assert streamed.card["split"] == inside.card["split"]
    scale = np.abs(inside.head.weight).max()
    np.testing.assert_allclose(streamed.head.weight, inside.head.weight, atol=0.1 * scale)
