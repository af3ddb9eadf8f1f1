"""Local fit: with 50 to 200 labelled cases, a version of a model that differs in calibration and operating points only.

No network is trained and no ranking learned: the head's matrix is multiplied by a scale and its bias shifted
(recalibrate.py), if that does better than noise; lines are drawn anew at the sensitivity wanted. Every figure is judged
on cases that neither the calibration nor the line has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.digests import seen_in_training
from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.data.split import count_folds
from medloupe.embed.features import Features, embed
from medloupe.errors import DataError, StoreError
from medloupe.inference.inputs import scale_extras
from medloupe.metrics import tables
from medloupe.metrics.curves import curves
from medloupe.metrics.evidence import FILE as EVIDENCE
from medloupe.metrics.evidence import Evidence
from medloupe.model.alignment import align_targets
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.training.adapt.fit import FEWEST_A_SIDE, Fitting, fitted, ready_labels
from medloupe.training.audit.findings import audit
from medloupe.utils.files import sha256_of
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    from medloupe.store.models import Store

FEWEST = 30  # groups of patients and copies; with fewer, an interval says little
_CHECKED = 4  # images on which the written file must agree with the training path


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adapted:
    """A model fitted to local cases, not yet in the store (`keep`).

    model: the new one, without a version. base: the one it was made of. curves: calibration before and after, for the
    page. evidence: the local predictions, out of fold. checks: paths or pixels of some local images. fitting: how it
    was made.
    """

    model: Model
    base: Model
    curves: Mapping[str, Any]
    evidence: Evidence
    checks: Sequence[Path | np.ndarray]
    fitting: Fitting

    @property
    def entry(self) -> Mapping[str, Any]:
        """The card's entry `adapted` (docs/card.md)."""
        return self.model.card["adapted"]

    @property
    def page(self) -> str:
        """The HTML page."""
        from medloupe.report.pages import render_adaptation

        return render_adaptation(self.model.card, self.curves)

    def as_json(self) -> dict[str, Any]:
        """The line that `adapt --json` prints; `version` is None where nothing was written."""
        said = {k: v for k, v in self.entry.items() if k != "before"}
        return {"name": self.model.name, "version": self.model.version, **said}


def adapt(
    model: Model,
    data: Dataset,
    *,
    sensitivity: float = tables.SENSITIVITY,
    seed: int = 0,
    progress: StageProgress | None = None,
) -> Adapted:
    """Does the model's calibration hold on these cases, and where do its lines have to lie? Writes nothing but caches.

    Images that the model was trained on, or adapted to before, are left out by their content. sensitivity: share of the
    cases that each label's line is to find. Raises DataError when the labels do not fit or the cases are too few.
    """
    if not 0 < sensitivity < 1:
        raise DataError(f"A sensitivity of {sensitivity:g} cannot be aimed at.", "Give a share, such as 0.9.")
    say = progress or (lambda stage, done, total: None)
    targets = align_targets(model, data)
    features = embed(scan_dataset(data), model.backbone, lambda d, t: say("embedding", d, t), tail=model.tail)
    position = {r.id: i for i, r in enumerate(data.records)}
    targets = targets[[position[r.id] for r in features.data.records]]
    known, learned = ~np.isnan(targets).all(1), _seen(model, features)
    rows = np.flatnonzero(known & ~learned)
    left_out = {
        "seen": int((known & learned).sum()),
        "unlabelled": int((~known).sum()),
        "unreadable": len(features.unreadable),
    }
    if not len(rows):
        raise DataError(_nothing(model, data, left_out), "Bring labelled images that the model has not seen.")
    say("audit", 0, 1)
    audited = audit(features, seed)
    say("audit", 1, 1)
    groups = audited.groups[rows]
    _check_enough(model, data, targets[rows], groups, left_out)
    say("fitting", 0, 1)
    fitting = fitted(model, features, rows, targets[rows], groups, sensitivity, seed, left_out)
    findings = tuple(f"{f.title}. {f.detail}" for f in audited.findings if f.level == "serious")
    made = _assembled(replace(fitting, findings=findings))
    say("fitting", 1, 1)
    return made


def keep(made: Adapted, *, name: str | None = None, store: Store | None = None, actor: str = "local") -> Model:
    """Write what adapt made as the next version of its name, or of `name`; the first of a name answers at once.

    Its judged.npz holds the local predictions, and those that the model it was made of was judged by, as the new
    calibration turns them: on these the promotion gate can compare the two. Raises StoreError when the name belongs to
    another model and was not asked for, or the store cannot be written.
    """
    from medloupe.settings import home
    from medloupe.store.models import Store as Opened
    from medloupe.store.names import check_name

    store = store or Opened(home())
    called = name or made.model.name
    check_name(called)
    ours = _stored(store, made.base)
    if name is None and not ours and store.has(called):
        raise StoreError(
            f"The store has another model {called!r}; what was adapted is not a version of it.",
            "Give it a name of its own: --name NAME.",
        )
    evidence = made.evidence
    if ours and (old := Evidence.read(store.folder(made.base.name, made.base.version))) is not None:
        evidence = _joined(old, made)
    card = {**made.model.card, "name": called}
    if called != made.base.name:
        card.pop("title", None)  # two check-ups of one title could not be told apart
    model = replace(made.model, card=card)
    writer = _Writer(made, evidence)
    if made.base.onnx is None or made.base.backbone.path != made.base.onnx:
        return replace(store.add(model, write_files=writer, actor=actor), report=writer.page)
    return replace(_add_whole(store, model, writer, actor), report=writer.page)


class _Writer:
    """Writes the files of the new version into its folder."""

    def __init__(self, made: Adapted, evidence: Evidence):
        self.made, self.evidence, self.page = made, evidence, ""

    def __call__(self, folder: Path, model: Model) -> None:
        from medloupe.imaging.decode import load
        from medloupe.modelfile.writer import write_onnx

        size = model.backbone.card.input_size
        pixels = np.stack([load(image, size) for image in self.made.checks])
        write_onnx(model, folder / "model.onnx", check_images=pixels)
        self.page = replace(self.made, model=model).page
        (folder / "report.html").write_bytes(self.page.encode("utf-8", "backslashreplace"))  # names may be no text
        (folder / EVIDENCE).write_bytes(self.evidence.as_bytes())


def _add_whole(store: Store, model: Model, writer: _Writer, actor: str) -> Model:
    """A model that is one file answers with that file: it is written anew, with the new head in it, and kept so."""
    from medloupe.graphs.optimised import ensure_optimised
    from medloupe.modelfile.reader import load
    from medloupe.modelfile.writer import write_onnx

    with TemporaryDirectory(prefix="medloupe-") as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(model, file)
        made = load(file)
        # No server is to optimise it at the promotion, while people wait.
        ensure_optimised(file, sha256_of(file), store.home / "cache" / "graphs")
        return store.add(made, write_files=writer, actor=actor)


def _seen(model: Model, features: Features) -> np.ndarray:
    if not model.card.get("data"):
        return np.zeros(len(features.digests), bool)
    return seen_in_training(model.card, features.digests)


def _nothing(model: Model, data: Dataset, left_out: Mapping[str, int]) -> str:
    return (
        f"Nothing in {data.root} can be adapted to: {model.name} was trained on or adapted to {left_out['seen']:,} of"
        f" its images, and {left_out['unlabelled']:,} carry none of the model's labels."
    )


def _check_enough(
    model: Model, data: Dataset, targets: np.ndarray, groups: np.ndarray, left_out: Mapping[str, int]
) -> None:
    """Raises DataError when the cases are too few, or all of one kind."""
    n = len(np.unique(groups))
    ready = ready_labels(targets, groups)
    counts = zip(model.labels, (targets == 1).sum(0).tolist(), strict=True)
    names = ", ".join(f"{name} {count:,}" for name, count in counts)
    if model.card["task"] == "multiclass" and ((targets == 1).any(0)).sum() < 2:
        only = model.labels[int((targets == 1).any(0).argmax())]
        raise DataError(
            f"All {len(targets):,} cases of {data.root} are {only}: how often that is said wrongly cannot be told.",
            "Bring cases of the other classes too, as often as they come here.",
        )
    if n < FEWEST:
        rest = f" {left_out['seen']:,} others were left out: the model has seen them." if left_out["seen"] else ""
        raise DataError(
            f"{data.root} holds {n:,} independent cases (patients, or images that are no copies) with the labels of"
            f" {model.name}; {FEWEST} are needed.{rest}",
            "Bring 50 to 200 cases as they come in; about 40 with the disease tell a sensitivity of 90 % to ±10 %.",
        )
    if not ready.any() or not count_folds(targets, groups):
        raise DataError(
            f"{data.root} has no label with {FEWEST_A_SIDE} independent cases for it and {FEWEST_A_SIDE} against it"
            f" ({names}).",
            "Bring more cases of the rarer labels.",
        )


def _assembled(fitting: Fitting) -> Adapted:
    """The new model with its card, and what goes with it."""
    from medloupe.training.adapt.card import card

    base = fitting.model
    model = replace(
        base,
        head=fitting.calibration.folded(base.head),
        extras=scale_extras(base.extras, fitting.calibration.scale),
        card=card(fitting),
        report="",
        onnx=None if base.backbone.path != base.onnx else base.onnx,
    )
    n = len(fitting.rows)
    records = fitting.features.data.records
    checked = fitting.rows[:: max(1, n // _CHECKED)][:_CHECKED]
    after = fitting.after
    called = [[after.called(r, k) for k in range(len(after.labels))] for r in after.repeats]
    evidence = Evidence(
        labels=after.labels,
        task=after.task,
        digests=Evidence.digest([fitting.features.digests[row] for row in fitting.rows]),
        groups=np.asarray(after.groups, np.int64),
        targets=np.asarray(after.targets, np.float32),
        probabilities=after.probabilities,
        announced=np.asarray(called, np.float32).mean(0).T,
    )
    drawn = {name: curves(j)["calibration"] for name, j in (("before", fitting.before), ("after", after))}
    return Adapted(
        model=model,
        base=base,
        curves=drawn,
        evidence=evidence,
        checks=[records[i].picture for i in checked],
        fitting=fitting,
    )


def _stored(store: Store, model: Model) -> bool:
    """Whether the model is the store's version of that name and number."""
    if model.version is None or not store.has(model.name):
        return False
    try:
        there = store.get(model.name, model.version, report=False)
    except StoreError:
        return False
    return np.array_equal(there.head.weight, model.head.weight) and np.array_equal(there.head.bias, model.head.bias)


def _joined(old: Evidence, made: Adapted) -> Evidence:
    """What the old version was judged by, as the new one answers it, and the local cases, in one."""
    new, fitting = made.evidence, made.fitting
    fresh = ~np.isin(new.digests, old.digests)
    if (old.labels, old.task) != (new.labels, new.task) or not fresh.any():
        return new
    p = np.clip(old.probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    logits = np.log(p) if old.task == "multiclass" else np.log(p) - np.log1p(-p)
    turned = probabilities(fitting.calibration.logits(logits), old.task).astype(np.float32)
    if fitting.weights is not None:
        announced = np.eye(len(old.labels))[(turned * fitting.weights).argmax(2)].mean(0)
    else:
        announced = (turned >= fitting.lines.astype(np.float32)).mean(0)
    repeats = np.arange(len(turned)) % len(new.probabilities)
    apart = int(old.groups.max(initial=-1)) + 1
    return Evidence(
        labels=old.labels,
        task=old.task,
        digests=np.concatenate([old.digests, new.digests[fresh]]),
        groups=np.concatenate([old.groups, new.groups[fresh] + apart]),
        targets=np.concatenate([old.targets, new.targets[fresh]]),
        probabilities=np.concatenate([turned, new.probabilities[repeats][:, fresh]], axis=1),
        announced=np.concatenate([announced.astype(np.float32), new.announced[fresh]]),
    )
