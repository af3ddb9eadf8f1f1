"""Keep a model that was adapted to local cases as a version in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from medloupe.errors import StoreError
from medloupe.graphs.optimised import ensure_optimised
from medloupe.imaging import decode
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.modelfile import reader
from medloupe.modelfile.writer import write_onnx
from medloupe.settings import home
from medloupe.store.models import Store
from medloupe.store.names import check_name
from medloupe.training.adapt.run import AdaptedModel
from medloupe.utils.files import sha256_of


def keep_adapted(
    made: AdaptedModel, *, name: str | None = None, store: Store | None = None, actor: str = "local"
) -> Model:
    """Write what `adapt` made as the next version of its name; the first of a name answers at once.

    Its judged.npz holds the local predictions, and those that the model it was made of was judged by, as the new
    calibration turns them: on these the promotion gate can compare the two.

    Parameters
    ----------
    made : AdaptedModel
        What `adapt` gave.
    name : str, optional
        Another name for it in the store.
    store : Store, optional
        The one of home where left out.
    actor : str
        Who does it, for the log.

    Returns
    -------
    Model
        With its version and its page.

    Raises
    ------
    StoreError
        When the name belongs to another model and was not asked for, or the store cannot be written.
    """
    store = store or Store(home())
    called = name or made.model.name
    check_name(called)
    ours = is_stored(store, made.base)
    if name is None and not ours and store.has(called):
        raise StoreError(
            f"The store has another model {called!r}; what was adapted is not a version of it.",
            "Give it a name of its own: --name NAME.",
        )
    evidence = made.evidence
    if ours and (old := Evidence.read(store.folder(made.base.name, made.base.version))) is not None:
        evidence = _join_evidence(old, made)
    card = {**made.model.card, "name": called}
    if called != made.base.name:
        card.pop("title", None)  # two check-ups of one title could not be told apart
    model = replace(made.model, card=card)
    writer = _AdaptedFiles(made, evidence)
    if made.base.onnx is None or made.base.backbone.path != made.base.onnx:
        return replace(store.add(model, write_files=writer, actor=actor), report=writer.page)
    return replace(_add_whole(store, model, writer, actor), report=writer.page)


class _AdaptedFiles:
    """Write the files of the new version into its folder."""

    def __init__(self, made: AdaptedModel, evidence: Evidence):
        self.made, self.evidence, self.page = made, evidence, ""

    def __call__(self, folder: Path, model: Model) -> None:
        size = model.backbone.card.input_size
        pixels = np.stack([decode.load(image, size) for image in self.made.checks])
        write_onnx(model, folder / "model.onnx", check_images=pixels)
        self.page = replace(self.made, model=model).page
        (folder / "report.html").write_bytes(self.page.encode("utf-8", "backslashreplace"))  # names may be no text
        (folder / FILE).write_bytes(self.evidence.as_bytes())


def _add_whole(store: Store, model: Model, writer: _AdaptedFiles, actor: str) -> Model:
    """Add a model that is one file, and answers with it: it is written anew, with the new head in it, and kept so."""
    with TemporaryDirectory(prefix="medloupe-") as folder:
        file = Path(folder) / "model.onnx"
        write_onnx(model, file)
        made = reader.load(file)
        # No server is to optimise it at the promotion, while people wait.
        ensure_optimised(file, sha256_of(file), store.home / "cache" / "graphs")
        return store.add(made, write_files=writer, actor=actor)


def is_stored(store: Store, model: Model) -> bool:
    """Tell whether the model is the store's version of that name and number, by its head."""
    if model.version is None or not store.has(model.name):
        return False
    try:
        there = store.get(model.name, model.version, report=False)
    except StoreError:
        return False
    return np.array_equal(there.head.weight, model.head.weight) and np.array_equal(there.head.bias, model.head.bias)


def _join_evidence(old: Evidence, made: AdaptedModel) -> Evidence:
    """Join what the old version was judged by, as the new one answers it, and the local cases."""
    new, fitting = made.evidence, made.fitting
    fresh = ~np.isin(new.digests, old.digests)
    if (old.labels, old.task) != (new.labels, new.task) or not fresh.any():
        return new
    p = np.clip(old.probabilities.astype(np.float64), 1e-12, 1 - 1e-12)
    logits = np.log(p) if old.task == "multiclass" else np.log(p) - np.log1p(-p)
    turned = probabilities(fitting.calibration.apply(logits), old.task).astype(np.float32)
    if old.task == "multiclass":
        announced = np.eye(len(old.labels))[turned.argmax(2)].mean(0)
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
