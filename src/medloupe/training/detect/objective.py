"""Measure how far a head is from its targets.

Sources: Zhou et al., "Objects as Points" (2019) for the focal loss with Gaussian targets; Rezatofighi et al.,
"Generalized Intersection over Union" (CVPR 2019).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medloupe.graphs.module import import_torch

if TYPE_CHECKING:
    import torch

BOX_WEIGHT, QUALITY_WEIGHT = 5.0, 1.0
AVERAGED, SURE_POWER, LEAST_SURE = 3, 2.0, 1e-9
"""Places a side over which boxes are averaged, the power of their heat by which they count, and what keeps the sum of
weights from 0."""


def places_of(torch: Any, heat: torch.Tensor, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Give x (1, w) and y (h, 1) of the middles of all places of a map, in pixels."""
    h, w = heat.shape[-2:]
    x = (torch.arange(w, device=heat.device) + 0.5) * stride
    y = (torch.arange(h, device=heat.device) + 0.5) * stride
    return x[None], y[:, None]


def boxes_of(torch: Any, sides: torch.Tensor, stride: int) -> torch.Tensor:
    """Turn sides (N, 4, h, w) into boxes (N, 4, h, w): x0, y0, x1, y1 in pixels."""
    x, y = places_of(torch, sides, stride)
    return torch.stack([x - sides[:, 0], y - sides[:, 1], x + sides[:, 2], y + sides[:, 3]], 1)


def average_boxes(torch: Any, heat: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Average the boxes (N, 4, h, w) of neighbouring places, which say the same box, by how sure each is.

    heat: (N, K, h, w), logits.
    """
    pool = torch.nn.functional.avg_pool2d
    sure = torch.sigmoid(heat).amax(1, keepdim=True) ** SURE_POWER
    reach, pad = AVERAGED, AVERAGED // 2
    return pool(boxes * sure, reach, 1, pad) / pool(sure, reach, 1, pad).clamp(min=LEAST_SURE)


def iou_of(torch: Any, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute IoU and generalised IoU of boxes (N, 4, ...) with boxes of the same shape, place by place."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    areas = [(v[:, 2:] - v[:, :2]).clamp(min=0).prod(1) for v in (a, b)]
    union = areas[0] + areas[1] - common
    iou = common / union.clamp(min=1e-6)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def detection_loss(
    heat: torch.Tensor,
    sides: torch.Tensor,
    quality: torch.Tensor,
    targets: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    stride: int,
) -> torch.Tensor:
    """Compute the loss of a batch.

    Parameters
    ----------
    heat, sides, quality : torch.Tensor
        Of the head.
    targets : tuple of torch.Tensor
        heat (N, K, h, w), box (N, 4, h, w), weight (N, h, w).
    stride : int
        Of the map.
    """
    torch = import_torch()
    f = torch.nn.functional
    wanted, box, weight = targets
    middles = wanted.eq(1).sum().clamp(min=1)
    p = torch.sigmoid(heat)
    hit = f.logsigmoid(heat) * (1 - p) ** 2 * wanted.eq(1)
    miss = f.logsigmoid(-heat) * p**2 * (1 - wanted) ** 4
    loss = -(hit + miss).sum() / middles
    held = weight > 0
    if held.any():
        found = boxes_of(torch, sides, stride).permute(0, 2, 3, 1)[held].T[None]
        iou, general = iou_of(torch, found, box.permute(0, 2, 3, 1)[held].T[None])
        share = weight[held][None] / weight[held].sum()
        loss = loss + BOX_WEIGHT * ((1 - general) * share).sum()
        seen = quality[:, 0][held][None]
        said = f.binary_cross_entropy_with_logits(seen, iou.detach(), reduction="none")
        loss = loss + QUALITY_WEIGHT * (said * share).sum()
    return loss
