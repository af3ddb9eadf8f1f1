"""The whole path: data set → audit → head → card → report, ONNX file and a version in the store."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe import __version__
from medloupe.backbones import DEFAULT, Backbone
from medloupe.backbones import backbone as find_backbone
from medloupe.errors import DataError, StoreError
from medloupe.features import Features, Scan, embed, scan
from medloupe.files import write_atomically
from medloupe.model import Head, Model
from medloupe.novelty import Novelty
from medloupe.promotion import FILE as EVIDENCE
from medloupe.promotion import Evidence
from medloupe.records import Dataset
from medloupe.settings import home

if TYPE_CHECKING:
    from medloupe.judging import Verdict

METHOD = 1  # raise when the method changes what comes out of the same data
CHECKED = 4  # images of the data on which the exported file must agree with the training path
Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What training gives, apart from names and dates: the head, the report's card, curves and examples, and the
    predictions that its figures come from. novelty: None with too few images."""

    head: Head
    novelty: Novelty | None
    report: dict[str, Any]
    evidence: Evidence


def train(
    data: Dataset,
    *,
    name: str,
    backbone: str | Path = DEFAULT,
    seed: int = 0,
    sensitivity: float = 0.9,
    progress: Progress | None = None,
) -> Model:
    """Train, judge and export a classifier, and add it to the store as the next version of `name`.

    sensitivity: at which the operating point of each label is set. The same data, options and seed give the same
    model; what was computed for them before is taken from the cache. Raises DataError when the data cannot be learned
    from, StoreError when the disk is full.
    """
    from medloupe.names import check_name
    from medloupe.store import Store

    check_name(name)
    check_trainable(data)
    if not 0.5 <= sensitivity < 1:
        raise DataError(f"The sensitivity {sensitivity} is not between 0.5 and 1.", "Give for example 0.95.")
    if seed < 0:
        raise DataError(f"The seed {seed} is negative.", "Give 0 or a whole number above.")
    say = progress or (lambda stage, done, total: None)
    network = find_backbone(backbone)
    started = time.perf_counter()
    found = scan(data)
    kept = _outcome_path(found, network, seed, sensitivity)
    outcome = _read_outcome(kept)
    cached = outcome is not None
    if outcome is None:
        outcome = _learn(found, network, seed, sensitivity, say)
        _write_outcome(kept, outcome)
    say("writing", 0, 1)
    seconds = {**outcome.report["card"].get("seconds", {}), "this run": round(time.perf_counter() - started, 2)}
    card = {
        **outcome.report["card"],
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": seconds,
        "reused": cached,
    }
    model = Model(backbone=network, head=outcome.head, card=card, novelty=outcome.novelty)
    unreadable = {entry["file"] for entry in card["data"]["unreadable"]}
    images = [r.image for r in data.records if r.id not in unreadable]
    writer = _Writer({**outcome.report, "card": card}, images, outcome.evidence)
    model = Store(home()).add(model, write_files=writer)
    say("writing", 1, 1)
    return replace(model, report=writer.page)


def check_trainable(data: Dataset) -> None:
    """Raises DataError, saying what is missing, when there is nothing to tell apart."""
    if data.task == "detection":
        raise DataError(
            f"{data.root} marks places in pictures (boxes of {', '.join(data.labels)}) but has no classes of whole"
            " pictures to tell apart; localisation cannot be trained yet.",
            "Give a label column with --labels, or sort the pictures into one folder a class.",
        )
    counts = {name: n for name, n in data.counts().items() if n}
    if len(data) < 2:
        raise DataError(
            f"{data.root} has {'only 1 image' if len(data) else 'no images'}.",
            "Bring at least ten a class; thirty give a first impression.",
        )
    if data.task == "multiclass" and len(counts) < 2:
        only = next(iter(counts), None)
        raise DataError(
            f"{data.root} has only one class{f', {only} ({counts[only]:,} images)' if only else ''}; a classifier needs"
            " at least two to tell apart.",
            "Add a folder (or rows) of the other class, for example healthy people.",
        )
    if data.task == "multiclass" and sorted(counts.values())[-2] < 2:
        few = ", ".join(name for name, n in counts.items() if n == 1)
        raise DataError(
            f"{data.root} has only one image of {few}; one cannot both teach and judge.",
            "Bring at least ten a class; thirty give a first impression.",
        )
    if data.task == "multilabel" and not counts:
        raise DataError(f"{data.root} has no positive case of any label.", "Check the label column.")


def _learn(found: Scan, network: Backbone, seed: int, sensitivity: float, say: Progress) -> Outcome:
    from medloupe.audit import audit
    from medloupe.card import card
    from medloupe.evaluate import curves
    from medloupe.examples import examples
    from medloupe.judging import judge
    from medloupe.split import plan

    clock = [time.perf_counter()]

    def lap() -> float:
        clock.append(time.perf_counter())
        return round(clock[-1] - clock[-2], 2)

    seconds = {}
    features = embed(found, network, lambda done, total: say("embedding", done, total))
    seconds["embedding"] = lap()
    if features.unreadable:
        _check_what_is_left(features)
    say("audit", 0, 1)
    audited = audit(features, seed)
    seconds["audit"] = lap()
    say("audit", 1, 1)
    say("fitting", 0, 1)
    planned = plan(features.data, audited.groups)
    verdict = judge(features, planned, levels=network.card.levels, seed=seed, sensitivity=sensitivity)
    rows = verdict.everything
    novelty = Novelty.fit(features.embeddings[rows], planned.groups[rows], network.card.levels, seed)
    seconds["fitting"] = lap()
    say("fitting", 1, 1)
    say("judging", 0, 1)
    facts = card(features, audited, planned, verdict, network, novelty, seed=seed, sensitivity=sensitivity)
    shown = {
        "card": facts,
        "curves": {**curves(verdict.judged), "learning": verdict.learning},
        "examples": examples(features, verdict.judged, verdict.rows, verdict.head, network),
    }
    seconds["judging"] = lap()
    facts["seconds"] = seconds
    say("judging", 1, 1)
    return Outcome(head=verdict.head, novelty=novelty, report=shown, evidence=_evidence(features, verdict))


def _evidence(features: Features, verdict: Verdict) -> Evidence:
    """The predictions behind the figures, for comparing this version with another."""
    judged = verdict.judged
    called = [[judged.called(r, k) for k in range(len(judged.labels))] for r in judged.repeats]
    return Evidence(
        labels=judged.labels,
        task=judged.task,
        digests=Evidence.digest([features.digests[row] for row in verdict.rows]),
        groups=np.asarray(judged.groups, np.int64),
        targets=np.asarray(judged.targets, np.float32),
        probabilities=np.asarray(judged.probabilities, np.float32),
        announced=np.asarray(called, np.float32).mean(0).T,
    )


def _check_what_is_left(features: Features) -> None:
    """As check_trainable, for the readable part; the error then tells what could not be read."""
    try:
        check_trainable(features.data)
    except DataError as e:
        n, (file, why) = len(features.unreadable), features.unreadable[0]
        raise DataError(
            f"{e.message} That is what is left: {n:,} {'file' if n == 1 else 'files'} could not be read, such as"
            f" {file}: {why}",
            e.hint,
        ) from e


class _Writer:
    """Writes the files for people, and the predictions for the promotion gate, into the folder of a version."""

    def __init__(self, report: dict[str, Any], images: list[Path | np.ndarray], evidence: Evidence):
        self.report, self.images, self.evidence = report, images, evidence
        self.page = ""

    def __call__(self, folder: Path, model: Model) -> None:
        from medloupe.export import write_onnx
        from medloupe.images import load
        from medloupe.report import render

        size = model.backbone.card.input_size
        step = max(1, len(self.images) // CHECKED)
        pixels = np.stack([load(image, size) for image in self.images[::step][:CHECKED]])
        out = folder / "model.onnx"
        parity = write_onnx(model, out, check_images=pixels)
        onnx = {"bytes": out.stat().st_size, "parity": parity}
        self.page = render({**self.report, "card": {**model.card, "onnx": onnx}})
        (folder / "report.html").write_bytes(self.page.encode("utf-8", "backslashreplace"))  # names may be no text
        (folder / EVIDENCE).write_bytes(self.evidence.as_bytes())


# ------------------------------------------------- outcomes kept by what went in


def _outcome_path(found: Scan, network: Backbone, seed: int, sensitivity: float) -> Path:
    """Named by everything the outcome depends on."""
    data = found.data
    key = hashlib.sha256()

    def add(*values: object) -> None:
        key.update(repr(values).encode())

    add(METHOD, __version__, _method_source(), network.sha256, seed, sensitivity, data.task, data.labels, data.name)
    add(data.notes, sorted(data.origin.items()), sorted((k, len(v)) for k, v in data.skipped.items()))
    for r in data.records:
        add(
            r.id,
            found.digest[r.id],
            sorted(r.labels.items()),
            r.patient,
            r.split,
            sorted(r.columns.items()),
        )
    return home() / "cache" / "outcomes" / f"{key.hexdigest()[:32]}.npz"


def _method_source() -> str:
    """Hash of the modules that compute an outcome: while medloupe itself is worked on, nothing stale is reused."""
    folder = Path(__file__).parent
    key = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        key.update(path.read_bytes())
    return key.hexdigest()


def _read_outcome(path: Path) -> Outcome | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            report = json.loads(stored["report"].tobytes())
            head = Head(weight=stored["weight"], bias=stored["bias"], task=report["card"]["task"])
            novelty = Novelty.from_arrays(stored)
            evidence = Evidence.from_bytes(stored["evidence"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):  # absent, or spoilt: anew
        return None
    return Outcome(head=head, novelty=novelty, report=report, evidence=evidence)


def _write_outcome(path: Path, outcome: Outcome) -> None:
    out = io.BytesIO()
    text = np.frombuffer(json.dumps(outcome.report).encode(), np.uint8)
    evidence = np.frombuffer(outcome.evidence.as_bytes(), np.uint8)
    novelty: dict[str, Any] = outcome.novelty.as_arrays() if outcome.novelty else {}
    np.savez(out, weight=outcome.head.weight, bias=outcome.head.bias, report=text, evidence=evidence, **novelty)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, out.getvalue())
    except OSError as e:
        raise StoreError(
            f"The cache {path.parent} cannot be written: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home.",
        ) from e


def summary(model: Model, folder: Path) -> dict[str, Any]:
    """The line that `train --json` ends with."""
    metrics: Mapping[str, Any] = model.card["metrics"]
    return {
        "name": model.name,
        "version": model.version,
        "task": model.card["task"],
        "labels": list(model.labels),
        "metrics": dict(metrics),
        "report": str(folder / "report.html"),
        "onnx": str(folder / "model.onnx"),
    }
