"""The trained part of a network: what it embeds, and its weights between two others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tunable
from medloupe.embed.network import Network
from medloupe.training.tune.network import embed_rows, extract_trainable, interpolate_weights
from medloupe.training.tune.recipe import Recipe
from tuningwork import activation_source

pytest.importorskip("torch")


SICK = np.arange(48) % 2 == 1


def test_between_the_pretrained_and_the_tuned() -> None:
    start, end = {"w": np.array([0.0, 2.0], np.float32)}, {"w": np.array([1.0, 4.0], np.float32)}
    assert interpolate_weights(end, start, 0)["w"].tolist() == [0, 2]
    assert interpolate_weights(end, start, 0.5)["w"].tolist() == [0.5, 3]
    assert interpolate_weights(end, start, 1)["w"].tolist() == [1, 4]


def test_embeddings_are_those_of_the_network(tmp_path: Path) -> None:
    source, module = activation_source(tmp_path, SICK), extract_trainable(tunable.graph(), Recipe())
    images = np.stack([tunable.picture(i, bool(s)) for i, s in enumerate(SICK)])
    expected = Network(tunable.backbone(tmp_path)).see(images).embedding[:, : tunable.UPPER]
    rows = np.array([40, 3, 3, 7])
    np.testing.assert_allclose(embed_rows(module, source, rows), expected[rows], atol=5e-3)  # cached in half precision
    assert embed_rows(module, source, rows[:0]).shape[0] == 0
