"""Judge heat maps by boxes: whether they point into them, how much of the heat lies there, how far both overlap.

Everything is held against what could be said without looking at the picture: always the middle, the average heat map,
and the place where such boxes usually lie. Sources: the pointing game of Zhang et al., ECCV 2016 (without its margin of
15 pixels); the energy-based one of Wang et al., CVPR Workshops 2020 (Score-CAM).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Weighted

GRID = 64  # places a side, of any picture: shares of area stay what they are
_THRESHOLDS = np.linspace(0.05, 0.95, 19)  # shares of a map's strongest place
_FOLDS = 5
_FIXED = {
    "middle": "always the middle",
    "average_map": "the average heat map",
    "usual_place": "the place where such boxes usually lie",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelHeatMaps:
    """Heat maps of one label over n pictures, and where its boxes lie.

    Attributes
    ----------
    maps : np.ndarray
        float32 (n, GRID, GRID) over the picture itself, without padding; what speaks for the label is above 0.
    seen : np.ndarray
        float32 (n,), share of what speaks for it that lies in the picture, not in the padding around it.
    boxes : sequence of np.ndarray
        float (m, 4) of each picture: x0, y0, x1, y1 as shares of its width and height.
    groups : np.ndarray
        int (n,).
    called : np.ndarray
        bool (n,), whether the label was the answer, or flagged.
    """

    maps: np.ndarray
    seen: np.ndarray
    boxes: Sequence[np.ndarray]
    groups: np.ndarray
    called: np.ndarray


def cover(boxes: np.ndarray) -> np.ndarray:
    """Measure how much of each place boxes (m, 4), in shares of the picture, cover together: float64 (GRID, GRID)."""
    edges = np.arange(GRID + 1) / GRID
    whole = np.zeros((GRID, GRID))
    for x0, y0, x1, y1 in np.asarray(boxes, np.float64).reshape(-1, 4):
        across, down = (
            np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * GRID
            for low, high in ((x0, x1), (y0, y1))
        )
        whole = np.maximum(whole, down[:, None] * across[None])
    return whole


def hits(boxes: np.ndarray, x: float, y: float) -> bool:
    """Tell whether a point lies in any of the boxes (m, 4), both in shares of the picture."""
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    return bool(((b[:, 0] <= x) & (x <= b[:, 2]) & (b[:, 1] <= y) & (y <= b[:, 3])).any())


def judge_places(places: LabelHeatMaps, seed: int = 0) -> dict[str, Any]:
    """Compute the figures of one label's heat maps.

    Returns
    -------
    dict
        "n" pictures, "groups", "boxes"; figures "pointing" (share of the pictures whose strongest place lies in a box),
        "energy" (share of the heat that does), "iou" (of the part above a threshold that was chosen on other groups);
        "threshold" (mean of those chosen, of the strongest place); "baselines" by name with the same figures; "gain":
        paired differences to the best baseline of each, with its name; "called": "n" and "pointing" of the pictures in
        which the label was the answer.
    """
    covered = np.stack([cover(b) for b in places.boxes])
    groups = places.groups
    ours = _measure(places.maps, places, covered, places.seen)
    fold = _folds(groups, seed)
    ours["iou"], thresholds = _overlap(places.maps, covered, fold)
    others: dict[str, dict[str, np.ndarray]] = {"middle": _middle(places, covered)}
    for name, shown in (("average_map", _scaled(places.maps)), ("usual_place", covered)):
        made = _of_others(shown, groups)
        if made is not None:
            others[name] = _measure(made, places, covered, np.ones(len(groups)))
            others[name]["iou"] = _overlap(made, covered, fold)[0]
    n = len(np.unique(groups))
    rows = np.ones(len(groups), bool)
    wanted: dict[str, Weighted] = {key: weighted.share(v, rows) for key, v in ours.items()}
    for name, figures in others.items():
        wanted |= {f"{name} {key}": weighted.share(v, rows) for key, v in figures.items()}
    best = {
        key: max(known, key=lambda f: others[f][key].mean())
        for key in ours
        if (known := [f for f in others if key in others[f]])
    }
    for key, name in best.items():
        wanted[f"gain {key}"] = _difference(ours[key], others[name][key])
    wanted["called"] = weighted.share(ours["pointing"], places.called)
    found = weighted.bootstrap_intervals(wanted, groups, seed)
    called = len(np.unique(groups[places.called]))

    def share(name: str) -> Metric:
        return weighted.widen_share_interval(found[name], n) if name.endswith("pointing") else found[name]

    return {
        "n": len(groups),
        "groups": n,
        "boxes": int(sum(len(b) for b in places.boxes)),
        "pointing": share("pointing"),
        "energy": found["energy"],
        "iou": found["iou"],
        "threshold": float(thresholds.mean()),
        "held_out": bool(len(np.unique(fold)) > 1),
        "baselines": {name: {key: share(f"{name} {key}") for key in figures} for name, figures in others.items()},
        "gain": {key: {**found[f"gain {key}"], "over": name} for key, name in best.items()},
        "called": {
            "n": int(places.called.sum()),
            "pointing": weighted.widen_share_interval(found["called"], called),
        },
    }


def _measure(maps: np.ndarray, places: LabelHeatMaps, covered: np.ndarray, seen: np.ndarray) -> dict[str, np.ndarray]:
    """Measure where maps point, and how much of their heat lies in the boxes: float64 (n,) each, 0 to 1."""
    heat = np.maximum(maps, 0).astype(np.float64)
    strongest = heat.reshape(len(heat), -1).argmax(1)
    y, x = (np.unravel_index(strongest, heat.shape[1:])[k] for k in (0, 1))
    whole = heat.sum((1, 2))
    inside = (heat * covered).sum((1, 2)) / np.where(whole > 0, whole, 1) * seen
    pointed = [
        w > 0 and hits(b, (i + 0.5) / GRID, (j + 0.5) / GRID)
        for b, i, j, w in zip(places.boxes, x, y, whole, strict=True)
    ]
    return {"pointing": np.array(pointed, float), "energy": inside}


def _middle(places: LabelHeatMaps, covered: np.ndarray) -> dict[str, np.ndarray]:
    """Measure what always pointing at the middle gives, and heat that is spread evenly."""
    pointed = [hits(b, 0.5, 0.5) for b in places.boxes]
    return {"pointing": np.array(pointed, float), "energy": covered.mean((1, 2))}


def _scaled(maps: np.ndarray) -> np.ndarray:
    """Bring what speaks for the label to 0 to 1 in each picture, so that all weigh the same in an average."""
    heat = np.maximum(maps, 0)
    most = heat.max((1, 2), keepdims=True)
    return heat / np.where(most > 0, most, 1)


def _of_others(shown: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """Average (n, GRID, GRID) over all other groups, for each picture; None where there is one group alone."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return None
    total, count = shown.sum(0, dtype=np.float64), np.bincount(group)
    own = np.zeros((len(names), GRID, GRID), np.float32)
    np.add.at(own, group, shown)
    return (total - own[group]) / (len(shown) - count[group])[:, None, None]


def _folds(groups: np.ndarray, seed: int) -> np.ndarray:
    names, group = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % _FOLDS)[group]


def _overlap(maps: np.ndarray, covered: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the IoU of what lies above a threshold with the boxes, (n,), the threshold chosen on the other folds.

    Returns
    -------
    tuple of np.ndarray
        The IoU and the thresholds, float64 (n,) each. With one fold alone the threshold is one half.
    """
    scaled = _scaled(maps)
    ious = np.empty((len(_THRESHOLDS), len(maps)))
    for t, threshold in enumerate(_THRESHOLDS):
        shown = (scaled >= threshold).astype(np.float64)
        both = (shown * covered).sum((1, 2))
        either = np.maximum(shown, covered).sum((1, 2))
        ious[t] = both / np.where(either > 0, either, 1)
    chosen = np.full(len(maps), int(np.abs(_THRESHOLDS - 0.5).argmin()))
    for f in np.unique(fold):
        if (fold != f).any():
            chosen[fold == f] = int(ious[:, fold != f].mean(1).argmax())
    return ious[chosen, np.arange(len(maps))], _THRESHOLDS[chosen]


def _difference(one: np.ndarray, other: np.ndarray) -> Weighted:
    """Average the paired difference of two figures (n,)."""
    apart = (one - other).astype(np.float32)

    def value(weights: np.ndarray) -> np.ndarray:
        return weights @ apart / weights.sum(1)

    return value


def word_places(label: str, figures: Mapping[str, Any]) -> str:
    """Say what a label's heat maps are worth: "points at the right place in 6 of 10 …; always the middle: 3 of 10"."""
    pointing = figures["pointing"]
    value, low, high = (pointing[k] for k in ("value", "low", "high"))
    said = f"{label}: points at the right place in {10 * value:.0f} of 10 pictures"
    if low is not None and high is not None:
        said += f" ({100 * low:.0f} to {100 * high:.0f} %)"
    said += f", judged on {figures['boxes']:,} boxes in {figures['n']:,} pictures of {figures['groups']:,} patients."
    others = [
        f"{_FIXED[name]} in {10 * own['pointing']['value']:.0f} of 10"
        for name, own in figures["baselines"].items()
        if own["pointing"]["value"] is not None
    ]
    gain = figures["gain"]["pointing"]
    best = _FIXED[gain["over"]]
    said += f" Without looking at the picture: {', '.join(others)}."
    if gain["low"] is not None and gain["low"] > 0:
        return f"{said} The heat map does better than {best}, by more than chance explains."
    if gain["high"] is not None and gain["high"] < 0:
        return f"{said} The heat map does worse than {best}."
    return f"{said} It is not shown that the heat map does better than {best}."
