"""The usual PyTorch loop: pretrained EfficientNet-Lite0, a new linear layer, a DataLoader, some epochs of Adam.

With --all every layer is trained, else the pretrained part is frozen.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from lite_torch import MEAN, SCALE, SIZE, Lite0, pretrained
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from train_data import arguments, table, write


class Pictures(Dataset[tuple[Tensor, int]]):
    """Decoded, resized and normalised when asked for; mirrored at random where told."""

    def __init__(self, folder: Path, files: list[str], y: list[int], flips: bool) -> None:
        self.folder, self.files, self.y, self.flips = folder, files, y, flips

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image = Image.open(self.folder / self.files[i]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().sub_(MEAN).div_(SCALE)
        if self.flips and torch.rand(()) < 0.5:
            x = x.flip(2)
        return x, self.y[i]


def trained(network: Lite0, batches: DataLoader, epochs: int, rate: float, every_layer: bool) -> list[float]:
    """Trains in place; seconds of each epoch."""
    loss_of, seconds = nn.CrossEntropyLoss(), []
    for parameter in network.parameters():
        parameter.requires_grad = every_layer
    network._fc.requires_grad_(True)
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], rate)
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        network.train(every_layer)  # frozen: the normalisation keeps its statistics too
        network._dropout.train()
        for x, y in batches:
            optimiser.zero_grad()
            loss = loss_of(network(x.contiguous(memory_format=torch.channels_last)), y)
            loss.backward()
            optimiser.step()
            total += loss.item() * len(y)
        seconds.append(time.perf_counter() - started)
        print(f"epoch {epoch + 1}: loss {total / len(batches.dataset):.4f}, {seconds[-1]:.1f} s", flush=True)  # type: ignore[arg-type]
    return seconds


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--rate", type=float, help="default: 1e-3, with --all 1e-4")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    told = parser.parse_args()

    torch.manual_seed(told.seed)
    files, names = table(told.open)
    labels = sorted(set(names))
    network = pretrained(len(labels)).to(memory_format=torch.channels_last)
    data = Pictures(told.open, files, [labels.index(n) for n in names], flips=True)
    batches = DataLoader(data, told.batch, shuffle=True, num_workers=told.workers, persistent_workers=told.workers > 0)
    seconds = trained(network, batches, told.epochs, told.rate or (1e-4 if told.all else 1e-3), told.all)

    started = time.perf_counter()
    network.eval()
    asked, _ = table(told.aside)
    data = Pictures(told.aside, asked, [0] * len(asked), flips=False)
    with torch.inference_mode():
        p = torch.cat(
            [
                network(x.contiguous(memory_format=torch.channels_last)).softmax(1)
                for x, _ in DataLoader(data, told.batch, num_workers=told.workers)
            ]
        )
    write(told.out, asked, labels, p.numpy(), time.perf_counter() - started, seconds)


if __name__ == "__main__":
    main()
