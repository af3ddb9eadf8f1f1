"""fastai as its book has it: its augmentation, its head, one frozen epoch and then all layers (`fine_tune`).

Its own pretrained networks are downloaded when first used; here it gets EfficientNet-Lite0 with the same weights as the
others. It needs torchvision, and so an environment of its own where that imports.
"""

from __future__ import annotations

import time
from typing import Any

from fastai.vision.all import (
    Callback,
    CategoryBlock,
    ColReader,
    DataBlock,
    ImageBlock,
    Learner,
    Normalize,
    RandomSplitter,
    Resize,
    accuracy,
    aug_transforms,
    default_split,
    set_seed,
)
from fastai.vision.learner import add_head
from lite_torch import FEATURES, MEAN, SCALE, SIZE, pretrained
from torch import Tensor, nn
from train_data import arguments, table, write


class Body(nn.Module):
    """The pretrained network up to its last map."""

    def __init__(self) -> None:
        super().__init__()
        self.network = pretrained(1)
        del self.network._fc

    def forward(self, x: Tensor) -> Tensor:
        return self.network.map(x)


class Seconds(Callback):
    """Of each epoch."""

    def __init__(self) -> None:
        self.of_epochs: list[float] = []

    def before_epoch(self) -> None:
        self.started = time.perf_counter()

    def after_epoch(self) -> None:
        self.of_epochs.append(time.perf_counter() - self.started)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--epochs", type=int, default=6, help="the frozen one included")
    parser.add_argument("--workers", type=int, default=2)
    told = parser.parse_args()
    set_seed(told.seed)
    import pandas

    rows = pandas.read_csv(told.open / "labels.csv", dtype=str)
    norm: Any = Normalize.from_stats([MEAN / 255] * 3, [SCALE / 255] * 3, cuda=False)
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=ColReader("file", pref=f"{told.open}/"),
        get_y=ColReader("label"),
        splitter=RandomSplitter(0.1, seed=told.seed),
        item_tfms=Resize(SIZE),
        batch_tfms=[*aug_transforms(), norm],
    )
    loaders = block.dataloaders(rows, bs=32, num_workers=told.workers)
    labels = [str(c) for c in loaders.vocab]
    seconds = Seconds()
    model = add_head(Body(), FEATURES, len(labels))
    learner = Learner(loaders, model, metrics=accuracy, splitter=default_split, cbs=seconds)
    learner.fine_tune(told.epochs - 1)
    learner.remove_cb(seconds)

    started = time.perf_counter()
    asked, _ = table(told.aside)
    p, _ = learner.get_preds(dl=loaders.test_dl([told.aside / f for f in asked], num_workers=told.workers))
    write(told.out, asked, labels, p.numpy(), time.perf_counter() - started, seconds.of_epochs)


if __name__ == "__main__":
    main()
