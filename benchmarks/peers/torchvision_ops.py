"""Import torchvision's detectors beside a PyTorch whose build its compiled operators do not fit.

Beside the CPU-only wheel of PyTorch 2.13 the torchvision 0.28 of PyPI, which is built for CUDA, fails to load its
operators, and then fails to import because one of them, `torchvision::nms`, is unknown. SSD and FCOS need no other. So
it is defined here in plain PyTorch, which costs time after training alone, when pictures are asked about.
"""

from __future__ import annotations

import torch
from torch import Tensor

_library = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _suppress(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Rows kept, the surest first; of two that overlap more than the threshold the surer stays."""
    order = scores.sort(descending=True, stable=True).indices
    found = dets[order]
    area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    alive = torch.ones(len(found), dtype=torch.bool)
    kept: list[int] = []
    for i in range(len(found)):
        if not alive[i]:
            continue
        kept.append(i)
        low, high = torch.maximum(found[i, :2], found[:, :2]), torch.minimum(found[i, 2:], found[:, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        alive &= shared / (area[i] + area - shared).clamp(min=1e-9) <= iou_threshold
    return order[torch.tensor(kept, dtype=torch.long)]


_library.impl("nms", _suppress, "CPU")

import torchvision.extension  # noqa: E402

torchvision.extension._assert_has_ops = lambda: None
torchvision.ops.boxes._assert_has_ops = lambda: None
