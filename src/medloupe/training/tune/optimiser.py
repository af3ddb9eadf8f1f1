"""Set up the optimiser of a training: rates by layer, their schedule, the precision to compute in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from medloupe.training.tune.recipe import Recipe

if TYPE_CHECKING:
    import torch


def build_optimiser(torch: Any, module: torch.nn.Module, head: torch.nn.Module, recipe: Recipe, steps: int) -> Any:
    """Make AdamW over a network and its head, and the one-cycle schedule of its rates.

    Parameters
    ----------
    torch : module
        PyTorch.
    module, head : torch.nn.Module
        What is trained; layers of the module below recipe.depth are frozen.
    recipe : Recipe
        Rates, decay and length of the training.
    steps : int
        Of an epoch.

    Returns
    -------
    tuple
        The optimiser and its schedule.
    """
    groups = _rate_groups(list(module.named_parameters()), recipe)
    groups.append({"params": list(head.parameters()), "lr": recipe.head_rate})
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    total = steps * recipe.epochs + 1
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [g["lr"] for g in groups],
        total_steps=total,
        # a rise of exactly one step would be divided by its length, none
        pct_start=recipe.warm if recipe.warm * total != 1 else 0.999 * recipe.warm,
    )
    return optimiser, schedule


def _rate_groups(named: list[tuple[str, Any]], recipe: Recipe) -> list[dict[str, Any]]:
    """Group parameters: the last layers at the full rate, each block below at `decay` of it; the lowest stand still."""
    layers: dict[str, list[Any]] = {}
    for name, parameter in named:
        layers.setdefault(name.removeprefix("weights.").rsplit("_", 1)[0], []).append(parameter)
    count = len(layers)
    still = count - max(1, math.ceil(recipe.depth * count))
    groups = []
    for i, parameters in enumerate(layers.values()):
        if i < still:
            for p in parameters:
                p.requires_grad_(False)
            continue
        stage = (count - 1 - i) // 3  # about a block: widen, filter, narrow
        groups.append({"params": parameters, "lr": recipe.rate * recipe.decay**stage})
    return groups


def lower_precision(torch: Any, device: torch.device) -> Any:
    """Choose a lower precision to compute in: half on a GPU; on a processor none.

    bfloat16 takes longer there, even on processors made for it (AVX-512 BF16, AMX): the filters of single channels have
    no fast path in it.
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
