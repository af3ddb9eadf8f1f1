"""Define the head of a detector: a pyramid over the maps of the shared network, and what it says of each place.

At each place of one map (stride 4, or 8 where boxes are large enough) it says for every label how much this is the
middle of one, how far the four sides of its box are, and how well the box fits. At stride 8 the finest map goes in by a
convolution of 2 × 2 places, so that nothing of it is lost; a step of training then costs a third.

Sources: Lin et al., "Feature Pyramid Networks" (CVPR 2017); Zhou et al., "Objects as Points" (2019); Liu et al.,
"Training-Time-Friendly Network for Real-Time Object Detection" (TTFNet, AAAI 2020); Tompson et al., "Efficient Object
Localization Using Convolutional Networks" (CVPR 2015) for leaving out whole channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.graphs.module import import_torch

if TYPE_CHECKING:
    import torch

FINE, COARSE = 4, 8  # strides of the map on which boxes are found
WIDTH = 64  # channels of the pyramid
PRIOR = 0.02  # probability of a middle before anything is learned
DROPPED = 0.15  # share of the channels of each map that training leaves out, lest pictures be learned by heart


def build_head(
    channels: Sequence[int],
    labels: int,
    mean: Sequence[np.ndarray],
    scale: Sequence[np.ndarray],
    stride: int,
    seed: int,
) -> Any:
    """Build the head as a PyTorch module: maps in; heat, sides and quality of one map out.

    Parameters
    ----------
    channels : sequence of int
        Of the maps, finest first.
    labels : int
        K.
    mean, scale : sequence of np.ndarray
        float32 (C,), of each channel of each map.
    stride : int
        Of the map on which boxes are found: 4 or 8.
    seed : int
        Of the first weights.

    Returns
    -------
    torch.nn.Module
        heat float32 (N, K, h, w) as logits, sides (N, 4, h, w) in pixels to the left, top, right and bottom, and
        quality (N, 1, h, w) as logits. Its attribute `stride` is the one given.
    """
    torch = import_torch()
    nn, f = torch.nn, torch.nn.functional
    torch.manual_seed(seed)

    class Pointwise(nn.Conv2d):
        """A 1 × 1 convolution as a matrix product, which in one thread is much faster."""

        def __init__(self, wide: int, out: int, *, bias: bool = True) -> None:
            super().__init__(wide, out, 1, bias=bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return f.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)

    def block(*, dense: bool = False) -> Any:
        if dense:
            convolutions = [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
        else:
            across = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False)
            convolutions = [across, Pointwise(WIDTH, WIDTH, bias=False)]
        return nn.Sequential(*convolutions, nn.BatchNorm2d(WIDTH), nn.ReLU())

    class DetectionHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stride = stride
            for i, (m, s) in enumerate(zip(mean, scale, strict=True)):
                self.register_buffer(f"mean{i}", torch.tensor(m).view(1, -1, 1, 1))
                self.register_buffer(f"scale{i}", torch.tensor(s).view(1, -1, 1, 1))
            self.lateral = nn.ModuleList(Pointwise(c, WIDTH) for c in channels)
            finer = block()
            if stride == COARSE:
                self.lateral[0] = nn.Conv2d(channels[0], WIDTH, 2, stride=2)
                finer = nn.Sequential()
            # what is cheap at strides 16 and 32 is dense
            self.smooth = nn.ModuleList([finer, *(block(dense=True) for _ in channels[2:])])
            self.shared, self.to_heat, self.to_boxes = block(), block(), block()
            self.heat, self.sides, self.quality = (Pointwise(WIDTH, k) for k in (labels, 4, 1))
            nn.init.constant_(self.heat.bias, float(np.log(PRIOR / (1 - PRIOR))))
            nn.init.normal_(self.heat.weight, 0, 0.01)

        def forward(self, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            even = [(x - getattr(self, f"mean{i}")) / getattr(self, f"scale{i}") for i, x in enumerate(maps)]
            inputs = [
                lateral(f.dropout2d(x, DROPPED, self.training)) for lateral, x in zip(self.lateral, even, strict=True)
            ]
            x = self.smooth[-1](f.relu(inputs[-1]))
            for i in range(len(inputs) - 2, 0, -1):
                x = self.smooth[i - 1](f.relu(inputs[i] + f.interpolate(x, scale_factor=2.0, mode="nearest")))
            if stride != COARSE:
                x = f.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.shared(f.relu(inputs[0] + x))
            boxes = self.to_boxes(x)
            sides = torch.exp(self.sides(boxes).clamp(-4, 6)) * stride
            return self.heat(self.to_heat(x)), sides, self.quality(boxes)

    return DetectionHead()
