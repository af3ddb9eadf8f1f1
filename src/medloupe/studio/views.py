"""Say in words what the page of a data set shows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from medloupe.data.labels import ROLES
from medloupe.serving.web.language import Language
from medloupe.store.dataset_nouns import DatasetChange, DatasetItem
from medloupe.studio.findings import DatasetFinding, Remedy
from medloupe.studio.labelling import is_complete
from medloupe.studio.overview import Overview, find_all
from medloupe.studio.rows import list_names
from medloupe.studio.training import find_obstacle

SHOWN = 12  # pictures of a class
_EXAMPLES = 6  # sets of a finding
_DETAILED = ("shortcut", "boxes_tiny")
PICTURE_FILES = "image/*,.dcm,.dicom,.zip"
ECG_FILES = ".hea,.dat,.atr,.csv,.tsv,.txt,.npz,.edf,.bdf,.dcm,.dicom,.zip"
SHOWN_DRAWN = 48  # pictures to draw on


def view_overview(seen: Overview, lang: Language) -> dict[str, Any]:
    """Describe all parts of the page."""
    findings = [view_finding(f, seen, lang) for f in find_all(seen)]
    ready = not find_obstacle(seen.data, seen.items)
    by_class: dict[str, list[DatasetItem]] = {}
    for item in seen.items:
        for name in list_names(seen.data, item):
            by_class.setdefault(name, []).append(item)
    return {
        "data": seen.data,
        "roles": [(role, lang.t(f"studio.role_{role}")) for role in ROLES],
        "classes": [
            {
                "name": c.name,
                "role": c.role,
                "count": seen.counts[c.name],
                "words": lang.t(_count_key(seen), n=seen.counts[c.name]),
                "shown": by_class.get(c.name, [])[:SHOWN],
                "more": max(0, seen.counts[c.name] - SHOWN),
            }
            for c in seen.data.classes
        ],
        "pictures": len(seen.items),
        "unlabelled": by_class.get("", [])[:SHOWN],
        "findings": findings,
        "serious": sum(f["level"] == "serious" for f in findings),
        "audit": _audit(seen, lang, findings),
        "changes": [view_change(c, lang) for c in seen.changes[:12]],
        "left_out": seen.left_out,
        "failed": [{"file": u.meta.get("file", ""), "error": u.error, "id": u.id} for u in seen.uploads if u.error],
        "coming": [_coming(u, lang) for u in seen.uploads if not u.error],
        "accept": ECG_FILES if seen.data.ecgs else PICTURE_FILES,
        "drawn": _drawn(seen) if seen.data.boxed else None,
        "told": _told(seen) if seen.data.several else None,
        "training": view_training(seen, lang),
        "ready": ready,
        "versions": seen.versions,
        "steps": _steps(seen, brought=ready),
    }


def _count_key(seen: Overview) -> str:
    return "studio.ecg_count" if seen.data.ecgs else "studio.pictures"


def view_finding(finding: DatasetFinding, seen: Overview, lang: Language) -> dict[str, Any]:
    """Describe one thing that is wrong, with what can be done."""
    key = f"studio.found_{finding.kind}"
    known = lang.has(key)
    here = seen.rows.by_id
    return {
        "kind": finding.kind,
        "level": finding.level,
        "title": lang.t(key, n=finding.count, label=finding.label) if known else finding.kind.replace("_", " "),
        "text": lang.t(f"{key}_text") if lang.has(f"{key}_text") else "",
        "detail": finding.detail if not known or finding.kind in _DETAILED else "",
        "sets": [[here[id] for id in ids if id in here] for ids in finding.sets[:_EXAMPLES]],
        "more": max(0, len(finding.sets) - _EXAMPLES),
        "remedies": [_remedy(r, finding, lang) for r in finding.remedies],
    }


def view_change(change: DatasetChange, lang: Language) -> dict[str, Any]:
    """Describe one line of the log."""
    n = int(change.detail.get("count", len(change.detail.get("items", ()))))
    said = change.action if change.action != "undo" else "undo"
    return {
        "number": change.number,
        "at": lang.date(change.at),
        "by": change.by,
        "words": lang.t(f"studio.did_{said}", n=n),
        "undone": change.undone,
        "undoable": not change.undone and change.action not in ("erase", "undo"),
    }


def view_training(seen: Overview, lang: Language) -> dict[str, Any] | None:
    """Describe the last training."""
    training = seen.training
    if training is None:
        return None
    far = seen.far
    stage = f"jobs.stage_{far.stage.replace(' ', '_')}" if far and far.stage else ""
    seconds = None if far is None or far.seconds is None else max(1, round(far.seconds))
    state = training.job.state
    return {
        "state": state,
        "open": training.open,
        "stopping": training.job.stop_asked and training.open,
        "stage": lang.t(stage) if lang.has(stage) else lang.t(f"studio.training_{state}"),
        "percent": round(100 * far.share) if far else 0,
        "left": lang.t("studio.left", time=_time(seconds, lang)) if seconds is not None and training.open else "",
        "error": training.job.error if state == "failed" else "",
        "version": training.version.number,
        "made": training.made,
        "waits": seen.waits,
        "stale": seen.versions[0].number != training.version.number
        or bool(seen.changes and seen.changes[0].at > training.version.created),
    }


def _time(seconds: int, lang: Language) -> str:
    if seconds < 100:
        return lang.t("studio.seconds", n=seconds)
    return lang.t("studio.minutes", n=round(seconds / 60))


def _audit(seen: Overview, lang: Language, findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    done, total = seen.looked
    words = ""
    if seen.auditing and total:
        words = lang.t("studio.looking_far_ecg" if seen.data.ecgs else "studio.looking_far", done=done, total=total)
    elif seen.auditing:
        words = lang.t("studio.looking_ecg" if seen.data.ecgs else "studio.looking")
    elif not findings and seen.items:
        words = lang.t("studio.nothing_found")
    return {"busy": seen.auditing, "words": words, "error": seen.audit.get("error", "") if not seen.auditing else ""}


def _remedy(remedy: Remedy, finding: DatasetFinding, lang: Language) -> dict[str, Any]:
    if remedy.action == "leave_out":
        spare = finding.kind in ("duplicates", "near_duplicates")
        words = lang.t("studio.leave_out_spare" if spare else "studio.leave_out", n=len(remedy.items))
    elif remedy.action == "join":
        words = lang.t("studio.join", n=len(remedy.groups))
    else:
        names = remedy.label or lang.join(list(remedy.labels or ())) or lang.t("feedback.none_of_these")
        words = lang.t("studio.relabel", label=names)
    return {"words": words, "body": json.dumps({**asdict(remedy), "why": finding.kind})}


def _coming(upload: Any, lang: Language) -> str:
    key = "studio.unpacking" if upload.whole else "studio.arriving"
    return lang.t(key, file=str(upload.meta.get("file", "")))


def _told(seen: Overview) -> dict[str, Any]:
    """Tell of how many pictures it is told which findings they have."""
    looked = [item for item in seen.items if item.labels is not None]
    waiting = [item for item in seen.items if not is_complete(seen.data, item)]
    return {
        "looked": len(looked),
        "waiting": len(waiting),
        "none": sum(not item.found for item in looked),
        "shown": sorted(seen.items, key=lambda item: is_complete(seen.data, item))[:SHOWN_DRAWN],
        "more": max(0, len(seen.items) - SHOWN_DRAWN),
    }


def _drawn(seen: Overview) -> dict[str, Any]:
    """Tell how far the drawing of boxes is."""
    looked = [item for item in seen.items if item.boxes is not None]
    return {
        "looked": len(looked),
        "waiting": len(seen.items) - len(looked),
        "boxes": sum(len(item.boxes or ()) for item in looked),
        "empty": [item for item in looked if not item.boxes],
        "shown": sorted(seen.items, key=lambda item: item.boxes is not None)[:SHOWN_DRAWN],
        "more": max(0, len(seen.items) - SHOWN_DRAWN),
    }


def _steps(seen: Overview, *, brought: bool) -> list[tuple[str, str]]:
    """Tell of each step whether it is done, at hand or to come."""
    trained = seen.tried is not None
    published = seen.production is not None and seen.production == seen.tried
    done = (brought, trained, published)
    names = ("pictures", "train", "publish")
    at = next((k for k, over in enumerate(done) if not over), len(done))
    return [(name, "done" if done[k] else "now" if k == at else "next") for k, name in enumerate(names)]
