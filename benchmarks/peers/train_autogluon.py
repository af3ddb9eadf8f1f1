"""AutoGluon MultiModal as it comes, on EfficientNet-Lite0: its recipe trains all layers and stops early by itself.

Its own pretrained networks are downloaded when first used; here it gets the same weights as the others, under the names
that timm gives the layers. It needs torchvision, and so an environment of its own where that imports.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas
import timm
import torch
from autogluon.multimodal import MultiModalPredictor
from lite_torch import FEATURES, weights
from train_data import arguments, write

ARCHITECTURE = "tf_efficientnet_lite0"


def checkpoint(folder: Path) -> Path:
    """The weights as AutoGluon reads a network from a folder."""
    published = torch.load(weights(), map_location="cpu", weights_only=True)
    network = timm.create_model(ARCHITECTURE)
    state: dict[str, Any] = {}
    for (name, own), value in zip(network.state_dict().items(), published.values(), strict=True):  # the same order
        if own.shape != value.shape:
            raise SystemExit(f"{name} has another shape than published.")
        if not name.startswith("classifier."):
            state[name] = value
    torch.save(state, folder / "pytorch_model.bin")
    config = {"architecture": ARCHITECTURE, "num_features": FEATURES, "pretrained_cfg": network.pretrained_cfg}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def rows(folder: Path) -> pandas.DataFrame:
    """Columns image (path) and label."""
    table = pandas.read_csv(folder / "labels.csv", dtype=str)
    return pandas.DataFrame({"image": [str(folder / f) for f in table["file"]], "label": table["label"]})


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--budget", type=float, default=600, help="seconds; its recipe wants more than six epochs")
    parser.add_argument("--workers", type=int, default=2)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "network"
        folder.mkdir()
        predictor = MultiModalPredictor(label="label", path=str(Path(temporary) / "model"))
        predictor.fit(
            rows(told.open),
            hyperparameters={
                "model.names": ["timm_image"],
                "model.timm_image.checkpoint_name": str(checkpoint(folder)),
                "env.num_gpus": 0,
                "env.precision": "32",  # its default, 16-mixed, is for cards
                "env.num_workers": told.workers,
            },
            time_limit=told.budget,
            seed=told.seed,
        )
        started = time.perf_counter()
        asked = rows(told.aside).drop(columns="label")
        p = predictor.predict_proba(asked, as_pandas=True)
        ask = time.perf_counter() - started
    files = [str(Path(f).relative_to(told.aside)) for f in asked["image"]]
    write(told.out, files, [str(c) for c in p.columns], p.to_numpy(), ask)


if __name__ == "__main__":
    main()
