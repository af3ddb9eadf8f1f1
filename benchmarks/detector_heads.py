"""How changes of a detector's head fare out of fold, all else equal.

    python benchmarks/detector_heads.py [--data ../shared/data] [--set brain_boxes] [--size 320] [--views 6]
        [--stride 8] [--heads ships,middles,inside,joined,prototype] [--folds 0,1,2] [--share 1] [--steps 888]
        [--seed 0] [--tuned block4_sum-block15_project,image-block10_sum] [--tuned-steps 240] > table.md

The official test part takes no part. Pictures are split by groups as `medloupe train` does (three folds, seed 0); heads
learn from cached maps of some views of each picture, and are judged by faster-coco-eval on boxes with raw scores, in
pixels of the pictures as given. With --share, heads learn from that share of the groups outside the fold, in as many
steps. Seconds are those of the processor, of one head.

ships       the head of `training.detect.network`
middles     a place says where the middle of the box lies and how large it is, in place of how far its four sides are:
            so a place beside a box can say it, too
inside      only places within a box learn it, and that in its middle
joined      in every second picture a part is another's, cut at a multiple of 32 pixels in the maps and in the boxes
prototype   TTFNet's head at stride 4: dense convolutions, the heat alone as score, no channels left out, boxes not
            averaged over neighbours

With --tuned each head then learns on together with the blocks of the network between two of its values (`image`: from
the pixels), these at a lower rate, and with the weights that they have here pulled towards those that they had.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MEDLOUPE_THREADS", "1")

import numpy as np
import onnx
import torch

from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.data.split import assign_folds
from medloupe.embed.features import embed
from medloupe.embed.maps import STRIDES, find_stage_maps, resize_backbone
from medloupe.embed.registry import backbone
from medloupe.graphs.module import build_trainable_module
from medloupe.metrics.average_precision import reference_precisions
from medloupe.metrics.matching import Detections, Truths
from medloupe.model.boxes import unfit_boxes
from medloupe.training.audit.boxes import repair_boxes
from medloupe.training.audit.findings import audit
from medloupe.training.detect import activations, loop, network, targets
from medloupe.training.detect.activations import BoxedPicture, CachedMaps, cache_maps
from medloupe.training.detect.boxed import allow_views, collect_boxes, plan_boxes
from medloupe.training.detect.run import FOLDS
from medloupe.training.detect.targets import PlaceTargets, draw_targets
from medloupe.training.detect.views import LEAST_SEEN
from medloupe.training.tune.inputs import probe_symmetry
from medloupe.training.tune.views import Symmetry

LEARNED = 80  # pictures learned from that are judged, too
JOINED = 0.5  # share of the pictures of a step in which a part is another's
TUNED_RATE, SHARE = 2e-3, 0.15  # of a head that goes on learning; of that, the rate of the blocks beneath it
build_shipped = network.build_head


class Prepared(NamedTuple):
    """Maps of pictures outside the official test part, these and their groups, and what the maps were made from."""

    cached: CachedMaps
    pictures: list[BoxedPicture]
    groups: np.ndarray
    labels: int
    model: onnx.ModelProto
    names: tuple[str, ...]
    allowed: Symmetry

    def load_with_pixels(self) -> Callable[..., list[Any]]:
        """Make the views of the maps again; give what loads maps as the loop does, and pixels behind them."""
        size, views = self.cached.size, self.cached.views
        pixels = np.zeros((views, len(self.pictures), size, size, 3), np.uint8)
        for i, picture in enumerate(self.pictures):
            drawn = np.random.default_rng([0, i])  # as `cache_maps` draws them
            for v, view in enumerate(activations._make_views(picture, size, self.allowed, views, drawn)[0]):
                pixels[v, i] = view.pixels
        load_maps = loop.load_maps
        return lambda cached, rows, seen: [*load_maps(cached, rows, seen), torch.from_numpy(pixels[seen, rows])]


def prepare(path: Path, size: int, views: int) -> Prepared:
    shared = backbone()
    features = embed(scan_dataset(read(path)), shared, lambda done, total: None)
    groups, data = audit(features, 0).groups, features.data
    sizes = np.column_stack([features.facts["width"], features.facts["height"]]).astype(np.int64)
    boxed = collect_boxes(repair_boxes(data, sizes)[0], sizes)
    planned = plan_boxes(data, groups, boxed.known)
    sized = resize_backbone(shared, size)
    model = onnx.load(sized.path, load_external_data=False)
    stages = find_stage_maps(model, size)
    allowed = allow_views(boxed, data.labels, probe_symmetry(features, shared, groups, 0))
    pictures = [boxed.pictures[i] for i in planned.fitting]
    cached, fitting = cache_maps(pictures, sized, stages, allowed, views), groups[planned.fitting]
    return Prepared(cached, pictures, fitting, len(data.labels), model, stages.names, allowed)


def build_middles(*given: Any) -> Any:
    """Build the head that ships, but let places say middle and size of their box."""
    head = build_shipped(*given)

    def forward(self: Any, maps: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        said: list[torch.Tensor] = []
        hook = self.sides.register_forward_hook(lambda module, inputs, out: said.append(out))
        heat, _, quality = type(self).forward(self, maps)
        hook.remove()
        moved, half = said[0][:, :2] * self.stride, torch.exp(said[0][:, 2:].clamp(-4, 6)) * self.stride / 2
        return heat, torch.cat([half - moved, half + moved], 1), quality

    head.forward = types.MethodType(forward, head)
    return head


def build_prototype(*given: Any) -> Any:
    """Build the head of the prototype, with dense convolutions in place of separable ones."""
    nn, wide = torch.nn, network.WIDTH
    head = build_shipped(*given)
    for name in ("shared", "to_heat", "to_boxes"):
        dense = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        setattr(head, name, nn.Sequential(dense, nn.BatchNorm2d(wide), nn.ReLU()))
    head.smooth[0] = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU())
    return head


def draw_inside(boxes: np.ndarray, labels: np.ndarray, classes: int, size: int, stride: int) -> PlaceTargets:
    """Draw targets in which only places within a box, and that in its middle, learn it."""
    drawn = draw_targets(boxes, labels, classes, size, stride)
    at = ((np.arange(size // stride) + 0.5) * stride).astype(np.float32)
    x0, y0, x1, y1 = drawn.box
    within = (at > x0) & (at < x1) & (at[:, None] > y0) & (at[:, None] < y1)
    within |= (drawn.heat == 1).any(0)
    for box in boxes:
        own = (drawn.box == box[:, None, None]).all(0) & (drawn.weight > 0)
        if (within & own).any():  # as much in all as before
            drawn.weight[own & within] *= drawn.weight[own].sum() / drawn.weight[own & within].sum()
    drawn.weight[~within] = 0
    return drawn


class JoinedPictures:
    """Maps and targets of pictures of which a part is another's."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.plan: list[tuple[int, int, int, int, bool]] = []
        self.load_maps, self.load_targets = loop.load_maps, loop.load_targets

    def maps(self, cached: CachedMaps, rows: np.ndarray, views: np.ndarray) -> list[Any]:
        """Load maps as the loop does, and join some."""
        out = self.load_maps(cached, rows, views)
        given = [level.clone() for level in out]
        self.plan = []
        for i in range(len(rows)):
            if len(rows) < 2 or self.rng.random() > JOINED:
                continue
            other, axis = int((i + self.rng.integers(1, len(rows))) % len(rows)), int(self.rng.integers(2))
            cut, first = int(self.rng.integers(3, cached.size // STRIDES[-1] - 2)), bool(self.rng.random() < 0.5)
            self.plan.append((i, other, axis, cut * STRIDES[-1], first))
            for level, whole, stride in zip(out, given, STRIDES, strict=True):
                at = cut * STRIDES[-1] // stride
                part = slice(None, at) if first else slice(at, None)
                where = (i, slice(None), slice(None), part) if axis == 0 else (i, slice(None), part)
                level[where] = whole[(other, *where[1:])]
        return out

    def targets(self, cached: CachedMaps, rows: np.ndarray, views: np.ndarray, classes: int, stride: int) -> Any:
        """Draw the targets of the maps that were loaded last."""
        seen = {j: (cached.boxes[v][i], cached.labels[v][i]) for j, (v, i) in enumerate(zip(views, rows, strict=True))}
        joined = dict(seen)
        for i, other, axis, cut, first in self.plan:
            kept = [self._cut(*seen[i], axis, cut, not first), self._cut(*seen[other], axis, cut, first)]
            joined[i] = tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))
        drawn = [draw_targets(*joined[j], classes, cached.size, stride) for j in range(len(rows))]
        return tuple(torch.from_numpy(np.stack([getattr(t, k) for t in drawn])) for k in ("heat", "box", "weight"))

    @staticmethod
    def _cut(boxes: np.ndarray, labels: np.ndarray, axis: int, cut: int, low: bool) -> tuple[np.ndarray, np.ndarray]:
        part = boxes.copy()
        bounds = (None, cut) if low else (cut, None)
        part[:, axis::2] = np.clip(part[:, axis::2], *bounds)
        areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (part, boxes)]
        kept = areas[0] >= LEAST_SEEN * areas[1]
        return part[kept], labels[kept]


@contextmanager
def changed(name: str, seed: int, **more: Callable[..., Any]) -> Iterator[None]:
    """Let `training.detect.loop` train another head for a while. more: what else to put in place of the loop's own."""
    parts: dict[tuple[Any, str], Any] = {}
    if name in ("middles", "joined"):
        parts[loop, "build_head"] = build_middles
    if name == "joined":
        joined = JoinedPictures(seed)
        parts |= {(loop, "load_maps"): joined.maps, (loop, "load_targets"): joined.targets}
    if name == "inside":
        parts[loop, "draw_targets"] = draw_inside
    if name == "prototype":
        parts |= {
            (loop, "build_head"): build_prototype,
            (loop, "average_boxes"): lambda torch, heat, boxes: boxes,
            (loop, "QUALITY_SHARE"): 0.0,
            (network, "DROPPED"): 0.0,
            (targets, "BOX_DEVIATIONS"): targets.HEAT_DEVIATIONS,
        }
    parts |= {(loop, what): value for what, value in more.items()}
    replaced = [mock.patch.object(module, what, value) for (module, what), value in parts.items()]
    for one in replaced:
        one.start()
    try:
        yield
    finally:
        for one in replaced:
            one.stop()


def judge(found: dict[int, Any], cached: CachedMaps, pictures: Sequence[BoxedPicture], labels: int) -> str:
    """Judge what was found on some pictures: mAP50 / AP75 / mAP."""
    rows = sorted(found)
    said = [
        Detections(
            boxes=unfit_boxes(found[i].boxes, int(cached.sizes[i, 0]), int(cached.sizes[i, 1]), cached.size),
            scores=found[i].scores,
            labels=found[i].labels,
        )
        for i in rows
    ]
    truths = [Truths(boxes=pictures[i].boxes, labels=pictures[i].labels) for i in rows]
    at = reference_precisions(said, truths, labels, [(0, 1e10)])[:, 0].mean(0)
    return f"{at[0]:.3f} / {at[5]:.3f} / {at.mean():.3f}"


class TunedHead(torch.nn.Module):
    """A head that was trained, and blocks of the network that learn with it: what is added to each of their weights."""

    def __init__(self, head: Any, model: onnx.ModelProto, names: Sequence[str], between: str) -> None:
        super().__init__()
        given, last = between.split("-")
        self.head, self.stride = copy.deepcopy(head), head.stride
        self.given, self.end = names.index(given) if given in names else -1, names.index(last) + 1  # pixels come last
        self.blocks = build_trainable_module(model, given, names[self.given + 1 : self.end]).requires_grad_(False)
        self.moved = torch.nn.ParameterList(torch.zeros_like(p) for p in self.blocks.parameters())

    def forward(self, maps: Sequence[torch.Tensor]) -> Any:
        named = zip(self.blocks.named_parameters(), self.moved, strict=True)
        weights = {name: p + SHARE * by for (name, p), by in named}
        made = torch.func.functional_call(self.blocks, weights, (maps[self.given],))
        return self.head([*maps[: self.given + 1], *made, *maps[self.end : len(STRIDES)]])


def compare(
    name: str,
    asked: argparse.Namespace,
    cached: CachedMaps,
    labels: int,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    tuned: dict[str, dict[str, Callable[..., Any]]],
    tell: Callable[[dict[int, Any]], str],
) -> Iterator[str]:
    """Train a head for each part, and write the row of what these find; then one for each way of tuning."""
    stride = network.FINE if name == "prototype" else asked.stride
    heads: list[Any] = []
    for way in ("", *tuned):
        found: dict[int, Any] = {}
        learned: dict[int, Any] = {}
        spent, each = [], []
        for number, (rows, held) in enumerate(parts):
            passes = max(1, round((asked.tuned_steps if way else asked.steps) * loop.BATCH / len(rows)))
            rate = TUNED_RATE if way else loop.HeadRecipe().rate
            recipe = loop.HeadRecipe(epochs=passes, stride=stride, rate=rate)
            more = dict(tuned.get(way, {}))
            if way:
                more["build_head"] = partial(lambda make, head, *_: make(head), more["build_head"], heads[number])
            with changed(name, asked.seed, **more):
                began = time.process_time()
                head = loop.train_head(cached, rows, labels, recipe, seed=asked.seed + number)
                spent.append(time.process_time() - began)
                own, known = (
                    dict(zip(some.tolist(), loop.find_boxes(head, cached, some, asked.most), strict=True))
                    for some in (held, rows[:LEARNED])
                )
            heads += [] if way else [head]
            found |= own
            learned = learned or known
            each.append(tell(own))
        n = round(float(np.mean([len(rows) for rows, _ in parts])))
        yield (
            f"| {asked.set} | {asked.size} | {name}, stride {stride}{way and f', then {way}'} | {n} |"
            f" {np.mean(spent):.0f} | {tell(found)} | {'; '.join(each)} | {tell(learned)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--set", default="brain_boxes")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--stride", type=int, default=network.COARSE)
    parser.add_argument("--heads", default="ships,middles,inside,joined,prototype")
    parser.add_argument("--folds", default="0,1,2")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=888)
    parser.add_argument("--most", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tuned", default="")
    parser.add_argument("--tuned-steps", type=int, default=240)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    prepared = prepare(asked.data / asked.set, asked.size, asked.views)
    cached, pictures, groups, labels, model, names, _ = prepared
    tuned: dict[str, dict[str, Callable[..., Any]]] = {}
    for way in filter(None, asked.tuned.split(",")):
        tuned[way] = {"build_head": partial(TunedHead, model=model, names=names, between=way)}
        if way.startswith("image"):
            tuned[way]["load_maps"] = prepared.load_with_pixels()
    has = np.stack([np.isin(np.arange(labels), p.labels).astype(np.float32) for p in pictures])
    folds = assign_folds(has, groups, FOLDS, 0)
    parts = []
    for fold in map(int, asked.folds.split(",")):
        others = np.random.default_rng(5).permutation(np.unique(groups[folds != fold]))
        learned = np.isin(groups, others[: round(asked.share * len(others))])
        parts.append((np.flatnonzero(learned), np.flatnonzero(folds == fold)))
    print("| data | px | head | learned from | seconds | out of fold | each fold | 80 of those learned from |")
    print("|---|---|---|---|---|---|---|---|")
    for name in asked.heads.split(","):
        for row in compare(name, asked, cached, labels, parts, tuned, lambda f: judge(f, cached, pictures, labels)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
