"""Cut the trained part out of a backbone, run it, and move its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from medloupe.embed.tail import find_upper_part
from medloupe.graphs.module import import_torch

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto

    from medloupe.embed.field_cuts import FieldCuts
    from medloupe.training.tune.loader import BatchSource
    from medloupe.training.tune.recipe import Recipe

INFERENCE_BATCH = 64  # images at a time where nothing is trained


def extract_trainable(model: ModelProto, recipe: Recipe) -> torch.nn.Module:
    """Make a module of the part of a backbone that a recipe trains: above the cut, or all of it.

    Each level of the map is an output, float32 (n, C, H, W).
    """
    from medloupe.graphs.module import build_trainable_module

    if recipe.kind == "tail":
        at = find_upper_part(model)
        return build_trainable_module(model, at.given, at.levels)
    node = next(n for n in model.graph.node if "map" in n.output)
    return build_trainable_module(model, "image", list(node.input) if node.op_type == "Concat" else ["map"])


def embed_rows(module: torch.nn.Module, source: BatchSource, rows: np.ndarray) -> np.ndarray:
    """Embed rows as they are: the module's outputs, pooled over their places and joined.

    Returns
    -------
    np.ndarray
        float32 (n, U); (0, 0) where no row is asked for.
    """
    torch = import_torch()
    module.eval()
    device = next(module.parameters()).device
    out: np.ndarray | None = None
    with torch.no_grad():
        for start in range(0, len(rows), INFERENCE_BATCH):
            part = rows[start : start + INFERENCE_BATCH]
            levels = module(source.plain(part).to(device))
            pooled = torch.cat([level.mean((2, 3)) for level in levels], 1).cpu().numpy()
            out = np.empty((len(rows), pooled.shape[1]), np.float32) if out is None else out
            out[start : start + len(part)] = pooled
    return np.empty((0, 0), np.float32) if out is None else out


def embed_views(module: torch.nn.Module, views: FieldCuts) -> np.ndarray:
    """Embed field views as `embed_rows` embeds rows: float16 (V, U), half as large on the disk."""
    torch = import_torch()
    module.eval()
    device = next(module.parameters()).device
    out = np.empty((0, 0), np.float16)
    with torch.no_grad():
        for at, x in views.batches(INFERENCE_BATCH):
            levels = module(torch.from_numpy(x).to(device, memory_format=torch.channels_last))
            pooled = torch.cat([level.mean((2, 3)) for level in levels], 1).cpu().numpy()
            out = np.empty((len(views.places), pooled.shape[1]), np.float16) if not len(out) else out
            out[at] = pooled
    return out


def interpolate_weights(
    ours: Mapping[str, np.ndarray], pretrained: Mapping[str, np.ndarray], alpha: float
) -> dict[str, np.ndarray]:
    """Mix weights between the pretrained (alpha 0) and the tuned (1): robust to a change of place, at no cost.

    Parameters
    ----------
    ours, pretrained : mapping of str to np.ndarray
        float32 weights by key, of the tuned and the untuned network; all of ours are in pretrained.
    alpha : float
        0 to 1.

    References
    ----------
    Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT, CVPR 2022).
    """
    return {k: (pretrained[k] + alpha * (v - pretrained[k])).astype(np.float32) for k, v in ours.items()}
