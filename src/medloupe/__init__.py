"""medloupe: from a labelled folder of medical images to an honestly evaluated classifier in one ONNX file.

    data  = medloupe.read("chest_xray/")
    model = medloupe.train(data, name="pneumonia")
    model.predict("scan.png")
    model.save("pneumonia.onnx"); medloupe.load("pneumonia.onnx")

Research software, not a medical device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloupe.errors import MedloupeError as MedloupeError
    from medloupe.model import Model as Model
    from medloupe.modelfile import load as load
    from medloupe.prediction import Prediction
    from medloupe.readers import read as read
    from medloupe.records import Box as Box
    from medloupe.records import Dataset as Dataset
    from medloupe.records import Record as Record
    from medloupe.training import train as train
    from medloupe.validation import validate as validate

from medloupe.version import __version__ as __version__

_HOME = {  # public name -> module; loaded on first use, so that `import medloupe` costs next to nothing
    "Box": "medloupe.records",
    "Dataset": "medloupe.records",
    "MedloupeError": "medloupe.errors",
    "Model": "medloupe.model",
    "Prediction": "medloupe.records",
    "Record": "medloupe.records",
    "load": "medloupe.modelfile",
    "read": "medloupe.readers",
    "train": "medloupe.training",
    "validate": "medloupe.validation",
}

__all__ = [
    "Box",
    "Dataset",
    "MedloupeError",
    "Model",
    "Prediction",
    "Record",
    "__version__",
    "load",
    "read",
    "train",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'medloupe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
