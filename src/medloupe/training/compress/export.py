"""Export a model as one file, in the precision asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.errors import DataError
from medloupe.model.bundle import Model
from medloupe.modelfile.writer import PARITY_SMALL, write_onnx
from medloupe.utils.progress import StageProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """What was written.

    Attributes
    ----------
    model : Model
        As in the file.
    path : Path
        Of the file.
    precision : str
        "fp32", "fp16" or "int8".
    parity : float
        Largest difference of a probability to the training path's.
    kept : bool
        Whether the store has it now for its server.
    """

    model: Model
    path: Path
    precision: str
    parity: float
    kept: bool

    def as_json(self) -> dict[str, Any]:
        """Give one line for programs; `compression` is the card's entry `precision`, of int8 only."""
        said = {
            "name": self.model.name,
            "version": self.model.version,
            "onnx": str(self.path),
            "bytes": self.path.stat().st_size,
            "parity": self.parity,
            "precision": self.precision,
        }
        return {**said, "kept": self.kept, "compression": self.model.card["precision"]} if self._measured else said

    @property
    def _measured(self) -> bool:
        return self.precision == "int8"

    @property
    def words(self) -> str:
        """The same for people."""
        lines = [
            f"{self.path}: {self.path.stat().st_size / 1e6:.1f} MB, agrees with the model within {self.parity:.1g}"
        ]
        if self._measured:
            said = self.model.card["precision"]
            full, small, n = said["fp32"], said["int8"], said["judged"]["images"]
            share = small["bytes"] / full["bytes"]
            lines += (
                f"int8 keeps AUC {small['auc']:.4f} of {full['auc']:.4f}, cross-validated on {n:,} training images.",
                f"It is {said['times_faster']:.2f} times as fast here, and has {share:.0%} of the size.",
            )
            if said["forced"]:
                lines.append(f"Forced, although {'; '.join(said['judged']['fell'])}. The card says so.")
            elif self.kept:
                lines.append("Servers of this store use it where it is the faster one.")
        return "\n".join(lines)


def export(
    reference: str,
    out: Path,
    *,
    precision: str = "fp32",
    data: Path | None = None,
    read_as: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: StageProgress | None = None,
) -> ExportedFile:
    """Write a model to a file.

    An int8 model that keeps its accuracy is kept in the store too.

    Parameters
    ----------
    reference : str
        As `find_model` takes it.
    out : Path
        Of the file.
    precision : str
        "fp32", "fp16" or "int8".
    data : Path, optional
        Of int8: where the training images are; by default where they were for training.
    read_as : mapping, optional
        Of int8: how `medloupe.read` is to read them; by default as they were for training.
    force : bool
        Of int8: also where it costs more accuracy than is allowed; the card then says so.
    progress : callable, optional
        Told the stage, how much of it is done, and of how much.

    Returns
    -------
    ExportedFile
        What was written, and how close it comes to the model.

    Raises
    ------
    CompressionRefusedError
        Where 8 bits cost more accuracy than is allowed.
    DataError
        Where the training images are not found.
    ParityError
        Where the file answers otherwise than the model.
    ModelFileError
        Where the model cannot be written as a file.
    StoreError
        Where there is no such model, or the disk is full.
    """
    from medloupe.inference.find import find_model

    model = find_model(reference)
    if precision == "fp32":
        return ExportedFile(model=model, path=out, precision=precision, parity=write_onnx(model, out), kept=False)
    if precision == "fp16":
        from medloupe.training.compress.run import to_half_precision

        model = to_half_precision(model)
        parity = write_onnx(model, out, tolerance=PARITY_SMALL)
        return ExportedFile(model=model, path=out, precision=precision, parity=parity, kept=False)
    return _export_eight_bit(model, reference, out, data, read_as or {}, force, progress)


def _export_eight_bit(
    model: Model,
    reference: str,
    out: Path,
    data: Path | None,
    read_as: Mapping[str, Any],
    force: bool,
    progress: StageProgress | None,
) -> ExportedFile:
    from medloupe.data import whereabouts
    from medloupe.data.reading import read
    from medloupe.store.models import Store
    from medloupe.training.compress.run import compress

    version = _trained_version(model)
    store = Store.open()
    stored = not reference.endswith(".onnx") and store.has(model.name)
    called = f"{model.name}@{version}"
    if data is not None:
        dataset = read(data, **read_as)
    elif stored:
        dataset = whereabouts.read_again(store.folder(model.name, version), called)
    else:
        raise DataError(f"Where the images of {reference} lie is not known.", "Say so: --data DIR")
    made = compress(model, whereabouts.scan_training_data(dataset, model.card, called), force=force, progress=progress)
    parity = write_onnx(made.file, out, tolerance=PARITY_SMALL)
    kept = stored and made.accepted
    if kept:
        store.attach(made.model, "int8")
    return ExportedFile(model=made.file, path=out, precision="int8", parity=parity, kept=kept)


def _trained_version(model: Model) -> int:
    """Return the version of a model that was trained here; raise DataError where 8 bits cannot be measured on it."""
    model.require_classes("writing in 8 bits")
    if model.card.get("adapted"):
        raise DataError(
            f"{model.name} was adapted to local cases, which 8 bits would undo: they need a head of their own.",
            "Export the version it was adapted from, or use --precision fp16.",
        )
    if model.version is None or "head" not in model.card:
        raise DataError(
            f"{model.name} was not trained here: what int8 would cost it cannot be measured.",
            "Export it with --precision fp16, or train it on your own images.",
        )
    return model.version
