"""Train one network on some rows by one recipe, in PyTorch; job.py runs it in a process of its own.

Sources: Kolesnikov et al., "Big Transfer" (ECCV 2020); Zhang et al., "mixup" (ICLR 2018); Smith & Topin,
"Super-convergence" (2019) for the one-cycle schedule; Howard & Ruder, "ULMFiT" (ACL 2018) for discriminative rates;
Loshchilov & Hutter, "AdamW" (ICLR 2019).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.graphs.module import import_torch
from medloupe.training.tune import objective
from medloupe.training.tune.network import INFERENCE_BATCH
from medloupe.training.tune.optimiser import build_optimiser, lower_precision
from medloupe.training.tune.recipe import Recipe
from medloupe.utils.progress import Progress

if TYPE_CHECKING:
    import torch

    from medloupe.training.tune.loader import BatchSource

_HELD = {"learned", "averaged", "best", "optimiser", "schedule", "state"}  # what a checkpoint holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training gives.

    Attributes
    ----------
    weights : dict of str to np.ndarray
        float32 arrays by key (graphs.module.weights_of).
    head : tuple of np.ndarray
        Weight (K, U) and bias (K,) for the leading U numbers of embeddings as they are.
    history : list of dict
        An entry an epoch.
    stopped : int
        The epoch whose weights were kept, counted from 1.
    seconds, images : float, int
        Spent in training steps.
    """

    weights: dict[str, np.ndarray]
    head: tuple[np.ndarray, np.ndarray]
    history: list[dict[str, Any]]
    stopped: int
    seconds: float
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What a training learns from, and what stops it.

    Attributes
    ----------
    source : BatchSource
        Gives batches of rows.
    targets : np.ndarray
        float32 (N, K) of 1, 0 and NaN.
    rows : np.ndarray
        int (n,), learned from.
    checked : np.ndarray
        int (m,), whose loss stops the training; none where it runs to its end. No group is in both.
    task : str
        "multiclass" or "multilabel".
    watched : np.ndarray
        int (w,), whose loss is told after every epoch; it changes nothing.
    """

    source: BatchSource
    targets: np.ndarray
    rows: np.ndarray
    checked: np.ndarray
    task: str
    watched: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))


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
    examples: Examples,
    recipe: Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    judged: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train a module's weights and a linear head, stopping by the loss on the rows `checked`.

    The same arguments on the same machine give the same weights.

    Parameters
    ----------
    module : torch.nn.Module
        As network.extract_trainable gives it; its weights move.
    examples : Examples
        Rows to learn from and to stop by.
    recipe : Recipe
        Rates, augmentation and length.
    seed : int
        Of the order, the mixing and the views.
    checkpoint : Path or None
        A file, written after every epoch and read at the start, from which a killed training goes on.
    progress : Progress or None
        Called with images trained on so far, of all.
    judged : callable, optional
        Called after every epoch, counted from 1, with the loss on the rows `watched`, if there are any.
    """
    run = _Run(import_torch(), module, examples, recipe, seed)
    run.resume(checkpoint)
    while run.state.epoch < recipe.epochs and run.state.epoch - run.state.best_epoch < recipe.patience:
        started = time.perf_counter()
        run.epoch(progress)
        run.state.seconds += time.perf_counter() - started
        run.judge()
        run.keep(checkpoint)
        if judged is not None and len(examples.watched):
            judged(run.state.epoch, run.measure(examples.watched)[0])
    return run.result()


class _Run:
    def __init__(self, torch: Any, module: torch.nn.Module, examples: Examples, recipe: Recipe, seed: int):
        self.torch, self.source, self.recipe, self.seed = torch, examples.source, recipe, seed
        self.rows, self.checked, self.y, self.task = examples.rows, examples.checked, examples.targets, examples.task
        torch.manual_seed(seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.lowered = lower_precision(torch, self.device)
        self.module = module.to(self.device)
        mean, scale = self.source.mean_and_scale(self.rows)  # of what the head sees
        self.mean, self.inverse = (torch.from_numpy(v).to(self.device) for v in (mean, 1 / scale))
        self.head = torch.nn.Linear(len(mean), self.y.shape[1]).to(self.device)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)
        weights = objective.class_weights(self.y[self.rows], recipe.balance, self.task)
        self.class_weights = torch.from_numpy(weights).to(self.device)
        self.steps = max(1, len(self.rows) // recipe.batch)
        self.optimiser, self.schedule = build_optimiser(torch, self.module, self.head, recipe, self.steps)
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
        """Train on every row once, and note what came of it."""
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
            soft, known = objective.smooth_targets(self.y[rows], recipe.smoothing, self.task)
            soft, known = torch.from_numpy(soft).to(self.device), torch.from_numpy(known).to(self.device)
            if recipe.mixup:
                share = float(rng.beta(recipe.mixup, recipe.mixup))
                other = torch.from_numpy(rng.permutation(len(rows))).to(self.device)
                x = x * share + x[other] * (1 - share)
                soft, known = objective.mix_targets(soft, known, share, other)
            z = self.logits(x)
            loss = self.loss(z, soft, known)
            self.optimiser.zero_grad(set_to_none=False)  # kept: new buffers at each step are dear
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimiser)
            self.scaler.update()
            self.schedule.step()
            self._average()
            losses += float(loss.detach()) * len(rows)
            hits += objective.count_hits(z.detach().cpu().numpy(), self.y[rows], self.task)
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
        """Measure loss and accuracy on the checked rows, with the averaged weights; the best are remembered."""
        state = self.state
        if not len(self.checked):
            state.best_epoch, self.best = state.epoch, [p.clone() for p in self.averaged]
            return
        loss, accuracy = self.measure(self.checked)
        state.history[-1] |= {"val_loss": loss, "val_accuracy": accuracy}
        if loss < state.best:
            state.best, state.best_epoch = loss, state.epoch
            self.best = [p.clone() for p in self.averaged]

    def measure(self, rows: np.ndarray) -> tuple[float, float]:
        """Measure loss and accuracy of the averaged weights on rows."""
        torch = self.torch
        present = [p.detach().clone() for p in self.learned]
        self._put(self.averaged)
        batches = [rows[i : i + INFERENCE_BATCH] for i in range(0, len(rows), INFERENCE_BATCH)]
        z = np.concatenate([self._predicted(batch) for batch in batches])
        self._put(present)
        soft, known = objective.smooth_targets(self.y[rows], 0.0, self.task)
        with torch.no_grad():
            values = (torch.from_numpy(v).to(self.device) for v in (z, soft, known))
            loss = float(self.loss(*values))
        return loss, objective.count_hits(z, self.y[rows], self.task) / len(rows)

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


def overfitting_epoch(history: list[dict[str, Any]]) -> int | None:
    """Find the epoch from which the validation loss rises while the training loss falls, if it does by a tenth.

    Parameters
    ----------
    history : list of dict
        An entry an epoch, as Trained.history.

    Returns
    -------
    int or None
        Counted from 1; None where the two do not part.
    """
    if len(history) < 2 or any("val_loss" not in e for e in history):
        return None
    best, last = min(history, key=lambda e: e["val_loss"]), history[-1]
    parted = last["val_loss"] > 1.1 * best["val_loss"] and last["train_loss"] < best["train_loss"]
    return best["epoch"] if parted else None
