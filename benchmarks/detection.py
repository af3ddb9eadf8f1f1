"""How well places are found, how long that takes to learn, and what it adds to a pass of the network.

    python benchmarks/detection.py [--data ../shared/data] [--sets blood_cells,brain_boxes] [--minutes M] > table.md
    python benchmarks/detection.py --few 30 [--seeds 0,1,2] [--most-judged 400] > few.md

For each set `medloupe train` runs in an empty home; the figures are those of the model's own card: of the official test
part where there is one that can judge, else out of fold. Processor seconds are those of the training process, on one
thread; milliseconds are medians of one picture on one thread: through the file, and the network alone at its size.

With --few heads learn from so many pictures, one of each of so many groups drawn by the seed, in the size, stride,
views and steps that `medloupe train` would choose for these alone. They are judged by faster-coco-eval, raw, on the
official test part where one can judge, else on pictures of all other groups (at most --most-judged, the same for all
seeds but for the groups that were learned from). Seconds are those of the processor, of one head with its maps.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx

from holdout import medloupe
from medloupe.embed.maps import resize_backbone
from medloupe.embed.registry import backbone

RUNS = 40


def figure(metric: dict[str, float | None] | None) -> str:
    if not metric or metric["value"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} ({metric['low']:.3f}–{metric['high']:.3f})"


def milliseconds(path: Path, outputs: list[str]) -> float:
    """Measure the median time of one picture on one thread."""
    from medloupe.graphs.session import open_session, run

    opened = open_session(path, threads=1)
    size = opened.get_inputs()[0].shape[1]
    pixels = np.random.default_rng(0).integers(0, 255, (1, size, size, 3), np.uint8)
    spent = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run(opened, outputs, pixels)
        spent.append(1000 * (time.perf_counter() - began))
    return float(np.median(spent[5:]))


def rows(data: Path, options: tuple[str, ...]) -> list[str]:
    """Train on a set, and write its rows: all labels together, then each."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        out, _ = medloupe(home, "train", str(data), "--name", "bench", "--json", *options)
        told = json.loads(out.splitlines()[-1])
        card = json.loads(medloupe(home, "models", "show", "bench@1", "--json")[0])
        file = Path(told["onnx"])
        with_boxes = milliseconds(file, ["embedding", "boxes"])
        without = milliseconds(resize_backbone(backbone(), card["detection"]["input_size"]).path, ["embedding"])
        size = file.stat().st_size / 1e6
    m, judged = told["metrics"], card["split"]
    by = f"test part, {judged['test']:,}" if judged["test"] else f"out of fold, {judged['train']:,}"
    made = [
        f"| {data.name} | {by} | {card['detection']['input_size']} | {figure(m['map50'])} | {figure(m['map'])} |"
        f" {figure(m['sensitivity'])} | {figure(m['false_marks'])} | {figure(m['ece'])} |"
        f" {card['seconds']['processor'] / 60:.1f} | {size:.1f} | {without:.1f} | {with_boxes / without - 1:.0%} |"
    ]
    made += [
        f"| – {row['label']} | {row['boxes']:,} boxes |  | {figure(row['map50'])} | {figure(row['map'])} |"
        f" {figure(row['sensitivity'])} | {figure(row['false_marks'])} |"
        f" counts off by {figure(row['count_median_error'])} |  |  |  |  |"
        for row in card["detection"]["per_label"]
    ]
    return made


def print_few(data: Path, few: int, seeds: list[int], most: int) -> None:
    """Train heads from a few pictures of a set, one for each seed, and print what each finds on others."""
    from detector_heads import judge
    from medloupe.data.reading import read
    from medloupe.data.scan import scan_dataset
    from medloupe.embed.features import embed
    from medloupe.embed.maps import find_stage_maps
    from medloupe.training.audit.boxes import repair_boxes
    from medloupe.training.audit.findings import audit
    from medloupe.training.detect.activations import cache_maps, count_views
    from medloupe.training.detect.boxed import BoxedSet, allow_views, choose_input_size, collect_boxes, plan_boxes
    from medloupe.training.detect.loop import choose_recipe, find_boxes, train_head
    from medloupe.training.tune.inputs import probe_symmetry

    shared = backbone()
    features = embed(scan_dataset(read(data, task="detection")), shared, lambda done, total: None)
    groups, found = audit(features, 0).groups, features.data
    sizes = np.column_stack([features.facts["width"], features.facts["height"]]).astype(np.int64)
    boxed = collect_boxes(repair_boxes(found, sizes)[0], sizes)
    planned = plan_boxes(found, groups, boxed.known)
    judging = np.random.default_rng(0).permutation(planned.fitting if planned.test is None else planned.test)
    for seed in seeds:
        rng = np.random.default_rng(100 + seed)
        drawn = rng.permutation(np.unique(groups[planned.fitting]))[:few]
        rows = np.array([rng.choice(planned.fitting[groups[planned.fitting] == g]) for g in drawn])
        held = judging[~np.isin(groups[judging], drawn)][:most]
        began = time.process_time()
        own = BoxedSet(
            pictures=tuple(boxed.pictures[i] for i in rows), known=boxed.known[rows], sizes=sizes[rows], notes=()
        )
        size, stride, _ = choose_input_size(own, found.labels)
        sized = resize_backbone(shared, size)
        stages = find_stage_maps(onnx.load(sized.path, load_external_data=False), size)
        allowed = allow_views(own, found.labels, probe_symmetry(features, shared, groups, 0))
        pictures = [boxed.pictures[i] for i in (*rows, *held)]
        taught = np.arange(len(pictures)) < few
        cached = cache_maps(pictures, sized, stages, allowed, count_views(few, stages, size), taught=taught, seed=seed)
        head = train_head(cached, np.arange(few), len(found.labels), choose_recipe(few, stride), seed=seed)
        told = np.arange(few, len(pictures))
        seen = find_boxes(head, cached, told, boxed.most)
        said = judge(dict(zip(told.tolist(), seen, strict=True)), cached, pictures, len(found.labels))
        marked = sum(len(p.boxes) for p in own.pictures)
        print(
            f"| {data.name} | {seed} | {few} ({marked} boxes) | {size}, stride {stride} | {len(held)} | {said} |"
            f" {time.process_time() - began:.0f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default="blood_cells,brain_boxes")
    parser.add_argument("--minutes")
    parser.add_argument("--finetune")
    parser.add_argument("--few", type=int)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--most-judged", type=int, default=400)
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MEDLOUPE_THREADS", "1")
    if asked.few:
        print("| data | seed | learned from | px | judged on | mAP50 / AP75 / mAP | seconds |")
        print("|---|---|---|---|---|---|---|", flush=True)
        for name in asked.sets.split(","):
            print_few(asked.data / name, asked.few, [int(s) for s in asked.seeds.split(",")], asked.most_judged)
        return
    options = tuple(
        part for flag in ("minutes", "finetune") if (v := getattr(asked, flag)) for part in (f"--{flag}", v)
    )
    print(
        "| data | judged by | px | mAP50 | mAP | found | false marks a picture | ECE | minutes | MB | ms | boxes add |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in asked.sets.split(","):
        print("\n".join(rows(asked.data / name, options)), flush=True)


if __name__ == "__main__":
    main()
