"""Keras: a small convolutional network from scratch, as its guide "Image classification from scratch" goes about it.

Rescaling and mirroring in the network, separable convolutions with normalisation, Adam, early stopping on a tenth of
the images. keras.applications cannot be used without a connection: its weights are downloaded. Any backend.
"""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
from keras import layers
from train_data import arguments, pictures, table, write


class Seconds(keras.callbacks.Callback):
    """Of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.of_epochs: list[float] = []
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.of_epochs.append(time.perf_counter() - self._started)


def network(side: int, classes: int) -> keras.Model:
    x = image = keras.Input((side, side, 3))
    x = layers.Rescaling(1 / 255)(layers.RandomFlip("horizontal")(x))
    x = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(32, 3, strides=2, padding="same")(x)))
    for width in (64, 128, 256):
        y = layers.SeparableConv2D(width, 3, padding="same")(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        y = layers.MaxPooling2D(3, strides=2, padding="same")(y)
        x = layers.add([y, layers.Conv2D(width, 1, strides=2, padding="same")(x)])
    x = layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--side", type=int, default=96)
    told = parser.parse_args()
    keras.utils.set_random_seed(told.seed)
    files, names = table(told.open)
    labels = sorted(set(names))
    order = np.random.default_rng(told.seed).permutation(len(files))  # Keras cuts its tenth off the end
    x = pictures(told.open, files, told.side)[order].astype(np.float32)
    y = np.array([labels.index(n) for n in names])[order]
    model, seconds = network(told.side, len(labels)), Seconds()
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    patience = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    model.fit(x, y, 32, told.epochs, verbose=2, validation_split=0.1, callbacks=[patience, seconds])
    started = time.perf_counter()
    asked, _ = table(told.aside)
    p = model.predict(pictures(told.aside, asked, told.side).astype(np.float32), verbose=0)
    write(told.out, asked, labels, p, time.perf_counter() - started, seconds.of_epochs)


if __name__ == "__main__":
    main()
