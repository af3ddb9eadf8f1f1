"""One training in a process of its own: `python -m medloupe.tuningjob FOLDER` (see tuningjobs.py)."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.embed.tail import merge_weights
from medloupe.graphs.module import import_torch, randomise_weights, round_to_stored, weights_of
from medloupe.training.tune.loader import source_of
from medloupe.training.tune.loop import between, embedded, train, trainable
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry
from medloupe.utils.files import write_atomically

SAID_EVERY = 512  # images between two words to the parent process


def main(place: Path) -> None:
    """Do the job in the folder, from its last checkpoint."""
    import onnx

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch = import_torch()
    if "OMP_NUM_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    job = json.loads((place / "job.json").read_text())
    recipe = Recipe.from_json(job["recipe"])
    with np.load(place / "rows.npz", allow_pickle=False) as held:
        rows, checked, asked = (held[k] for k in ("rows", "checked", "asked"))
        targets, embeddings = held["targets"], held["embeddings"]
    model = onnx.load(job["backbone"], load_external_data=False)
    if job["start"]:
        model = merge_weights(model, onnx.load(job["start"], load_external_data=False))
    module = trainable(model, recipe)
    source = source_of([Path(p) for p in job["files"]], job["shape"], embeddings, Symmetry(**job["symmetry"]), recipe)
    if recipe.kind == "scratch":
        randomise_weights(module, job["seed"])
    pretrained = weights_of(module)
    last = 0

    def say(done: int, total: int) -> None:
        nonlocal last
        if done - last >= SAID_EVERY or done == total:
            last = done
            print("at", done, flush=True)

    trained = train(
        module,
        source,
        targets,
        rows,
        checked,
        recipe,
        task=job["task"],
        seed=job["seed"],
        checkpoint=place / "checkpoint.pt",
        progress=say,
    )
    found = {}
    for share in job["shares"]:
        _put(
            module, round_to_stored(model, between(trained.weights, pretrained, share))
        )  # what ships is rounded likewise
        part = embedded(module, source, asked)
        found[f"at_{share:g}"] = np.zeros((len(targets), part.shape[1]), np.float32)
        found[f"at_{share:g}"][asked] = part
    arrays = {**found, **{f"w_{k}": v for k, v in trained.weights.items()}}
    arrays |= {"head_weight": trained.head[0], "head_bias": trained.head[1]}
    with (place / "done.part").open("wb") as f:
        np.savez(f, allow_pickle=False, **arrays)
    (place / "done.part").replace(place / "done.npz")
    said = {name: getattr(trained, name) for name in ("history", "seconds", "images", "stopped")}
    write_atomically(place / "history.json", json.dumps(said).encode())
    (place / "checkpoint.pt").unlink(missing_ok=True)


def _end_with_parent() -> None:
    """End at once when the process that started this one does: another may be about to take up the same job."""
    os.read(0, 1)  # nothing is ever written there
    os._exit(1)


def _put(module: Any, weights: Mapping[str, np.ndarray]) -> None:
    torch = import_torch()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name.removeprefix("weights.")]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
