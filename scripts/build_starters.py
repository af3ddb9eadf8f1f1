"""Make the check-ups that come with the package again, from the data folder: `make starters`.

    python scripts/build_starters.py [--data ../shared/data] [--only malaria,skin] [--home build/starters] [--accept]
    python scripts/build_starters.py --cards        # networks and heads stay as shipped; what is said of answers is new
    python scripts/build_starters.py --contrasts    # the same, but for the boundary to other kinds of picture
    python scripts/build_starters.py --negatives    # the same, but for the boundary to negatives of grey pictures
    python scripts/build_starters.py --references   # the same, but for the reference that pictures are watched by

Each is trained by the ordinary pipeline: a linear head that learns from photographs too, or, where a row of starters.py
says so, `--finetune auto` (the tail ships only where it beats the linear head by more than noise). It is stressed,
given a contrast to other kinds of picture, and packed: into src/medloupe/starter/checkups where its data are open, and
then its contrast is drawn with open data alone; else into research/ (scripts/terms.py).
Those that mark places learn as `medloupe train` does (build_finders.py); where others keep the processors busy, run
them with MEDLOUPE_THREADS=1, as threads that wait for each other take several times as long.
What was computed once is taken up from --home. A figure that falls outside the interval that the shipped card records
ends the run with an error and leaves the shipped check-up alone; --accept takes the new figures on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import build_finders
import medloupe
import terms
from build_finders import built_finder, packed_finder
from kind_sights import KINDS, Sights, contrasted, gathered, see_cut
from medloupe.cli import console
from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.network import Network
from medloupe.evaluation import stress
from medloupe.inference.find import find_model
from medloupe.model.bundle import Model
from medloupe.model.drift import fit_patients, fit_reference
from medloupe.model.novelty import Novelty
from medloupe.model.sketch import sketch_many
from medloupe.modelfile.parts import head_bytes
from medloupe.starter import pack
from medloupe.training.audit.findings import audit
from medloupe.training.heads.verdict import labelled_rows
from medloupe.training.pipeline.apart import Apart
from medloupe.training.pipeline.card import describe_refusal
from medloupe.training.pipeline.cautions import word_refusal_limit
from medloupe.training.pipeline.polarity import add_polarity
from medloupe.training.pipeline.run import train
from medloupe.utils.files import write_atomically
from starter import Starter
from starters import STARTERS

GUARDED = ("auc", "balanced_accuracy")  # figures that must stay within their recorded intervals
FALL = 0.1  # of the AUC under a change, from which on it is warned of
STRESSED = 100  # images, each in twenty ways
ROUNDED = 0.02  # how far a probability may move by packing
_GONE = ("created", "seconds", "reused", "version")  # of a card: what differs from build to build
_ROUNDS = 30
DECIDING = ("metrics", "secondary", "per_label", "decision", "confusion", "subgroups", "roles", "leads", "quality")
"""Entries of a card that say what is said of an answer and how often that is right."""


def built(one: Starter, data: Path, home: Path, sights: dict[str, Sights]) -> Model:
    """Trained, contrasted and stressed, with its whole card."""
    os.environ["MEDLOUPE_HOME"] = str(home / one.data)
    dataset = one.read(data)
    if dataset.modality == "ecg":
        with console.progress() as say:
            made = train(dataset, name=one.name, clinical=one.clinical, progress=say, **one.roles)
        model = find_model(f"{made.name}@{made.version}")
        return replace(model, card=_card(one, model, None))
    with console.progress() as say:
        made = train(dataset, name=one.name, finetune=one.finetune, minutes=600, progress=say, **one.roles)
        model = find_model(f"{made.name}@{made.version}")
        if model.novelty is None:
            raise SystemExit(f"{one.name} cannot refuse pictures: too few groups.")
        model = replace(model, novelty=_contrasted(one, model.novelty, sights, data))
        stressed = stress.stress(model, dataset, images=STRESSED, progress=say)
    return replace(model, card=_card(one, model, stress.stress_entry(stressed)))


def _contrasted(one: Starter, novelty: Novelty, sights: dict[str, Sights], data: Path) -> Novelty:
    """The same with a boundary to other kinds of picture, drawn with what its terms allow. Where photographs taught it
    to read them, there is room for such as the app cuts out of them."""
    allowed = kinds_for(one)
    widening = one.widened_by or one.folders
    alike = [sights[n] for n in one.folders if n not in widening]
    alike += [sights[n] for n in allowed if KINDS[n] == one.kind and n not in one.folders]
    others = [sights[n] for n in allowed if KINDS[n] != one.kind]
    cut = see_cut([data / n for n in one.folders]) if novelty.legibility is not None else None
    return contrasted(novelty, Sights.join([sights[n] for n in widening]), alike, others, cut)


def kinds_for(one: Starter) -> list[str]:
    """The data sets that a check-up's boundary may be drawn with: all, or those that are open."""
    return [] if one.kind == "ECG" else [n for n in KINDS if one.terms != "open" or n in terms.OPEN]


def _card(one: Starter, model: Model, stressed: dict[str, Any] | None) -> dict[str, Any]:
    card = {k: v for k, v in model.card.items() if k not in _GONE}
    limits = [text for text in card["limits"] if " unlike all that it was trained on" not in text]
    if model.novelty is not None:
        limits.append(word_refusal_limit(Apart(novelty=model.novelty), card["data"]["things"]))
    return {
        **card,
        "title": one.title,
        "about": one.about,
        "kind": one.kind,
        "terms": one.terms,
        "scope": list(one.scope),
        **({"applies": [dict(entry) for entry in one.applies]} if one.applies else {}),
        "licence": one.licence,
        "data": {**card["data"], "name": one.collection, "licence": one.licence, "citation": one.citation},
        "limits": [*one.weaknesses, *limits, *(_accepted_but_bad(stressed) if stressed else ())],
        "novelty": _refusal(model),
        **({"stress": stressed} if stressed else {}),
    }


def _refusal(model: Model) -> dict[str, Any] | None:
    """Its card's entry `novelty` anew; what its training told of negatives stays."""
    entry = describe_refusal(Apart(novelty=model.novelty))
    told = (model.card.get("novelty") or {}).get("polarity")
    return entry if entry is None or told is None else {**entry, "polarity": told}


def _accepted_but_bad(stressed: dict[str, Any]) -> list[str]:
    """A warning of changes under which most pictures are answered, but much worse."""
    bad = []
    for row in stressed["changes"]:
        fallen = (row["auc"].get("difference") or {}).get("value")
        if fallen is not None and fallen < -FALL and row["refused"]["value"] < 0.5:
            name = f"{row['kind']} ({row['strength']})" if row["strength"] else row["kind"]
            bad.append(f"{name}, AUC {row['auc']['value']:.2f}")
    whole = stressed["unchanged"]["auc"]["value"]
    if not bad:
        return []
    return [f"Such pictures are mostly answered, but badly (unchanged: AUC {whole:.2f}): {'; '.join(bad)}."]


def made_from(one: Starter) -> list[str]:
    """All data sets that anything in a check-up was learned from."""
    return sorted({*one.folders, *kinds_for(one)})


def packed(one: Starter, model: Model, dataset: Dataset, folder: Path) -> Model:
    """Written to a folder and read back; its card says what that cost and what it takes to answer.

    Raises SystemExit where packing moved a probability too far.
    """
    found = scan_dataset(dataset)
    before = model.head.probabilities(embed(found, model.backbone, tail=model.tail).embeddings)
    for steps in pack.STEPS:
        made = pack.pack_checkup(model, folder, steps)
        after = made.head.probabilities(embed(found, made.backbone, tail=made.tail).embeddings)
        moved = float(np.abs(before - after).max())
        if moved <= ROUNDED:
            break
    else:
        raise SystemExit(f"{model.name}: packing moves a probability by {moved:.3f}, more than {ROUNDED}.")
    size = sum(f.stat().st_size for f in folder.iterdir())
    told = {"bytes": size, "moved": round(moved, 5), "milliseconds": _milliseconds(made), "made_from": made_from(one)}
    card = {**made.card, "shipped": told}
    return pack.pack_checkup(replace(made, card=card), folder, steps)


def redrawn(one: Starter, data: Path, home: Path) -> None:
    """Take over, into the shipped card, what a training made in the same way says of deciding; no weight changes."""
    os.environ["MEDLOUPE_HOME"] = str(home / one.data)
    dataset, path = one.read(data), terms.place_of(one.terms) / one.name / pack.CARD
    card = json.loads(path.read_text("utf-8"))
    tuned = (card.get("finetuning") or {}).get("winner") in ("tail", "full")
    with console.progress() as say:
        how = {"finetune": "auto", "minutes": 600} if tuned else {}
        made = train(dataset, name=one.name, clinical=one.clinical, progress=say, **how, **one.roles).card
    card |= {key: made[key] for key in DECIDING if made.get(key) is not None}
    card |= {"scope": list(one.scope), **({"applies": [dict(entry) for entry in one.applies]} if one.applies else {})}
    write_atomically(path, pack.card_bytes(card))


def redrawn_contrast(one: Starter, sights: dict[str, Sights], data: Path) -> float:
    """Draw the shipped check-up's boundary anew and say what it was made from; the share of its own it refuses."""
    folder = terms.place_of(one.terms) / one.name
    model = pack.unpack_checkup(folder)
    novelty = model.novelty
    limits = list(model.card["limits"])
    if novelty is not None and one.kind != "ECG":
        said = f"this, {novelty.own_refused:.1%} were"
        novelty = _contrasted(one, replace(novelty, contrast=None), sights, data)
        limits = [text.replace(said, f"this, {novelty.own_refused:.1%} were") for text in limits]
        write_atomically(folder / pack.HEAD, head_bytes(model.head, novelty, model.extras))
    size = sum(f.stat().st_size for f in folder.iterdir() if f.name != pack.CARD)
    card = {
        **json.loads((folder / pack.CARD).read_text("utf-8")),
        "terms": one.terms,
        "limits": limits,
        "novelty": _refusal(replace(model, novelty=novelty)),
    }
    card["shipped"] = {**card["shipped"], "made_from": made_from(one)}
    card["shipped"]["bytes"] = size + len(pack.card_bytes(card))
    write_atomically(folder / pack.CARD, pack.card_bytes(card))
    return 0.0 if novelty is None else novelty.own_refused


def redrawn_polarity(one: Starter, data: Path) -> dict[str, float | int] | None:
    """Learn the shipped check-up's boundary to negatives anew, and give its figures; None where there is none."""
    folder = terms.place_of(one.terms) / one.name
    model = pack.unpack_checkup(folder)
    features = embed(scan_dataset(one.read(data)), model.backbone)
    rows = labelled_rows(features.data.targets)
    pictures, groups = [features.data.records[i] for i in rows], audit(features).groups[rows]
    apart = Apart(novelty=model.novelty and replace(model.novelty, polarity=None))
    seen, targets = features.embeddings[rows], features.data.targets[rows]
    apart = add_polarity(apart, pictures, seen, targets, groups, model.backbone, seed=0)
    write_atomically(folder / pack.HEAD, head_bytes(model.head, apart.novelty, model.extras))
    figures = None if apart.polarity is None else apart.polarity.as_json()
    card = json.loads((folder / pack.CARD).read_text("utf-8"))
    entry = {key: value for key, value in card["novelty"].items() if key != "polarity"}
    card["novelty"] = entry | ({} if figures is None else {"polarity": figures})
    size = sum(f.stat().st_size for f in folder.iterdir() if f.name != pack.CARD)
    card["shipped"]["bytes"] = size + len(pack.card_bytes(card))
    write_atomically(folder / pack.CARD, pack.card_bytes(card))
    return figures


def redrawn_reference(one: Starter, data: Path) -> dict[str, int] | None:
    """Fit anew what the shipped check-up's training looked like, by which its answers are watched; nothing else moves.

    By pictures, and by patients where there are enough. Returns its classes, numbers a picture and patients that it
    rests on (0 where none are kept); None where pictures are too few or too unlike each other for one.
    """
    folder = terms.place_of(one.terms) / one.name
    model = pack.unpack_checkup(folder)
    if model.novelty is None:
        return None
    features = embed(scan_dataset(one.read(data)), model.backbone)
    rows = labelled_rows(features.data.targets)
    z = sketch_many(features.embeddings[rows], model.novelty.levels)
    groups, targets = audit(features).groups[rows], features.data.targets[rows]
    found = fit_reference(z, groups, targets, model.novelty.gaussian)
    patients = fit_patients(z, groups, targets, model.novelty.gaussian)
    novelty = replace(model.novelty, reference=found, patients=patients)
    write_atomically(folder / pack.HEAD, head_bytes(model.head, novelty, model.extras))
    card = json.loads((folder / pack.CARD).read_text("utf-8"))
    size = sum(f.stat().st_size for f in folder.iterdir() if f.name != pack.CARD)
    card["shipped"]["bytes"] = size + len(pack.card_bytes(card))
    write_atomically(folder / pack.CARD, pack.card_bytes(card))
    if found is None:
        return None
    kept = 0 if patients is None else len(np.unique(groups))
    return {"classes": found.means.shape[0], "numbers": found.means.shape[1], "patients": kept}


def _milliseconds(model: Model) -> dict[str, float]:
    """Of one picture, beat or ECG on one thread: the shared network, and what this check-up adds to it."""
    rng, shape = np.random.default_rng(0), (1, *model.backbone.card.input_shape)
    pictures = model.backbone.card.modality == "image"
    given = rng.integers(0, 256, shape, np.uint8) if pictures else rng.normal(0, 0.3, shape).astype(np.float32)
    networks = [Network(model.backbone, tail, threads=1) for tail in (None, model.tail)]
    seconds: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for network, spent in zip(networks, seconds, strict=True):
            started = time.perf_counter()
            network.see(given, maps=False)
            spent.append(time.perf_counter() - started)
    shared, whole = (1000 * statistics.median(s) for s in seconds)
    return {"shared": round(shared, 1), "own": round(max(0.0, whole - shared), 1) if model.tail else 0.0}


def fallen(one: Starter, model: Model) -> list[str]:
    """Which figures lie outside the interval that the shipped card records, in words."""
    path = terms.place_of(one.terms) / one.name / pack.CARD
    if not path.exists():
        return []
    recorded = json.loads(path.read_text("utf-8"))["metrics"]
    said = []
    for name in GUARDED if model.detector is None else build_finders.GUARDED:
        now, then = model.card["metrics"][name]["value"], recorded[name]
        if None in (now, then["low"], then["high"]):
            said.append(f"{model.name}: {name} has no interval to be held against")
        elif not then["low"] <= now <= then["high"]:
            said.append(f"{model.name}: {name} is {now:.3f}, outside {then['low']:.3f} to {then['high']:.3f}")
    return said


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--home", type=Path, default=here / "build" / "starters")
    parser.add_argument("--only", default="")
    parser.add_argument("--accept", action="store_true", help="also where figures fall outside their intervals")
    parser.add_argument("--cards", action="store_true", help="only what the cards say of deciding")
    parser.add_argument("--contrasts", action="store_true", help="only the boundaries to other kinds of picture")
    parser.add_argument("--negatives", action="store_true", help="only the boundaries to negatives of its pictures")
    parser.add_argument("--references", action="store_true", help="only the references that pictures are watched by")
    told = parser.parse_args()
    chosen = [s for s in STARTERS if not told.only or s.name in told.only.split(",")]
    if not chosen:
        parser.error(f"there are {', '.join(s.name for s in STARTERS)}")
    os.environ["MEDLOUPE_HOME"] = str(told.home)
    if told.cards:
        for one in chosen:
            if one.finds:
                parser.error(f"{one.name} marks places: its card goes with its boxes. Build it whole.")
            redrawn(one, told.data, told.home)
        return
    if redraw := redrawn_polarity if told.negatives else redrawn_reference if told.references else None:
        for one in (one for one in chosen if not one.finds and one.kind != "ECG"):
            print(f"{one.name}: {redraw(one, told.data)}", file=sys.stderr)
        return
    named = {n for one in chosen if not one.finds for n in kinds_for(one)}  # those that mark places have no contrast
    sights = gathered(told.data, told.home, sorted(named))
    if told.contrasts:
        for one in chosen:
            if one.finds:
                parser.error(f"{one.name} marks places, and has no such boundary: it refuses by distance alone.")
            print(f"{one.name}: own pictures refused {redrawn_contrast(one, sights, told.data):.4f}", file=sys.stderr)
        return
    wrong: list[str] = []
    for one in chosen:
        print(f"{one.name}: {one.title}", file=sys.stderr)
        finds = one.finds
        model = built_finder(one, told.data, told.home) if finds else built(one, told.data, told.home, sights)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / one.name
            ready = (packed_finder if finds else packed)(one, model, one.read(told.data), folder)
            out = [] if told.accept else fallen(one, ready)
            wrong += out
            if not out:
                place = terms.place_of(one.terms) / one.name
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(folder, place)
        name, title = ("map50", "AP50") if finds else ("auc", "AUC")
        value = ready.card["metrics"][name]
        won = "detector" if finds else (ready.card.get("finetuning") or {}).get("winner", "linear")
        said = f"{value['value']:.3f} ({value['low']:.3f}–{value['high']:.3f})"
        print(f"{one.name}: {title} {said}, {won}", file=sys.stderr)
    if wrong:
        raise SystemExit(
            "\n".join([*wrong, "Nothing of these was exchanged. Find out why, or run again with --accept."])
        )
    print(f"{len(chosen)} check-ups with medloupe {medloupe.__version__}.", file=sys.stderr)


if __name__ == "__main__":
    main()
