"""The whole path: data set → audit → head → card → report, ONNX file and a version in the store."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data import whereabouts
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.embed.hub import text
from medloupe.embed.registry import backbone as find_backbone
from medloupe.embed.registry import choose_backbone_name
from medloupe.errors import BackboneError, FinetuneError
from medloupe.metrics.evidence import FILE as EVIDENCE
from medloupe.metrics.evidence import Evidence
from medloupe.model.bundle import Model
from medloupe.settings import home
from medloupe.training.options import Options
from medloupe.training.pipeline.outcome import outcome_path, read_outcome, write_outcome
from medloupe.training.pipeline.steps import check_trainable, learn
from medloupe.utils.progress import StageProgress

CHECKED = 4  # images of the data on which the exported file must agree with the training path


def train(
    data: Dataset,
    *,
    name: str,
    backbone: str | Path | None = None,
    start: Model | None = None,
    finetune: str = "none",
    minutes: float | None = None,
    search: bool = False,
    scratch: bool = False,
    clinical: Sequence[str] | None = None,
    notes: str | None = None,
    notes_model: str | Path | None = None,
    mask: Sequence[str] | None = None,
    keep_leaks: bool = False,
    seed: int = 0,
    sensitivity: float = 0.9,
    progress: StageProgress | None = None,
) -> Model:
    """Train, judge and export a classifier, and add it to the store as the next version of `name`.

    backbone: None takes the usual one for this kind of data. start: a model whose network this one goes on from,
    instead of a backbone. finetune: `none` fits a linear head on the network as it is; `tail` also trains its upper
    stages, `full` all of it; `auto` keeps the tuned tail only if it beats the linear head by more than noise. minutes:
    that fine-tuning may take. search: look for a better recipe first. scratch: also train the same network from random
    weights, for comparison. clinical: columns of the table to read beside the picture, ["all"] for all that do not name
    the answer; None for what the reader of the data proposes. notes: column of free text to read. notes_model: a
    language network to read it with, `hub:OWNER/NAME` or a folder; None reads its letters. mask: words to blank in it,
    None for those found to state the label. keep_leaks: use columns that name the answer all the same. sensitivity: at
    which the operating point of each label is set. The same data, options and seed give the same model; what was
    computed for them before is taken from the cache.

    Raises DataError when the data cannot be learned from, ColumnError when a column asked for is not there,
    BackboneError for a network of another kind of data or one that cannot be used, FinetuneError when fine-tuning is
    not possible here, StoreError when the disk is full.
    """
    from medloupe.store.models import Store
    from medloupe.store.names import check_name
    from medloupe.training.fusion import choose

    check_name(name)
    check_trainable(data)
    if start is not None and start.onnx is not None and start.backbone.path == start.onnx:
        raise FinetuneError(
            f"{start.name} is one file that holds no network to go on from.",
            "Go on from a model that was trained here (medloupe models list), or leave --from out.",
        )
    options = Options(
        seed=seed,
        sensitivity=sensitivity,
        finetune=finetune,
        minutes=minutes,
        start=start.tail if start is not None else None,
        search=search,
        scratch=scratch,
        clinical=None if clinical is None else tuple(clinical),
        notes=notes,
        notes_model=None if notes_model is None else text.find_text_network(str(notes_model)),
        mask=None if mask is None else tuple(mask),
        keep_leaks=keep_leaks,
    )
    choose.check(data, options)
    say = progress or (lambda stage, done, total: None)
    network = start.backbone if start is not None else find_backbone(backbone or choose_backbone_name(data))
    if network.card.modality != data.modality:
        reads = {"image": "pictures", "ecg": "ECGs"}
        raise BackboneError(
            f"The network {network.card.name} reads {reads[network.card.modality]}; {data.root} holds {data.things}.",
            f"Leave --backbone and --from out: {choose_backbone_name(data)} is taken then.",
        )
    started = time.perf_counter()
    found = scan_dataset(data)
    kept = outcome_path(found, network, options)
    outcome = read_outcome(kept)
    cached = outcome is not None
    if outcome is None:
        if options.notes_model is not None:
            options.notes_model.open()  # before anything costs time
        outcome = learn(found, network, options, say)
        write_outcome(kept, outcome)
    if options.notes_model is not None:
        text.remember_network(options.notes_model)
    say("writing", 0, 1)
    seconds = {**outcome.report["card"].get("seconds", {}), "this run": round(time.perf_counter() - started, 2)}
    card = {
        **outcome.report["card"],
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": seconds,
        "reused": cached,
    }
    evidence = outcome.evidence
    if start is not None:
        from medloupe.training.pipeline.lineage import started as started_from
        from medloupe.training.pipeline.lineage import untaught

        card = started_from(card, start, [found.digest[r.id] for r in data.records])
        evidence = untaught(evidence, start)
    own, tail = outcome.parts(network)
    if tail is None and not outcome.whole:
        tail = options.start
    model = Model(backbone=own, head=outcome.head, card=card, novelty=outcome.novelty, tail=tail, extras=outcome.extras)
    unreadable = {entry["file"] for entry in card["data"]["unreadable"]}
    readable = [r for r in data.records if r.id not in unreadable]
    writer = _Writer({**outcome.report, "card": card}, readable, evidence, data)
    model = Store(home()).add(model, write_files=writer)
    say("writing", 1, 1)
    return replace(model, report=writer.page)


class _Writer:
    """Writes the files for people, and the predictions for the promotion gate, into the folder of a version."""

    def __init__(self, report: dict[str, Any], records: list[Record], evidence: Evidence, data: Dataset):
        self.report, self.records, self.evidence, self.data = report, records, evidence, data
        self.page = ""

    def __call__(self, folder: Path, model: Model) -> None:
        from medloupe.embed.features import fit_record
        from medloupe.modelfile.writer import write_onnx
        from medloupe.report.pages import render

        step = max(1, len(self.records) // CHECKED)
        seen = np.stack([fit_record(record, model.backbone) for record in self.records[::step][:CHECKED]])
        out = folder / "model.onnx"
        parity = write_onnx(model, out, check_images=seen)
        onnx = {"bytes": out.stat().st_size, "parity": parity}
        self.page = render({**self.report, "card": {**model.card, "onnx": onnx}})
        (folder / "report.html").write_bytes(self.page.encode("utf-8", "backslashreplace"))  # names may be no text
        (folder / EVIDENCE).write_bytes(self.evidence.as_bytes())
        whereabouts.write_location(folder, self.data.root, **self.data.asked)


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
