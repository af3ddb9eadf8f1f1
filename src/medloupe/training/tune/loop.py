"""The training loop in PyTorch: one network, some rows, one recipe. Run as a process of its own by tuningjobs.py.

Sources: Kolesnikov et al., "Big Transfer" (ECCV 2020); Zhang et al., "mixup" (ICLR 2018); Smith & Topin,
"Super-convergence" (2019) for the one-cycle schedule; Howard & Ruder, "ULMFiT" (ACL 2018) for discriminative rates;
Loshchilov & Hutter, "AdamW" (ICLR 2019).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.graphs.module import import_torch
from medloupe.training.tune import objective
from medloupe.training.tune.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from medloupe.training.tune.loader import Source
from typing import TYPE_CHECKING

from medloupe.embed.tail import find_upper_part

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto

    from medloupe.training.tune.recipe import Recipe

CHECK = 64  # images at a time where nothing is trained
Progress = Callable[[int, int], None]  # images trained on so far, of all
_HELD = {"learned", "averaged", "best", "optimiser", "schedule", "state"}  # what a checkpoint holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training gives.

    weights: float32 arrays by key (torchgraph.weights_of). head: weight (K, U) and bias (K,) for the leading U numbers
    of embeddings as they are. history: an entry an epoch. stopped: the epoch whose weights were kept, counted from 1.
    seconds, images: spent in training steps.
    """

    weights: dict[str, np.ndarray]
    head: tuple[np.ndarray, np.ndarray]
    history: list[dict[str, Any]]
    stopped: int
    seconds: float
    images: int


@dataclass(slots=True)
class _State:
    """What a checkpoint holds besides the weights."""

    epoch: int = 0
    best: float = math.inf
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def train(
    module: torch.nn.Module,
    source: Source,
    targets: np.ndarray,
    rows: np.ndarray,
    checked: np.ndarray,
    recipe: Recipe,
    *,
    task: str,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train the module's weights and a linear head on rows, stopping by the loss on the rows `checked`.

    module: from torchgraph.part; source: gives it batches (sources.py). targets: float32 (N, K) of 1/0/NaN. The two
    sets of rows share no group. checkpoint: a file, written after every epoch and read at the start, from which a
    killed training goes on. The same arguments on the same machine give the same weights.
    """
    torch = import_torch()
    run = _Run(torch, module, source, targets, rows, checked, recipe, task, seed)
    run.resume(checkpoint)
    while run.state.epoch < recipe.epochs and run.state.epoch - run.state.best_epoch < recipe.patience:
        started = time.perf_counter()
        run.epoch(progress)
        run.state.seconds += time.perf_counter() - started
        run.judge()
        run.keep(checkpoint)
    return run.result()


class _Run:
    def __init__(
        self,
        torch: Any,
        module: torch.nn.Module,
        source: Source,
        targets: np.ndarray,
        rows: np.ndarray,
        checked: np.ndarray,
        recipe: Recipe,
        task: str,
        seed: int,
    ):
        self.torch, self.source, self.rows, self.checked, self.recipe = torch, source, rows, checked, recipe
        self.task, self.seed = task, seed
        torch.manual_seed(seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.lowered = _precision(torch, self.device)
        self.module = module.to(self.device)
        self.k, self.y = targets.shape[1], targets
        mean, scale = source.standard(rows)  # of what the head sees
        self.mean, self.inverse = (torch.from_numpy(v).to(self.device) for v in (mean, 1 / scale))
        self.head = torch.nn.Linear(len(mean), self.k).to(self.device)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        self.class_weights = torch.from_numpy(objective.class_weights(targets[rows], recipe.balance, task)).to(
            self.device
        )
        self.steps = max(1, len(rows) // recipe.batch)
        groups = _rate_groups(list(self.module.named_parameters()), recipe)
        groups.append({"params": list(self.head.parameters()), "lr": recipe.head_rate})
        self.optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        total = self.steps * recipe.epochs + 1
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            [g["lr"] for g in groups],
            total_steps=total,
            # a rise of exactly one step would be divided by its length, none
            pct_start=recipe.warm if recipe.warm * total != 1 else 0.999 * recipe.warm,
        )
        # float16 overflows where gradients are large; bfloat16 and single precision need no scaling
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.lowered is torch.float16)
        self.averaged = [p.detach().clone() for p in self.learned]
        self.best = [p.clone() for p in self.averaged]
        self.state = _State()

    @property
    def learned(self) -> list[torch.Tensor]:
        """Weights, and running statistics where the module keeps any."""
        return [*self.module.parameters(), *self.module.buffers(), *self.head.parameters()]

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        with self.torch.autocast(self.device.type, self.lowered, enabled=self.lowered is not None):
            levels = self.module(x)
        pooled = self.torch.cat([level.float().mean((2, 3)) for level in levels], 1)[:, : len(self.mean)]
        return self.head((pooled - self.mean) * self.inverse)

    def epoch(self, progress: Progress | None) -> None:
        torch, recipe, state = self.torch, self.recipe, self.state
        rng = np.random.default_rng([self.seed, state.epoch])
        torch.manual_seed(self.seed * 1000 + state.epoch)
        order = rng.permutation(self.rows)
        batch = min(recipe.batch, len(order))
        self.module.train()
        losses, hits, seen = 0.0, 0.0, 0
        for step in range(self.steps):
            rows = order[step * batch : (step + 1) * batch]
            x = self.source.batch(rows, rng).to(self.device)
            soft, known = objective.softened(self.y[rows], recipe.smoothing, self.task)
            soft, known = torch.from_numpy(soft).to(self.device), torch.from_numpy(known).to(self.device)
            if recipe.mixup:
                share = float(rng.beta(recipe.mixup, recipe.mixup))
                other = torch.from_numpy(rng.permutation(len(rows))).to(self.device)
                x = x * share + x[other] * (1 - share)
                soft, known = objective.mixed(soft, known, share, other)
            z = self.logits(x)
            loss = self.loss(z, soft, known)
            self.optimiser.zero_grad(set_to_none=False)  # kept: new buffers at each step are dear
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimiser)
            self.scaler.update()
            self.schedule.step()
            self._average()
            losses += float(loss.detach()) * len(rows)
            hits += objective.hits(z.detach().cpu().numpy(), self.y[rows], self.task)
            seen += len(rows)
            if progress:
                progress(state.epoch * self.steps * batch + seen, recipe.epochs * self.steps * batch)
        state.epoch += 1
        rate = float(self.schedule.get_last_lr()[0])
        state.history.append(
            {"epoch": state.epoch, "train_loss": losses / seen, "train_accuracy": hits / seen, "lr": rate}
        )

    def loss(self, z: torch.Tensor, soft: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return objective.loss(z, soft, known, self.class_weights, self.task)

    def judge(self) -> None:
        """The loss and accuracy on the checked rows, with the averaged weights; the best are remembered."""
        state, torch = self.state, self.torch
        if not len(self.checked):
            state.best_epoch, self.best = state.epoch, [p.clone() for p in self.averaged]
            return
        present = [p.detach().clone() for p in self.learned]
        self._put(self.averaged)
        z = np.concatenate([self._predicted(self.checked[i : i + CHECK]) for i in range(0, len(self.checked), CHECK)])
        self._put(present)
        soft, known = objective.softened(self.y[self.checked], 0.0, self.task)
        with torch.no_grad():
            values = (torch.from_numpy(v).to(self.device) for v in (z, soft, known))
            loss = float(self.loss(*values))
        accuracy = objective.hits(z, self.y[self.checked], self.task) / len(self.checked)
        state.history[-1] |= {"val_loss": loss, "val_accuracy": accuracy}
        if loss < state.best:
            state.best, state.best_epoch = loss, state.epoch
            self.best = [p.clone() for p in self.averaged]

    def _predicted(self, rows: np.ndarray) -> np.ndarray:
        self.module.eval()
        with self.torch.no_grad():
            return self.logits(self.source.plain(rows).to(self.device)).cpu().numpy()

    def _average(self) -> None:
        decay = self.recipe.average
        with self.torch.no_grad():
            for mean, now in zip(self.averaged, self.learned, strict=True):
                mean.lerp_(now, 1 - decay)

    def _put(self, values: Sequence[torch.Tensor]) -> None:
        with self.torch.no_grad():
            for p, v in zip(self.learned, values, strict=True):
                p.copy_(v)

    def keep(self, checkpoint: Path | None) -> None:
        """Write the checkpoint: whole or not at all."""
        if checkpoint is None:
            return
        s = self.state
        held = {
            "learned": [p.detach() for p in self.learned],
            "averaged": self.averaged,
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "state": {name: getattr(s, name) for name in ("epoch", "best", "best_epoch", "history", "seconds")},
        }
        temporary = checkpoint.with_suffix(".part")
        self.torch.save(held, temporary)
        temporary.replace(checkpoint)

    def resume(self, checkpoint: Path | None) -> None:
        """Go on from a checkpoint, if there is one that can be read."""
        if checkpoint is None or not checkpoint.exists():
            return
        try:
            held = self.torch.load(checkpoint, map_location=self.device, weights_only=True)
            tensors = [[p.shape for p in held[name]] for name in ("learned", "averaged", "best")]
        except Exception:  # torn, or no checkpoint at all: from the start
            return
        if any(shapes != [p.shape for p in self.learned] for shapes in tensors) or not held.keys() >= _HELD:
            return
        self._put(held["learned"])
        self.averaged, self.best = held["averaged"], held["best"]
        self.optimiser.load_state_dict(held["optimiser"])
        self.schedule.load_state_dict(held["schedule"])
        self.state = _State(**held["state"])

    def result(self) -> Trained:
        from medloupe.graphs.module import weights_of

        self._put(self.best)
        weight = self.head.weight.detach() * self.inverse
        bias = self.head.bias.detach() - weight @ self.mean
        return Trained(
            weights=weights_of(self.module),
            head=(weight.cpu().numpy(), bias.cpu().numpy()),
            history=self.state.history,
            stopped=self.state.best_epoch,
            seconds=self.state.seconds,
            images=self.state.epoch * self.steps * min(self.recipe.batch, len(self.rows)),
        )


def _precision(torch: Any, device: torch.device) -> Any:
    """The lower precision to compute in: half on a GPU, bfloat16 on processors made for it, else none."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    flags = Path("/proc/cpuinfo").read_text().split("flags", 2)[1:2] if Path("/proc/cpuinfo").exists() else []
    made_for_it = bool(flags) and ("avx512_bf16" in flags[0] or "amx_bf16" in flags[0])
    return torch.bfloat16 if made_for_it and supported is not None and supported() else None


def _rate_groups(named: list[tuple[str, Any]], recipe: Recipe) -> list[dict[str, Any]]:
    """Parameter groups: the last layers at the full rate, each block below at `decay` of it; the lowest stand still."""
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


def embedded(module: torch.nn.Module, source: Source, rows: np.ndarray) -> np.ndarray:
    """The module's outputs pooled over their places, joined: float32 (n, U), of the plain pictures."""
    torch = import_torch()
    module.eval()
    device = next(module.parameters()).device
    out: np.ndarray | None = None
    with torch.no_grad():
        for start in range(0, len(rows), CHECK):
            part = rows[start : start + CHECK]
            levels = module(source.plain(part).to(device))
            pooled = torch.cat([level.mean((2, 3)) for level in levels], 1).cpu().numpy()
            out = np.empty((len(rows), pooled.shape[1]), np.float32) if out is None else out
            out[start : start + len(part)] = pooled
    return np.empty((0, 0), np.float32) if out is None else out


def between(
    ours: Mapping[str, np.ndarray], pretrained: Mapping[str, np.ndarray], share: float
) -> dict[str, np.ndarray]:
    """Weights between the pretrained (share 0) and the tuned (1): robust to a change of place, at no cost.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT, CVPR 2022).
    """
    return {k: (pretrained[k] + share * (v - pretrained[k])).astype(np.float32) for k, v in ours.items()}


def parts_at(history: list[dict[str, Any]]) -> int | None:
    """The epoch from which the validation loss rises while the training loss falls, if it does by a tenth."""
    if len(history) < 2 or any("val_loss" not in e for e in history):
        return None
    best, last = min(history, key=lambda e: e["val_loss"]), history[-1]
    parted = last["val_loss"] > 1.1 * best["val_loss"] and last["train_loss"] < best["train_loss"]
    return best["epoch"] if parted else None


def trainable(model: ModelProto, recipe: Recipe) -> torch.nn.Module:
    """The part of a backbone that a recipe trains, above the cut or all; each level of the map is an output."""
    from medloupe.graphs.module import build_trainable_module

    if recipe.kind == "tail":
        at = find_upper_part(model)
        return build_trainable_module(model, at.given, at.levels)
    node = next(n for n in model.graph.node if "map" in n.output)
    return build_trainable_module(model, "image", list(node.input) if node.op_type == "Concat" else ["map"])
