"""Match foreign labels to a model's order."""

from __future__ import annotations

import numpy as np

from medloupe.data.records import Dataset
from medloupe.errors import DataError, did_you_mean
from medloupe.model.bundle import Model


def align_targets(model: Model, data: Dataset) -> np.ndarray:
    """Bring the targets of data from elsewhere into the order of a model's labels; spelling may differ in case.

    Returns
    -------
    np.ndarray
        float32 (N, K) of 1/0/NaN.

    Raises
    ------
    DataError
        The labels are others, or several stand on an image and the model gives one answer.
    """
    by_name = {name.casefold(): k for k, name in enumerate(data.labels)}
    foreign = [name for name in data.labels if name.casefold() not in {m.casefold() for m in model.labels}]
    common = [name for name in model.labels if name.casefold() in by_name]
    if not common or (foreign and model.card["task"] == "multiclass"):
        wrong = foreign[0] if foreign else "(none)"
        raise DataError(
            f"The labels of {data.root} ({', '.join(data.labels) or 'none'}) are not those of {model.name}"
            f" ({', '.join(model.labels)}).",
            did_you_mean(wrong, model.labels) or "Rename the classes, or tell the label column with --labels.",
        )
    y = data.targets
    targets = np.full((len(data), len(model.labels)), np.nan, np.float32)
    for k, name in enumerate(model.labels):
        if name.casefold() in by_name:
            targets[:, k] = y[:, by_name[name.casefold()]]
        elif model.card["task"] == "multiclass":  # the class does not occur here: known to be absent
            targets[~np.isnan(y).all(1), k] = 0
    if model.card["task"] == "multiclass" and data.task == "multilabel":
        _keep_single_findings(model, data, targets)
    return targets


def _keep_single_findings(model: Model, data: Dataset, targets: np.ndarray) -> None:
    """Take findings as classes, in place: an image with one is of that class, one with none is unlabelled."""
    present = (targets == 1).sum(1)
    if (present > 1).any():
        raise DataError(
            f"{int((present > 1).sum()):,} images of {data.root} carry several labels at once; {model.name} gives one"
            " answer an image.",
            "Tell a column with one label a row with --labels.",
        )
    targets[present == 0] = np.nan
    targets[present == 1] = targets[present == 1] == 1
