"""Show how a network was trained: fine-tuning, the search, learning from few images, and stage by stage.

All of it is optional, and any part of it may be missing:

    finetuning   {"words", "winner": linear|tail|full,
                  "candidates": [{"name", "alpha", "auc", "difference", "seconds"}],
                  "history": [{"name", "parts_at": epoch, "epochs": [{"epoch", "train_loss", "val_loss",
                  "train_accuracy", "val_accuracy"}]}]}
    few_images   {"curves": [{"name", "points": [{"n", "auc"}]}], "words"}, the pretrained first, n images a class
    search       {"trials": [{"number", "params": {}, "auc", "seconds", "state"}], "best": number, "words"}
    stages       {"image", "file", "label", "rows": [{"name", "shape", "words", "tiles": [data URI]}], "heatmap"}

auc and difference are figures, {"value", "low", "high"}; difference is to the linear head; alpha is how far the weights
lie on the way from the pretrained (0) to the tuned ones (1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts import axes, histories, rows
from medloupe.report.formats import count, decimal, is_number, plain, value
from medloupe.report.parts import as_mapping, entries, is_picture

TRIALS_SHOWN = 8
_SERIES_SHOWN = len(histories.SERIES)


def finetuning(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Show candidates with what each gained over the linear head, and the histories in one picture."""
    candidates = [c for c in entries(part.get("candidates")) if value(c.get("auc")) is not None]
    runs = [h for h in entries(part.get("history")) if entries(h.get("epochs"))][:_SERIES_SHOWN]
    winner = str(part.get("winner") or "")
    own = [c for c in candidates if c.get("name") == winner]
    best = max(own, key=lambda c: value(c["auc"]) or 0.0) if own else None
    charts = [
        (heading, drawn)
        for figure, heading in (("loss", "Loss"), ("accuracy", "Accuracy"))
        if (drawn := histories.epochs(f"epochs-{figure}", f"{heading} by epoch", figure, runs, figure))
    ]
    if not candidates and not charts and not part.get("words"):
        return None
    drawn = [rows.Row(_titled(c), c["auc"]) for c in candidates]
    return {
        "sentence": part.get("words"),
        "candidates": [{**c, "title": _titled(c), "chosen": c is best} for c in candidates],
        "chart": rows.intervals(
            "candidates", "AUC of each candidate", drawn, rows.shared_scale([r.metric for r in drawn])
        )
        if len(drawn) > 1
        else None,
        "histories": charts,
        "series": list(zip(histories.SERIES, (_name(h) for h in runs), strict=False)),
        "parts": [
            (_name(h), int(h["parts_at"])) for h in runs if is_number(h.get("parts_at")) and entries(h["epochs"])
        ],
        "tuned": winner in ("tail", "full"),
        "winner": winner,
        "automatic": part.get("automatic") is True,
        "mixed": part.get("mixed") is True,
    }


def _titled(candidate: Mapping[str, Any]) -> str:
    """Name a candidate: "tail, 50% of the way" where the weights lie between the pretrained and the tuned ones."""
    name, alpha = _name(candidate), candidate.get("alpha")
    return f"{name}, {alpha:.0%} of the way" if is_number(alpha) and 0 < alpha < 1 else name


def few_images(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Draw the few-images curves, and say what they mean in a sentence."""
    curves = [c for c in entries(part.get("curves")) if len(_points(c)) > 1][:_SERIES_SHOWN]
    if not curves:
        return None
    sizes = sorted({p["n"] for c in curves for p in _points(c)})
    table = [(c, {p["n"]: p["auc"] for p in _points(c)}) for c in curves]
    return {
        "chart": histories.few_images("few-images", curves),
        "series": list(zip(histories.SERIES, (_name(c) for c in curves), strict=False)),
        "sentence": " ".join(str(w) for w in (_bought(curves), part.get("words")) if w),
        "sizes": sizes,
        "rows": [{"name": _name(c), "auc": [found.get(n) for n in sizes]} for c, found in table],
    }


def _points(curve: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return axes.drawable_points(curve.get("points") or [])


def _bought(curves: Sequence[Mapping[str, Any]]) -> str:
    """Say how many images the last curve (from scratch) needs to reach what the first has with the fewest."""
    if len(curves) < 2:
        return ""
    ahead, behind = curves[0], curves[-1]
    start, points = _points(ahead)[0], _points(behind)
    reached = value(start["auc"]) or 0.0
    said = f"With {count(start['n'])} images of each class, “{_name(ahead)}” has AUC {decimal(start['auc'])}. "
    level = next((p for p in points if (value(p["auc"]) or 0.0) >= reached), None)
    if level is None:
        most = points[-1]
        return said + (
            f"“{_name(behind)}” does not get there even with {count(most['n'])} ({decimal(most['auc'])}):"
            " what the first network had learned before is worth more than all of these images."
        )
    if level["n"] <= start["n"]:
        return said + f"“{_name(behind)}” has {decimal(level['auc'])}: here pretraining brought no clear gain."
    return said + (
        f"“{_name(behind)}” needs {count(level['n'])} for as much ({decimal(level['auc'])}):"
        " that is what transfer learning saves in images, and in people who label them."
    )


def search(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return every trial of a search, the best first, and a picture of how it went."""
    tried = [t for t in entries(part.get("trials")) if is_number(t.get("number"))]
    if not tried:
        return None
    best = part.get("best") if is_number(part.get("best")) else None
    for_chart = [(t["number"], _metric(t.get("auc"))) for t in tried]
    ranked = sorted(tried, key=lambda t: (-(value(_metric(t.get("auc"))) or -1.0), t["number"]))
    listed = [
        {
            "number": t["number"],
            "auc": _metric(t.get("auc")),
            "params": ", ".join(f"{k} {plain(v)}" for k, v in as_mapping(t.get("params")).items() if v is not None),
            "seconds": t.get("seconds"),
            "state": str(t.get("state") or "").lower(),
            "chosen": t["number"] == best,
        }
        for t in ranked
    ]
    drawable = [pair for pair in for_chart if value(pair[1]) is not None]
    return {
        "count": len(tried),
        "sentence": part.get("words"),
        "unfinished": sum(t["state"] not in ("", "complete") for t in listed),
        "shown": listed[:TRIALS_SHOWN],
        "rest": listed[TRIALS_SHOWN:],
        "chart": histories.trials("trials", drawable, best) if len(drawable) > 1 else None,
    }


def stages(part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Show one image on its way through the network; only embedded pictures are shown."""
    if not is_picture(part.get("image")):
        return None
    shown = []
    for row in entries(part.get("rows")):
        shape, listed = row.get("shape"), row.get("tiles")
        tiles = [t for t in listed if is_picture(t)] if isinstance(listed, list) else []
        if tiles and isinstance(shape, list) and len(shape) == 3 and all(is_number(n) for n in shape):
            shown.append(
                {
                    **row,
                    "name": _name(row),
                    "tiles": tiles,
                    "size": "×".join(f"{n:.0f}" for n in shape),
                    "side": shape[-1],
                }
            )
    if not shown:
        return None
    heat = part.get("heatmap")
    return {**part, "rows": shown, "heatmap": heat if is_picture(heat) else None}


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or "unnamed")


def _metric(auc: Any) -> Any:
    """Return a figure, also where it came as a bare number."""
    return {"value": auc} if is_number(auc) else auc
