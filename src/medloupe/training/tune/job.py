"""Do one training in a process of its own: `python -m medloupe.training.tune.job FOLDER` (see jobs.py)."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.embed.field_cuts import FieldCuts
from medloupe.embed.tail import merge_weights
from medloupe.graphs.module import import_torch, randomise_weights, round_to_stored, weights_of
from medloupe.training.tune.loader import open_source
from medloupe.training.tune.loop import Examples, Trained, train
from medloupe.training.tune.network import embed_rows, embed_views, extract_trainable, interpolate_weights
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry
from medloupe.utils.files import write_atomically
from medloupe.utils.progress import Progress

REPORT_EVERY = 512  # images between two words to the parent process


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
        rows, checked, asked, watched = (held[k] for k in ("rows", "checked", "asked", "watched"))
        targets, embeddings = held["targets"], held["embeddings"]
    model = onnx.load(job["backbone"], load_external_data=False)
    if job["start"]:
        model = merge_weights(model, onnx.load(job["start"], load_external_data=False))
    module = extract_trainable(model, recipe)
    views = _read_field(place, job["field"])
    allowed = Symmetry(**job["symmetry"])
    source = open_source([Path(p) for p in job["files"]], job["shape"], embeddings, allowed, recipe, views)
    if recipe.kind == "scratch":
        randomise_weights(module, job["seed"])
    pretrained = weights_of(module)
    trained = train(
        module,
        Examples(source=source, targets=targets, rows=rows, checked=checked, watched=watched, task=job["task"]),
        recipe,
        seed=job["seed"],
        checkpoint=place / "checkpoint.pt",
        progress=_reporter(),
        judged=lambda epoch, loss: print("epoch", epoch, loss, flush=True),
    )
    found = {}
    for alpha in job["shares"]:
        # what ships is rounded likewise
        _load_weights(module, round_to_stored(model, interpolate_weights(trained.weights, pretrained, alpha)))
        part = embed_rows(module, source, asked)
        found[f"at_{alpha:g}"] = np.zeros((len(targets), part.shape[1]), np.float32)
        found[f"at_{alpha:g}"][asked] = part
        if views is not None:
            found[f"field_{alpha:g}"] = embed_views(module, views)
    _write_result(place, trained, found)


def _read_field(place: Path, said: Mapping[str, Any] | None) -> FieldCuts | None:
    """Read which field views there are."""
    if said is None:
        return None
    with np.load(place / "field.npz", allow_pickle=False) as held:
        which = {name: held[name] for name in ("rows", "places", "hard")}
    return FieldCuts(path=Path(said["file"]), shape=tuple(said["shape"]), **which)


def _reporter() -> Progress:
    """Make a callback that tells the parent process now and then how many images were trained on."""
    last = 0

    def say(done: int, total: int) -> None:
        nonlocal last
        if done - last >= REPORT_EVERY or done == total:
            last = done
            print("at", done, flush=True)

    return say


def _write_result(place: Path, trained: Trained, found: Mapping[str, np.ndarray]) -> None:
    """Write arrays first and history.json last: where that stands the job is done."""
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


def _load_weights(module: Any, weights: Mapping[str, np.ndarray]) -> None:
    torch = import_torch()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name.removeprefix("weights.")]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
