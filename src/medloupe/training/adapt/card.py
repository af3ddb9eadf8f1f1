"""Build the card of a model that was fitted to local cases: what changed, and how it fares there."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from medloupe.data.digests import decode_digests, encode_digests
from medloupe.training.adapt.figures import compare_figures, measure_prevalence, tabulate_labels
from medloupe.training.adapt.fit import LocalFit
from medloupe.training.adapt.recalibrate import KINDS
from medloupe.training.adapt.words import describe_fit, describe_shortage
from medloupe.training.provenance import data_fingerprint, shorten_numbers
from medloupe.version import __version__

_PREVALENCE = "The percentages hold for the share"  # so begins the sentence among the limits that no longer holds


def build_adapted_card(fitting: LocalFit) -> dict[str, Any]:
    """Build the model's card with the local fit in it: calibration, lines, rule of announcing, and words on them."""
    old, calibration = fitting.model.card, fitting.calibration
    table = [{**row, "note": describe_shortage(fitting, row)} for row in tabulate_labels(fitting)]
    entry = _adapted_entry(fitting, table)
    here = {row["label"]: row["after"] for row in table if row["after"] is not None}
    made = {
        **old,
        "medloupe": __version__,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "version": None,
        "calibration": _calibration(fitting),
        "adapted": entry,
        "warnings": [*(old.get("warnings") or ()), *_warnings(fitting, entry)],
        "limits": _limits(fitting, entry),
        "data": {**(old.get("data") or {}), "digests": _join_digests(fitting)},
    }
    made.pop("reused", None)
    if here or old.get("per_label"):
        made["per_label"] = _label_rows(fitting, here)
    if old.get("decision") and calibration.kind != KINDS[0]:
        made["decision"] = {**old["decision"], "unclear": fitting.rule.unclear_from}
    return made


def _adapted_entry(fitting: LocalFit, table: list[dict[str, Any]]) -> dict[str, Any]:
    """Build the card's entry `adapted`."""
    model, data, calibration = fitting.model, fitting.features.data, fitting.calibration
    old = model.card
    records = [data.records[i] for i in fitting.rows]
    groups = fitting.before.groups
    entry: dict[str, Any] = {
        "data": data.name,
        "n": len(fitting.rows),
        "groups": len(np.unique(groups)),
        "patients": len({r.patient for r in records} - {None}) or None,
        "fingerprint": data_fingerprint(fitting.features, fitting.rows.tolist()),
        "digests": _local_digests(fitting),
        "licence": data.origin.get("licence"),
        "from": {"name": model.name, "version": model.version},
        "sensitivity": fitting.sensitivity,
        "seed": fitting.seed,
        "left_out": dict(fitting.left_out),
        "prevalence": {"before": _previous_shares(old), "here": measure_prevalence(fitting)},
        "calibration": {
            "kind": calibration.kind,
            "scale": shorten_numbers(calibration.scale),
            "shift": {name: round(float(b), 4) for name, b in zip(model.labels, calibration.shift, strict=True) if b},
            "candidates": [{k: _round_float(v) for k, v in asdict(c).items()} for c in fitting.candidates],
        },
        "figures": compare_figures(fitting),
        "labels": table,
        "findings": list(fitting.findings),
        "before": {
            "per_label": [
                {"label": row["label"], "operating_point": row["operating_point"]} for row in old.get("per_label") or ()
            ],
            "calibration": old.get("calibration"),
            "decision": old.get("decision"),
            "adapted": _earlier_entry(old),
        },
    }
    entry["words"] = describe_fit(fitting, entry)
    return entry


def _previous_shares(old: Mapping[str, Any]) -> dict[str, float] | None:
    """How common each label was where the model's percentages came from: training, or the adaptation before."""
    if earlier := (old.get("adapted") or {}).get("prevalence"):
        return {name: entry["value"] for name, entry in earlier["here"].items()}
    counts, n = old.get("label_counts") or {}, (old.get("data") or {}).get("labelled")
    return {name: round(count / n, 4) for name, count in counts.items()} if counts and n else None


def _label_rows(fitting: LocalFit, here: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put the local operating points into the card's table; what was measured in training stays beside them."""
    rows = {row["label"]: row for row in fitting.model.card.get("per_label") or ()}
    made = []
    for k, name in enumerate(fitting.model.labels):
        old = rows.get(name)
        if name in here:
            point = {**here[name], "judged_on": fitting.features.data.name}
            made.append({**(old or {"label": name}), "operating_point": point})
        elif old is not None:
            threshold = None if old["operating_point"].get("threshold") is None else float(fitting.lines[k])
            made.append({**old, "operating_point": {**old["operating_point"], "threshold": threshold}})
    return made


def _calibration(fitting: LocalFit) -> dict[str, Any]:
    """State the temperatures that are in the head now, and that more than these is."""
    old = fitting.model.card.get("calibration") or {}
    before = np.asarray(old.get("temperature") if old.get("temperature") is not None else 1.0, float)
    made = {**old, "temperature": shorten_numbers(before / fitting.calibration.scale)}
    if fitting.calibration.kind != KINDS[0]:
        made["adapted"] = fitting.calibration.kind
    return made


def _limits(fitting: LocalFit, entry: Mapping[str, Any]) -> list[str]:
    name, kind = entry["data"], fitting.calibration.kind
    said: list[str] = list(fitting.model.card.get("limits") or ())
    if kind != KINDS[0]:
        said = [text for text in said if not text.startswith(_PREVALENCE)]
        counts = ", ".join(f"{label} {e['n']:,}" for label, e in entry["prevalence"]["here"].items())
        said.append(f"{_PREVALENCE} of cases in {name} ({counts}), to which they were adapted; elsewhere they may not.")
    said.append(
        f"Its operating points were set on {entry['n']:,} cases of {name}. Its other figures are those of its training"
        " and of the percentages it had then."
    )
    return said


def _warnings(fitting: LocalFit, entry: Mapping[str, Any]) -> list[dict[str, str]]:
    said = [{"level": "serious", "text": f"In {entry['data']}: {text}"} for text in fitting.findings]
    now, then = entry["figures"]["before"]["auc"], (fitting.model.card.get("metrics") or {}).get("auc")
    if now["low"] is not None and now["low"] <= 0.5:
        said.append(
            {
                "level": "serious",
                "text": f"On {entry['data']} the model is not shown to be better than guessing: the interval of its AUC"
                f" ({now['value']:.2f}) reaches down to {now['low']:.2f}. No calibration mends that.",
            }
        )
    elif now["high"] is not None and then and then.get("low") is not None and now["high"] < then["low"]:
        said.append(
            {
                "level": "serious",
                "text": f"On {entry['data']} the model ranks worse (AUC {now['value']:.3f}) than its card claims"
                f" ({then['value']:.3f}), by more than chance explains. No calibration mends that: train on local"
                " cases.",
            }
        )
    return said


def _join_digests(fitting: LocalFit) -> str:
    """Also the local images are known from now on, so that nobody judges the model on them unawares."""
    theirs = decode_digests((fitting.model.card.get("data") or {}).get("digests"))
    return encode_digests(theirs | decode_digests(_local_digests(fitting)))


def _local_digests(fitting: LocalFit) -> str:
    return encode_digests({fitting.features.digests[row] for row in fitting.rows})


def _earlier_entry(old: Mapping[str, Any]) -> dict[str, Any] | None:
    """State what a model that was adapted before had been adapted to."""
    said = old.get("adapted")
    return None if not said else {k: said.get(k) for k in ("data", "n", "groups", "fingerprint", "from")}


def _round_float(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
