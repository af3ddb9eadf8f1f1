"""Tell which kind of case an answer of a check-up becomes, which is the task of the data set that it goes into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medloupe.data.modalities import ECGS, PICTURES

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

_OF_ECGS = {"multiclass": "ecg", "multilabel": "ecg_multilabel"}
_OF_PICTURES = ("multiclass", "multilabel", "detection")


def name_task(checkup: CheckUp) -> str:
    """Name the task of a check-up's cases, as data sets have it: "multiclass", "ecg_multilabel"."""
    if checkup.modality == ECGS.name:
        return _OF_ECGS[checkup.task]
    return "detection" if checkup.finds_boxes and checkup.asks is None else checkup.task


def is_placed(checkup: CheckUp) -> bool:
    """Tell whether data sets hold what a check-up tells: classes or findings of pictures or ECGs, or boxes."""
    known = {ECGS.name: tuple(_OF_ECGS), PICTURES.name: _OF_PICTURES}
    return checkup.task in known.get(checkup.modality, ())
