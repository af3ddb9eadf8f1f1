"""Compose a check-up of a detector and of a check-up that is asked about each thing that it finds."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from medloupe.data.modalities import PICTURES
from medloupe.errors import QuestionError, StoreError, did_you_mean
from medloupe.imaging.crops import MARGIN, MOST_MARGIN
from medloupe.imaging.picture import FULL_SIDE
from medloupe.model.bundle import Composition, Model
from medloupe.model.cells import MOST_UNUSUAL
from medloupe.model.crops import read_rates
from medloupe.model.decision import MOST_REFUSED, Decision
from medloupe.modelfile.parts import head_bytes
from medloupe.store.models import Store
from medloupe.store.names import check_name
from medloupe.utils.files import write_atomically

LONGEST_TITLE = 80  # letters
LEAST_SIDE = 8  # pixels


def compose(
    name: str,
    find: Model,
    label: str,
    ask: Model,
    *,
    grey: bool | None = None,
    side: int | None = None,
    margin: float | None = None,
    cut_out: bool = False,
    title: str = "",
    actor: str = "local",
) -> Model:
    """Add a composed check-up to the store: find things of a label, ask about each.

    Parameters and errors as `assemble` has them, and

    Parameters
    ----------
    name : str
        Of the version's model.
    actor : str
        Who does so, for the audit log.

    Raises
    ------
    StoreError
        The store cannot take them; then nothing is left behind.
    """
    check_name(name)
    made = assemble(name, find, label, ask, grey=grey, side=side, margin=margin, cut_out=cut_out, title=title)
    return Store.open().add(made, write_files=_write_files, actor=actor)


def assemble(
    name: str,
    find: Model,
    label: str,
    ask: Model,
    *,
    grey: bool | None = None,
    side: int | None = None,
    margin: float | None = None,
    cut_out: bool = False,
    title: str = "",
) -> Model:
    """Put a detector and a check-up together: find things of a label, ask about each.

    What the check-up's card tells of how its crops were made goes for all that is left out.

    Parameters
    ----------
    name : str
        What it is called.
    find : Model
        A detector.
    label : str
        Its label of the things that are asked about.
    ask : Model
        A check-up of pictures of single such things.
    grey : bool
        Whether the check-up learned from grey pictures: then crops are made grey.
    side : int
        Pixels of the longer side of the pictures that it learned from: larger crops are scaled down to it first.
    margin : float
        Of a box's own side, that is added on each side before it is cropped; 0 to MOST_MARGIN, MARGIN where nothing
        is told.
    cut_out : bool
        Whether what lies outside the ellipse within the crop is made black: for check-ups that learned from things cut
        out on black.
    title : str
        For people; the name where left out.

    Raises
    ------
    QuestionError
        Where grey or side is not told: a check-up asked about pictures of another colour or size than it learned from
        may flag nearly all of them.
    StoreError
        The two do not fit together.
    """
    learned = ask.card.get("crop") or {}
    if margin is None:
        margin = float(learned.get("margin", MARGIN))
    if learned:
        grey, side = learned["grey"] if grey is None else grey, learned["side"] if side is None else side
    _check_parts(find, label, ask, margin, title)
    if grey is None or side is None:
        raise QuestionError(
            f"What did {ask.name} learn from, grey or coloured pictures, and how many pixels was their longer side? Its"
            " card does not tell, and asked about crops of another colour or size it may flag nearly all of them.",
            ("--crops grey:50", "--crops colour:130"),
        )
    if not LEAST_SIDE <= side <= FULL_SIDE:
        raise StoreError(f"A side of {side:,} pixels is not between {LEAST_SIDE} and {FULL_SIDE:,}.", "Give another.")
    composed = {
        "find": _describe_part(find),
        "label": label,
        "ask": _describe_part(ask),
        "margin": margin,
        "cut_out": cut_out,
        "grey": grey,
        "side": side,
        "judged": None,
        "words": _word(find, label, ask),
    }
    card = {
        **{k: v for k, v in find.card.items() if k not in ("version", "about", "applies", "localisation")},
        "name": name,
        "title": title or None,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "kind": f"field with {label} ({name})",
        "scope": [f"every {label}, each asked"[:80], "not judged on whole fields"],
        "composed": composed,
        "warnings": [
            {"level": "serious", "text": composed["words"][-1]},
            *(find.card.get("warnings") or ()),
            *(ask.card.get("warnings") or ()),
        ],
        "limits": [*composed["words"], *_limits(find, label, ask), *(ask.card.get("limits") or ())],
        "licence": _join_licences(find, ask),
    }
    return replace(find, card=card, report="", asks=Composition(checkup=ask, label=label))


def _check_parts(find: Model, label: str, ask: Model, margin: float, title: str) -> None:
    """Raise StoreError where the two cannot be composed."""
    for part in (find, ask):
        if part.asks is not None:
            raise StoreError(f"{part.name} is composed itself.", "Compose a detector and a check-up.")
        if part.backbone.card.modality != PICTURES.name:
            raise StoreError(
                f"{part.name} does not look at pictures.", "Compose a detector and a check-up of pictures."
            )
    if find.detector is None:
        raise StoreError(f"{find.name} finds no boxes: it is no detector.", "Train one on a data set with boxes.")
    if label not in find.labels:
        raise StoreError(
            f"{find.name} finds no {label!r}; it finds: {', '.join(find.labels)}.", did_you_mean(label, find.labels)
        )
    decision = Decision.from_card(find.card)
    if decision.count_lines[decision.labels.index(label)] > 1:
        raise StoreError(f"{find.name} counts no {label}: too few of its boxes are right.", "Train it on more boxes.")
    if ask.detector is not None:
        raise StoreError(f"{ask.name} is a detector itself.", "Name a check-up that judges one thing at a time.")
    if (crop := ask.card.get("crop")) is not None and not crop["each"] and len(crop["labels"]) > 1:
        raise StoreError(
            f"{ask.name} looks at pictures cropped to {' and '.join(crop['labels'])} together, not at each.",
            f"Ask it so: medloupe predict {ask.name} PICTURE --find {find.name}",
        )
    if ask.extras is not None:
        raise StoreError(
            f"{ask.name} reads more than the picture, which is not known of each {label}.",
            "Name a check-up that reads the picture alone.",
        )
    if not 0 <= margin <= MOST_MARGIN:
        raise StoreError(f"A margin of {margin:g} is not between 0 and {MOST_MARGIN:g}.", f"Give for example {MARGIN}.")
    if len(title) > LONGEST_TITLE or not title.isprintable():
        raise StoreError(f"A title has at most {LONGEST_TITLE} letters.", "Give a shorter one.")


def _describe_part(part: Model) -> dict[str, Any]:
    """Describe a part: its name and version, and the hashes of what it consists of."""
    head = head_bytes(part.head, part.novelty, part.extras, part.detector)
    hashes = [part.backbone.sha256, hashlib.sha256(head).hexdigest()]
    hashes += [part.tail.sha256] if part.tail is not None else []
    called = part.name if part.version is None else f"{part.name}@{part.version}"
    return {"name": part.name, "version": part.version, "called": called, "sha256": hashes}


def _word(find: Model, label: str, ask: Model) -> list[str]:
    return [
        f"{find.name} finds each {label}, and {ask.name} is asked about each of them.",
        f"The figures are those of {find.name}; those of {ask.name} were measured on single pictures as it learned"
        " from, not on what is cropped from a field.",
        "The two together were not judged on real fields with known truth. What is estimated for a field rests on the"
        f" sensitivity and specificity of {ask.name} on such single pictures; on crops of a field both may be lower.",
    ]


def _limits(find: Model, label: str, ask: Model) -> list[str]:
    said = [
        f"A {label} that {find.name} does not find is not asked about, and not counted.",
        f"Where more than {MOST_REFUSED:.0%} of what is found is unlike what {ask.name} knows, or surely"
        f" more than {MOST_UNUSUAL:.0%} lie at its edge, as cells of another stain do, nothing is said.",
        f"Of pictures with a side of more than {FULL_SIDE:,} pixels, crops are taken from that many.",
    ]
    known = read_rates(ask.card)
    unknown = [n for n in ask.labels if n not in known and Decision.from_card(ask.card).roles.of(n) == "sought"]
    if unknown:
        said.append(f"How often {ask.name} errs with {', '.join(unknown)} is not known: no number is estimated.")
    if ask.novelty is None:
        said.append(f"{ask.name} answers about anything: what is no {label} of the kind it knows is not told apart.")
    return said


def _join_licences(find: Model, ask: Model) -> str | None:
    told = [f"{part.name}: {text}" for part in (find, ask) if (text := part.card.get("licence"))]
    return "; ".join(told) or None


def _write_files(folder: Path, made: Model) -> None:
    write_atomically(folder / "composed.json", json.dumps(made.card["composed"], indent=1).encode())
