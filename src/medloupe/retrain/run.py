"""Make a candidate: learn from a version of a data set with its corrections, kept apart from the frozen test."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.data.reading import read
from medloupe.data.records import Dataset
from medloupe.embed import registry
from medloupe.errors import StoreError
from medloupe.model.decision import Decision
from medloupe.retrain.corrections import Correction, is_tested, list_corrections
from medloupe.retrain.production import ProductionVersion, read_version
from medloupe.retrain.roles import choose_roles, find_taught
from medloupe.store.candidates import Candidate
from medloupe.store.dataset_nouns import DatasetItem
from medloupe.store.datasets import Datasets
from medloupe.store.frozen_tests import FOLDS, FrozenTest, find_frozen_test
from medloupe.store.models import Store
from medloupe.training.options import Options
from medloupe.training.pipeline import field
from medloupe.training.pipeline.lineage import network_saw_images
from medloupe.training.pipeline.run import train
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

FILE = "corrections.json"
"""What a candidate keeps of the corrections that it learned, beside its report."""


def make_candidate(store: Store, candidate: Candidate, progress: StageProgress | None = None) -> Model:
    """Train a candidate as the version in production was, and add it to the store, to wait for a decision.

    It is judged on the frozen test and, out of fold, on each correction. Embeddings of pictures that were seen before
    come from the cache.

    Raises
    ------
    StoreError
        Its data set has no frozen test, or what it is to be held against is gone.
    MedloupeError
        As `train` does.
    """
    sets = Datasets(store.engine, store.home)
    data = sets.get(candidate.dataset_id)
    frozen = find_frozen_test(sets.engine, data.id)
    if frozen is None:
        raise StoreError(f"The data set {data.name} has no frozen test.", f"Ask anew: medloupe retrain {data.name}")
    version = next(v for v in sets.versions(data.id) if v.number == candidate.dataset_version)
    items = [item for item in sets.version_items(data.id, version.number) if not item.left_out]
    table = sets.version_folder(data.id, version.number)
    columns = {name: name for name in ("patient",) if any(item.patient for item in items)}
    asked = {"labels": "label", "task": "classification"}
    if data.several:
        taught = find_taught(version.classes, items)
        if not taught:
            raise StoreError(f"No finding of {data.name} is there on some pictures and not on others.", "Tell more.")
        asked = {"labels": ",".join(taught), "task": "multilabel"}
    dataset = read(table, image="file", **asked, **columns)
    dataset = split_by_frozen_test(dataset, items, frozen)
    model = store.get(data.name, candidate.production, report=False)
    production = read_version(store, model, candidate.production)
    corrections = list_corrections(sets, data.id, frozen)
    told = choose_roles([c for c in version.classes if c.name in dataset.labels], ordered=version.ordered)
    return train(
        dataset,
        name=data.name,
        options=Options(**asdict(told), kind=version.kind, field=_choose_field(model)),
        **_choose_start(model, dataset),
        progress=progress,
        held=True,
        judged_on=[bytes.fromhex(d) for d in frozen.digests],
        write_more=_CorrectionsFile(dataset, corrections, production, candidate, progress),
    )


def split_by_frozen_test(dataset: Dataset, items: Sequence[DatasetItem], frozen: FrozenTest) -> Dataset:
    """Make the frozen test the test of a data set that was read from a version's folder.

    Left out are further pictures of its patients, and those that came as tests of their own later: they judge nothing
    that production was judged by, and are not there to be learned.
    """
    by_id = {item.id: item for item in items}
    records = []
    for record in dataset.records:
        item = by_id[Path(record.id).stem]
        if frozen.kind == FOLDS:
            records.append(replace(record, split=None))
        elif item.digest in frozen.digests:
            records.append(replace(record, split="test"))
        elif not is_tested(frozen, item) and item.split != "test":
            records.append(replace(record, split="train"))
    return replace(dataset, records=tuple(records))


def _choose_start(model: Model, dataset: Dataset) -> dict[str, Any]:
    """Choose the network of the version in production, as it was before it saw any picture.

    One that was tuned has seen the frozen test, so that nothing made with it could be judged by that.
    """
    if network_saw_images(model):
        return {}
    usual = registry.backbone(registry.choose_backbone_name(dataset))
    return {} if usual.sha256 == model.backbone.sha256 else {"start": model}


def _choose_field(model: Model) -> str:
    """Learn from simulated photographs unless production could have and was told not to."""
    could = (model.card["data"].get("labelled") or 0) >= field.FEWEST
    return "none" if could and model.card.get("field") is None else "auto"


class _CorrectionsFile:
    """Writes what a candidate keeps of its corrections into the folder of its version."""

    def __init__(
        self,
        dataset: Dataset,
        corrections: Sequence[Correction],
        production: ProductionVersion,
        candidate: Candidate,
        progress: StageProgress | None,
    ):
        self.dataset, self.corrections, self.production = dataset, corrections, production
        self.candidate, self.progress = candidate, progress

    def __call__(self, folder: Path, model: Model) -> None:
        from medloupe.retrain.contradicted import rank_corrections

        names: Collection[str] = {Path(r.id).stem for r in self.dataset.records}
        learned = [c for c in self.corrections if c.item.id in names]
        fresh = [c for c in learned if not self.production.has_learned(c.item)]
        ranked = rank_corrections(self.dataset, fresh, model, folder)
        told = {
            "candidate": self.candidate.id,
            "production": self.production.number,
            "sought": [
                n for n, up in zip(model.labels, Decision.from_card(model.card).roles.sought, strict=True) if up
            ],
            "corrections": [
                {
                    "item": c.item.id,
                    "case": c.case.id,
                    "digest": c.item.digest,
                    "label": c.item.label,
                    "labels": c.item.labels,
                    "flagged": list(c.case.answer.get("flagged") or ()),
                    "readers": list(c.readers),
                    "said": c.case.answer.get("prediction"),
                    "version": c.case.version,
                    "probabilities": dict(c.case.answer.get("probabilities") or {}),
                    "brought": c.brought,
                    "basis": c.case.basis,
                    "fresh": c in fresh,
                }
                for c in learned
            ],
            "contradicted": ranked.as_json(),
        }
        (folder / FILE).write_bytes(json.dumps(told).encode())


def read_corrections_file(folder: Path) -> dict[str, Any] | None:
    """Read what a candidate keeps of its corrections; None where there is nothing that can be read."""
    try:
        told = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
