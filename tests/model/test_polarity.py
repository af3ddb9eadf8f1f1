"""A grey picture whose negative is markedly nearer to a check-up's own kind is inverted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medloupe.imaging.picture import negative_of, whole_picture
from medloupe.model.novelty import Novelty
from medloupe.model.polarity import is_doubtful, is_inverted
from pictures import gradient

D = 64


@pytest.fixture(scope="module")
def novelty() -> Novelty:
    own = np.abs(np.random.default_rng(3).normal(5, 1, (400, D))).astype(np.float32)
    made = Novelty.fit(own, np.arange(400), (D,))
    assert made is not None
    return made


def far_off(share: float) -> np.ndarray:
    """An embedding that is its own kind's middle, with another pattern mixed in."""
    x = np.full(D, 5.0)
    x[::2] *= 1 - share
    return x.astype(np.float32)


def test_what_lies_well_within_is_not_doubted(novelty: Novelty) -> None:
    assert not is_doubtful(novelty, far_off(0.0))
    assert is_doubtful(novelty, far_off(0.9))


def test_the_nearer_of_picture_and_negative_is_right(novelty: Novelty) -> None:
    near, far = far_off(0.1), far_off(0.6)
    assert is_inverted(novelty, far, near)
    assert not is_inverted(novelty, near, far)
    assert not is_inverted(novelty, far, far)
    assert not is_inverted(novelty, far_off(0.99), far_off(0.9)), "a negative that is foreign too proves nothing"


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (64, 64), (1, 200)])
def test_the_negative_leaves_the_padding_black(size: tuple[int, int]) -> None:
    grey = Image.fromarray(gradient(*size)[..., 0])
    fitted = whole_picture(grey).fit(64)
    expected = whole_picture(Image.fromarray(255 - np.asarray(grey))).fit(64)
    negative = negative_of(fitted, *size)
    assert negative is not None
    assert np.abs(negative.astype(int) - expected).max() <= 1
    assert negative_of(whole_picture(Image.fromarray(gradient(*size))).fit(64), *size) is None or min(size) == 1
