"""Hand over what was fitted to find pictures in photographs of them, for the browser's code to do it alike."""

from __future__ import annotations

from typing import Any

from medloupe.imaging import prescreen, sides


def describe_finder() -> dict[str, Any]:
    """Describe the fitted finder as JSON: its lines, its two regressions, and the trees of the glance before it."""
    trees = prescreen.fitted()
    regressions = {
        name: {"weights": weights.tolist(), "bias": bias} for name, (weights, bias) in sides.fitted().items()
    }
    return {
        "auto": sides.AUTO_LINE,
        "always": sides.ALWAYS_LINE,
        **regressions,
        "trees": {
            "line": trees.line,
            "feature": trees.feature.tolist(),
            "threshold": trees.threshold.tolist(),
            "leaf": trees.leaf.tolist(),
        },
    }
