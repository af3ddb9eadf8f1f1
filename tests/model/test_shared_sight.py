"""What a detector's pictures look like to the network that others share: kept, and used by the app to find it."""

from __future__ import annotations

import io

import numpy as np

from medloupe.model.head import Head
from medloupe.model.novelty import Novelty
from medloupe.model.sight import SharedSight
from medloupe.modelfile.parts import head_bytes, read_detector_bytes, read_head


def made_novelty(seed: int) -> Novelty:
    rng = np.random.default_rng(seed)
    found = Novelty.fit(rng.normal(size=(60, 40)).astype(np.float32), np.arange(60), (40,))
    assert found is not None
    return found


def test_it_is_kept_beside_the_models_own_novelty() -> None:
    own, shared = made_novelty(0), made_novelty(1)
    head = Head(weight=np.zeros((1, 40), np.float32), bias=np.zeros(1, np.float32), task="detection")
    data = head_bytes(head, own, None, None, SharedSight(novelty=shared, network="ab" * 32))
    _, again, _ = read_head(data, "detection")
    detector, sight = read_detector_bytes(data)
    assert detector is None and sight is not None and again is not None
    assert sight.network == "ab" * 32
    seen = np.random.default_rng(2).normal(size=(5, 40)).astype(np.float32)
    assert np.array_equal(sight.novelty.score(seen), shared.score(seen))
    assert np.array_equal(again.score(seen), own.score(seen))


def test_models_without_one_give_the_bytes_they_always_gave() -> None:
    head = Head(weight=np.zeros((1, 40), np.float32), bias=np.zeros(1, np.float32), task="multilabel")
    plain = io.BytesIO()
    np.savez(plain, weight=head.weight, bias=head.bias, **made_novelty(0).as_arrays())
    assert head_bytes(head, made_novelty(0)) == plain.getvalue()
    assert read_detector_bytes(plain.getvalue()) == (None, None)
