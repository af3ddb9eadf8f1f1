"""Train a model from a data set: audit, head, card, report, ONNX file and a version in the store."""

from __future__ import annotations

import datetime
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data import whereabouts
from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import Scan, scan_dataset
from medloupe.data.source_column import find_source_column
from medloupe.embed import registry
from medloupe.embed.backbone import Backbone
from medloupe.embed.hub import text
from medloupe.errors import BackboneError, FinetuneError
from medloupe.metrics.box_evidence import BoxEvidence
from medloupe.metrics.evidence import FILE, OUT_OF_FOLD, Evidence
from medloupe.model.bundle import Model
from medloupe.settings import home
from medloupe.training.options import Options
from medloupe.training.pipeline import lineage
from medloupe.training.pipeline.outcome import Outcome, outcome_path, read_outcome, write_outcome
from medloupe.training.pipeline.preconditions import check_trainable
from medloupe.training.pipeline.steps import learn
from medloupe.utils.files import sha256_of
from medloupe.utils.progress import StageProgress

WriteFiles = Callable[[Path, Model], None]
CHECKED = 4  # images of the data on which the exported file must agree with the training path


def train(
    data: Dataset,
    *,
    name: str,
    options: Options | None = None,
    backbone: str | Path | None = None,
    start: Model | None = None,
    progress: StageProgress | None = None,
    held: bool = False,
    judged_on: Collection[bytes] | None = None,
    write_more: WriteFiles | None = None,
    **told: Any,
) -> Model:
    """Train, judge and export a classifier, and add it to the store as the next version of `name`.

    Of a data set whose labels are boxes alone it is a detector, which marks places in pictures.

    The same data, options and seed give the same model; what was computed for them before is taken from the cache.

    Parameters
    ----------
    data : Dataset
        What `medloupe.read` gave.
    name : str
        Of the model in the store.
    options : Options, optional
        How to train; see there for each field.
    backbone : str or Path, optional
        The network by name or file; the usual one for this kind of data where left out.
    start : Model, optional
        A model whose network this one goes on from, instead of a backbone.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.
    held : bool
        Whether the version waits for a person to put it into production, even where it is the first of its name.
    judged_on : collection of bytes, optional
        SHA-256 of the only pictures by which the version may be held against another one; all that judged where left
        out.
    write_more : callable, optional
        Called with the folder of the version and the model, to write further files there.
    **told
        Fields of Options by name, instead of `options` or in place of some of its: `train(data, name="lungs",
        finetune="auto")`. Lists are taken for columns and words, and for `notes_model` what the command line takes,
        `hub:OWNER/NAME` or a folder.

    Returns
    -------
    Model
        With its card, its report and its file.

    Raises
    ------
    DataError
        When the data cannot be learned from, or an option makes no sense.
    ColumnError
        When a column asked for is not there.
    BackboneError
        For a network of another kind of data, or one that cannot be used.
    FinetuneError
        When fine-tuning is not possible here.
    StoreError
        When the disk is full.
    """
    from medloupe.store.models import Store
    from medloupe.store.names import check_name
    from medloupe.training.fusion import choose

    check_name(name)
    check_trainable(data)
    asked = _resolve_options(options or Options(), start, told)
    data = asked.assign_roles(data)
    choose.check_columns(data, asked)
    if asked.robust and data.task != "detection":
        find_source_column(data, asked.source)
    network = _choose_network(data, backbone, start)
    say = progress or (lambda stage, done, total: None)
    began = time.perf_counter()
    found = scan_dataset(data)
    outcome, reused = _compute_or_reuse(found, network, asked, say)
    say("writing", 0, 1)
    card = {
        **outcome.report["card"],
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": {**outcome.report["card"].get("seconds", {}), "this run": round(time.perf_counter() - began, 2)},
        "reused": reused,
        **({"kind": asked.kind.strip()} if asked.kind.strip() else {}),
    }
    evidence, across = outcome.evidence, outcome.out_of_fold
    if start is not None and isinstance(evidence, Evidence):
        card = lineage.add_lineage(card, start, [found.digest[r.id] for r in data.records])
        evidence = lineage.exclude_tuned_images(evidence, start)
        across = across and lineage.exclude_tuned_images(across, start)
    if judged_on is not None and isinstance(evidence, Evidence):
        across = across or evidence
        evidence = evidence.take(np.flatnonzero(np.isin(evidence.digests, Evidence.digest(list(judged_on)))))
    own, tail = outcome.restore_network(network)
    if tail is None and not outcome.whole:
        tail = asked.start
    model = Model(
        backbone=own,
        head=outcome.head,
        card=card,
        novelty=outcome.novelty,
        tail=tail,
        extras=outcome.extras,
        detector=outcome.detector,
        sight=outcome.sight,
    )
    if model.detector is not None:
        model = _write_whole(model)
    unreadable = {entry["file"] for entry in card["data"]["unreadable"]}
    readable = [r for r in data.records if r.id not in unreadable]
    kept = {FILE: evidence, OUT_OF_FOLD: across}
    writer = _VersionFiles({**outcome.report, "card": card}, readable, kept, data, write_more)
    whole = model.onnx
    try:
        model = Store(home()).add(model, write_files=writer, production=not held)
    finally:
        if whole is not None:
            whole.unlink(missing_ok=True)  # it lies in the store now
    say("writing", 1, 1)
    return replace(model, report=writer.page)


def _write_whole(model: Model) -> Model:
    """Write a detector as the one file as which it is kept: whoever answers with it runs that file."""
    from medloupe.modelfile.writer import write_onnx

    folder = home() / "cache" / "tuned"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{model.name}-{secrets.token_hex(8)}.onnx"
    write_onnx(model, path)
    own = replace(model.backbone, path=path, sha256=sha256_of(path))
    return replace(model, backbone=own, onnx=path)


def _resolve_options(options: Options, start: Model | None, told: Mapping[str, Any]) -> Options:
    """Put what was told by name, and the tail to go on from, into the options."""
    if start is not None and start.onnx is not None and start.backbone.path == start.onnx:
        raise FinetuneError(
            f"{start.name} is one file that holds no network to go on from.",
            "Go on from a model that was trained here (medloupe models list), or leave --from out.",
        )
    fields = dict(told)
    if fields.get("notes_model") is not None:
        fields["notes_model"] = text.find_text_network(str(fields["notes_model"]))
    for several in ("clinical", "mask", "normal", "harmless", "sought", "measure"):
        if fields.get(several) is not None:
            fields[several] = tuple(fields[several])
    return replace(options, start=start.tail if start is not None else options.start, **fields)


def _choose_network(data: Dataset, backbone: str | Path | None, start: Model | None) -> Backbone:
    """Choose the network to embed with; raise BackboneError where it reads another kind of data."""
    network = (
        start.backbone if start is not None else registry.backbone(backbone or registry.choose_backbone_name(data))
    )
    if network.card.modality != data.modality:
        reads = MODALITIES[network.card.modality].called
        raise BackboneError(
            f"The network {network.card.name} reads {reads}; {data.root} holds {data.things}.",
            f"Leave --backbone and --from out: {registry.choose_backbone_name(data)} is taken then.",
        )
    return network


def _compute_or_reuse(found: Scan, network: Backbone, options: Options, say: StageProgress) -> tuple[Outcome, bool]:
    """Compute what the training comes to, or take it from the cache; and tell whether it was there."""
    kept = outcome_path(found, network, options)
    outcome = read_outcome(kept)
    reused = outcome is not None
    if outcome is None:
        if options.notes_model is not None:
            options.notes_model.open()  # before anything costs time
        outcome = learn(found, network, options, say)
        write_outcome(kept, outcome)
    if options.notes_model is not None:
        text.remember_network(options.notes_model)
    return outcome, reused


class _VersionFiles:
    """Write the files for people, and the predictions for the promotion gate, into the folder of a version."""

    def __init__(
        self,
        report: dict[str, Any],
        records: list[Record],
        kept: Mapping[str, Evidence | BoxEvidence | None],
        data: Dataset,
        more: WriteFiles | None = None,
    ):
        self.report, self.records, self.kept, self.data, self.more = report, records, kept, data, more
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
        for file, evidence in self.kept.items():
            if evidence is not None:
                (folder / file).write_bytes(evidence.as_bytes())
        if self.more is not None:
            self.more(folder, model)
        whereabouts.write_location(folder, self.data.root, **self.data.asked)


def summarise(model: Model, folder: Path) -> dict[str, Any]:
    """Give the line that `train --json` ends with."""
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
