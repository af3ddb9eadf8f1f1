"""Data sets cut into what is learned and what is kept aside, and photographs of the latter by the held-out family."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import field_family
import medloupe
from medloupe.data.contents import read_content
from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.data.split import assign_folds, sample_rows
from medloupe.embed.features import Features, embed
from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import decode
from medloupe.imaging.picture import image_from_array, whole_picture
from medloupe.imaging.quality import MEASURES, as_numbers
from medloupe.settings import home
from medloupe.training.audit.findings import audit
from medloupe.utils.batches import map_batches

FRAMINGS = ("whole", "corners given")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAside:
    """What is learned from, and what judges: embeddings of direct pictures and of their photographs.

    photographs: by severity and framing, (embeddings (n, D), measures (n, measures)) for the same n pictures.
    cuts: what reached the cut, float16 (n, C, H, W), by "direct" or severity and framing; tuned stages read that.
    """

    learned: Dataset
    clean: Features
    measures: np.ndarray
    groups: np.ndarray
    photographs: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]
    cuts: dict[str, np.ndarray]


def cut(root: Path, pictures: int, seed: int = 0) -> tuple[Dataset, Dataset, np.ndarray]:
    """Read a set, whole groups of about `pictures`, and keep a quarter of its groups aside: learned, aside, groups."""
    features = embed(scan_dataset(medloupe.read(root)), backbone())
    groups = audit(features, seed).groups
    y = features.data.targets
    rows = sample_rows(np.flatnonzero(~np.isnan(y).all(1)), y, groups, pictures, seed)
    fold = assign_folds(y[rows], groups[rows], 4, seed)
    data, parts = features.data, []
    for mine in (fold != 0, fold == 0):
        # the split that a set brings was cut anew here
        records = tuple(replace(data.records[i], split="") for i in rows[mine])
        parts.append(replace(data, records=records))
    return parts[0], parts[1], groups[rows[fold == 0]]


def prepare(root: Path, pictures: int, seed: int = 0) -> KeptAside:
    """Cut a set and photograph what is kept aside, once for each severity, each of both framings; cached."""
    learned, aside, groups = cut(root, pictures, seed)
    clean = embed(scan_dataset(aside), backbone())
    made_by = Path(field_family.__file__).read_bytes() + b"".join(clean.digests) + bytes([seed])
    path = home() / "cache" / "field-benchmark" / f"{hashlib.sha256(made_by).hexdigest()[:24]}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, allow_pickle=False, **_photograph(clean, seed))
    stored = np.load(path)
    return KeptAside(
        learned=learned,
        clean=clean,
        measures=stored["direct"],
        groups=groups,
        photographs={
            (s, f): (stored[f"{s} {f}"], stored[f"{s} {f} measures"]) for s in field_family.SEVERITIES for f in FRAMINGS
        },
        cuts={name.removesuffix(" cut"): stored[name] for name in stored.files if name.endswith(" cut")},
    )


def _photograph(clean: Features, seed: int) -> dict[str, np.ndarray]:
    network = open_session(backbone().path, threads=1)
    size, n = backbone().card.input_size, len(clean.embeddings)
    names = [f"{s} {f}" for s in field_family.SEVERITIES for f in FRAMINGS]
    found = {name: np.zeros((n, backbone().card.dimension), np.float32) for name in names}
    measured = {f"{name} measures": np.zeros((n, len(MEASURES)), np.float32) for name in names}
    direct = np.zeros((n, len(MEASURES)), np.float32)
    forms = ["direct", *names]
    cuts = {f"{form} cut": np.zeros((n, *backbone().card.cut), np.float16) for form in forms}

    def look(taken: list[int]) -> int:
        for i in taken:
            image = decode(read_content(clean.data.records[i].picture), min_side=size)
            direct[i] = as_numbers(whole_picture(image_from_array(image)).measure())
            views = [image]
            for s, severity in enumerate(field_family.SEVERITIES):
                rng = np.random.default_rng([seed, s, *clean.digests[i][:6]])
                scene = field_family.SCENES[int(rng.integers(len(field_family.SCENES)))]
                pixels, corners = field_family.photograph(image, rng, scene, severity, longer=320)
                views += [pixels, field_family.straighten(pixels, corners, rng)]
            pictures = [whole_picture(image_from_array(v)) for v in views]
            seen, cut = run(network, ["embedding", "cut"], np.stack([p.fit(size) for p in pictures]))
            for form, reached in zip(forms, cut, strict=True):
                cuts[f"{form} cut"][i] = reached
            for name, row, picture in zip(names, seen[1:], pictures[1:], strict=True):
                found[name][i], measured[f"{name} measures"][i] = row, as_numbers(picture.measure())
        return len(taken)

    for _ in map_batches(range(n), 1, lambda: look):
        pass
    return {**found, **measured, "direct": direct, **cuts}
