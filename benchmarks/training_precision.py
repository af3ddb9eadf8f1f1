"""Whether a step of fine-tuning is quicker with bfloat16 than in single precision on this processor.

    python benchmarks/training_precision.py [--threads 1,2] [--rounds 6]

Forwards and backwards through the upper stages of the shared network (32 pictures, cached maps of 14 × 14 places) and
through all of it (8 pictures of 224 pixels), in turn; milliseconds of the processor, lowest to highest.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

from medloupe.embed.registry import backbone
from medloupe.embed.tail import find_upper_part, load_graph
from medloupe.graphs.module import build_trainable_module, import_torch


def time_step(torch: Any, module: Any, x: Any, *, lowered: bool) -> float:
    """Milliseconds of the processor."""
    began = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=lowered):
        levels = module(x)
    sum(level.float().mean() for level in levels).backward()
    return 1000 * (time.process_time() - began)


def spread(values: Sequence[float]) -> str:
    return f"{sorted(values)[len(values) // 2]:.0f} ({min(values):.0f}–{max(values):.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=6)
    told = parser.parse_args()
    torch = import_torch()
    graph = load_graph(backbone())
    upper = find_upper_part(graph)
    last = next(node for node in graph.graph.node if "map" in node.output)
    parts = {
        "upper stages": (build_trainable_module(graph, upper.given, upper.levels), torch.randn(32, 112, 14, 14)),
        "all": (
            build_trainable_module(graph, "image", list(last.input)),
            torch.randint(0, 255, (8, 224, 224, 3), dtype=torch.uint8),
        ),
    }
    print("| threads | trained | single precision, ms | bfloat16, ms | times | load |\n|---|---|---|---|---|---|")
    for threads in map(int, told.threads.split(",")):
        torch.set_num_threads(threads)
        for name, (module, x) in parts.items():
            taken: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(told.rounds + 1):
                for lowered, values in taken.items():
                    values.append(time_step(torch, module, x, lowered=lowered))
            plain, low = taken[False][1:], taken[True][1:]  # the first opens everything
            times = [b / a for a, b in zip(plain, low, strict=True)]
            row = (spread(plain), spread(low), f"{min(times):.2f}–{max(times):.2f}", f"{os.getloadavg()[0]:.1f}")
            print(f"| {threads} | {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
