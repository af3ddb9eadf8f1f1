"""torchvision's detectors: SSDLite320 on MobileNetV3 from random weights, or FCOS on the network medloupe starts from.

    python detect_torchvision.py DATA OUT.json [--network ssdlite|fcos] [--minutes 5]

ssdlite   `ssdlite320_mobilenet_v3_large`, all of it from random weights: its own are downloaded when first used.
fcos      `torchvision.models.detection.FCOS` with its pyramid (strides 8, 16, 32, 256 channels) on EfficientNet-Lite0
          with the published ImageNet weights (lite_torch.py), all layers trained, statistics of the network kept.

SGD with a warm-up and a cosine over the minutes that are given (torchvision's reference: momentum .9, decay 4e-5 and
1e-4), pictures mirrored at random.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import torch
import torchvision_ops  # noqa: F401  (before torchvision)
from detect_data import Boxes, Clock, Found, arguments, boxes, write
from lite_torch import MEAN, SCALE, pretrained
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FCOS, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

WARM_UP = 0.05  # share of the training
TAKEN = {"8": 4, "16": 10, "32": 15}
"""By stride, the last block of Lite0 whose map enters the pyramid."""
CHANNELS = (40, 112, 320)


class Lite0Pyramid(nn.Module):
    """Pixels float32 (N, 3, H, W) → maps of 256 channels at strides 8, 16, 32."""

    out_channels = 256

    def __init__(self) -> None:
        super().__init__()
        self.network = pretrained(1)
        self.pyramid = FeaturePyramidNetwork(list(CHANNELS), self.out_channels)
        del self.network._conv_head, self.network._bn1, self.network._fc

    def train(self, mode: bool = True) -> Lite0Pyramid:
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = functional.relu6(self.network._bn0(self.network._conv_stem(x)))
        maps, names = OrderedDict(), {block: stride for stride, block in TAKEN.items()}
        for number, block in enumerate(self.network._blocks):
            x = block(x)
            if number in names:
                maps[names[number]] = x
        return self.pyramid(maps)


def network_of(name: str, labels: int, size: int) -> nn.Module:
    if name == "ssdlite":
        return ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=labels + 1)
    return FCOS(
        Lite0Pyramid(),
        num_classes=labels + 1,
        min_size=size,
        max_size=math.ceil(1.34 * size),
        image_mean=[MEAN / 255] * 3,
        image_std=[SCALE / 255] * 3,
        anchor_generator=AnchorGenerator(((8,), (16,), (32,)), ((1.0,),) * 3),
        score_thresh=0.05,
        detections_per_img=300,
    )


def picture(path: object) -> Tensor:
    pixels = np.array(Image.open(str(path)).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(255)


def example(x: Tensor, rows: list[tuple[int, float, float, float, float]], flip: bool) -> tuple[Tensor, dict]:
    table = torch.tensor(rows)
    corners = torch.cat([table[:, 1:3], table[:, 1:3] + table[:, 3:5]], 1)
    if flip:
        x, wide = x.flip(2), x.shape[2]
        corners = torch.stack([wide - corners[:, 2], corners[:, 1], wide - corners[:, 0], corners[:, 3]], 1)
    return x, {"boxes": corners, "labels": table[:, 0].long() + 1}


def trained(network: nn.Module, data: Boxes, pixels: list[Tensor], clock: Clock, rate: float, batch: int) -> float:
    """Trains in place until the clock is over; passes over the pictures."""
    optimiser = torch.optim.SGD(network.parameters(), rate, momentum=0.9, weight_decay=5e-5)
    seen, rng = 0, np.random.default_rng(0)
    network.train()
    while clock.left():
        order = rng.permutation(len(pixels))
        for at in range(0, len(order), batch):
            share = min(1.0, clock.spent() / clock.minutes)
            now = rate * min(1.0, share / WARM_UP + 0.01) * (0.5 + 0.5 * math.cos(math.pi * share))
            for part in optimiser.param_groups:
                part["lr"] = now
            rows = order[at : at + batch]
            given = [example(pixels[i], data.of[data.learned[i]], rng.random() < 0.5) for i in rows]
            loss = sum(network([x for x, _ in given], [y for _, y in given]).values())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            seen += len(rows)
            clock.say(f"{seen / len(pixels):.1f} passes, loss {float(loss.detach()):.3f}")
            if not clock.left():
                break
    return seen / len(pixels)


@torch.inference_mode()
def found(network: nn.Module, data: Boxes, folder: object) -> Found:
    network.eval()
    said: Found = {}
    for name in data.asked:
        (answer,) = network([picture(folder / name)])
        rows = zip(answer["labels"].tolist(), answer["boxes"].tolist(), answer["scores"].tolist(), strict=True)
        said[name] = [[data.labels[k - 1], x0, y0, x1 - x0, y1 - y0, p] for k, (x0, y0, x1, y1), p in rows]
    return said


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--network", choices=("ssdlite", "fcos"), default="ssdlite")
    told = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(told.seed)
    data = boxes(told.data)
    network = network_of(told.network, len(data.labels), told.size)
    pixels = [picture(told.data / name) for name in data.learned]
    clock = Clock(told.minutes)
    rate = told.rate or (0.02 if told.network == "ssdlite" else 0.01)
    passes = trained(network, data, pixels, clock, rate, told.batch)
    spent = clock.spent()
    weights = "random weights" if told.network == "ssdlite" else "Lite0 of ImageNet"
    write(told.out, spent, passes, found(network, data, told.data), f"torchvision {told.network}, {weights}")


if __name__ == "__main__":
    main()
