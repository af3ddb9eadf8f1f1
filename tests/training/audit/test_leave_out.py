"""The closed form gives what refitting without each group gives."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.training.audit import leave_out
from medloupe.training.audit.leave_out import STRENGTHS, GroupLeaveOut


def refitted(features: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Ridge regression fitted anew without each group, the penalty and the mean those of all rows."""
    mean, n = targets.mean(0), len(targets)
    out = np.zeros_like(targets)
    for strength in STRENGTHS:
        for group in np.unique(groups):
            rest, own = groups != group, groups == group
            a = features[rest].T @ features[rest] + strength * n * np.eye(features.shape[1])
            out[own] += features[own] @ np.linalg.solve(a, features[rest].T @ (targets[rest] - mean))
    return mean + out / len(STRENGTHS)


@pytest.mark.parametrize(
    ("landmarks", "size"), [(2000, 3), (20, 3), (20, 40)], ids=["all rows", "some", "large groups"]
)
def test_the_closed_form_is_the_refit(landmarks: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_out, "LANDMARKS", landmarks)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 12)).astype(np.float32)
    groups = np.arange(120) // size
    groups[:5] = np.arange(1000, 1005)  # single ones, too
    y = np.eye(3)[np.argmax(x[:, :3], 1)]
    kernel = leave_out._kernel_features(x, 0)
    expected = refitted(kernel, y, groups)
    assert np.abs(GroupLeaveOut(x, groups).predict(y) - expected).max() < 1e-5


def test_a_group_does_not_see_its_own_labels() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 8)).astype(np.float32)
    groups = np.arange(60) // 2
    left_out = GroupLeaveOut(x, groups)
    y = np.eye(2)[(x[:, 0] > 0).astype(int)]
    turned = y.copy()
    turned[10], turned[11] = y[10][::-1], y[11][::-1]
    moved = (left_out.predict(turned) - turned.mean(0)) - (left_out.predict(y) - y.mean(0))
    # Only the shift of the overall mean is left.
    assert np.abs(moved[10:12]).max() < 0.05
