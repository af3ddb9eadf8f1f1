"""Set crops apart from the whole pictures that they were cut out of, and describe on the card how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from medloupe.data.cropped import Cropping
from medloupe.data.records import Record
from medloupe.data.split import assign_folds
from medloupe.embed.features import Features
from medloupe.errors import FinetuneError
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric
from medloupe.model.kind_bank import KindBank
from medloupe.model.sketch import sketch
from medloupe.training.heads.contrast import fit_contrast
from medloupe.training.options import Options
from medloupe.training.pipeline.apart import DRAWN, Apart

ENOUGH = 0.95
"""Share of whole pictures that is to be refused, below which a boundary is not worth its price and the card warns."""

_FOLDS = 5
_GREY_FROM = 200  # crops that are looked at for colour
_LARGEST = 0.99  # share of the crops whose longer side is no larger than the side to which found things are scaled


def check_options(cropping: Cropping, options: Options) -> None:
    """Refuse what does not go with crops. Raises FinetuneError."""
    if options.finetune == "full" or options.scratch:
        raise FinetuneError(
            "Crops are told from whole pictures by the network that both share; tuned as a whole it would be another.",
            "Take --finetune tail or auto, and leave --compare out, or train on whole pictures without --crop.",
        )


def set_crops_apart(
    apart: Apart,
    bank: KindBank | None,
    own: np.ndarray,
    groups: np.ndarray,
    records: list[Record],
    wholes: Features,
    seed: int,
) -> tuple[Apart, dict[str, Metric]]:
    """Add to what is refused the boundary between crops and whole pictures, and measure what it does.

    Parameters
    ----------
    apart : Apart
        Fitted on the crops, with a novelty.
    bank : KindBank or None
        What is known of other kinds; the boundary leaves these out, too.
    own : np.ndarray
        float32 (n, D), embeddings of the crops.
    groups : np.ndarray
        int (n,), of patients, copies and pictures.
    records : list of Record
        The crops.
    wholes : Features
        Of what they were cut out of, by the shared network.
    seed : int
        Of the folds and the bootstrap.

    Returns
    -------
    apart : Apart
        With the boundary.
    figures : dict of Metric
        `whole_refused`, the share of whole pictures that is refused, and `crops_refused`, of the crops that the
        boundary refuses beside; both by boundaries that had seen neither the picture nor any other of its group. Where
        it would refuse too few whole pictures the boundary stays as it was, and the figures are those without.
    """
    novelty = apart.novelty
    assert novelty is not None
    known = np.zeros((0, 0), np.float32) if bank is None else bank.draw_others(apart.own, DRAWN, seed)
    group_of = {r.source: int(g) for r, g in zip(records, groups, strict=True)}
    sources = [record.id for record in wholes.data.records]
    kept = [i for i, source in enumerate(sources) if source in group_of]
    whole_groups = np.array([group_of[sources[i]] for i in kept], np.int64)
    z, others = sketch(own, novelty.levels), sketch(wholes.embeddings[kept], novelty.levels)
    fold = assign_folds(np.ones((len(z), 1)), np.asarray(groups), _FOLDS, seed)
    fold_of = dict(zip(np.asarray(groups).tolist(), fold.tolist(), strict=True))
    other_fold = np.array([fold_of[g] for g in whole_groups.tolist()], np.int64)
    own_side, other_side = np.zeros(len(z)), np.zeros(len(others))
    for f in range(_FOLDS):
        boundary = fit_contrast(z[fold != f], _join(others[other_fold != f], known))
        own_side[fold == f] = boundary.side(z[fold == f])
        other_side[other_fold == f] = boundary.side(others[other_fold == f])
    whole = fit_contrast(z, _join(others, known))
    moved = whole.shift(own_side)
    room = moved.bias - whole.bias
    far = (other_side + room <= 0) | (novelty.distance(others) > 1)
    lost = own_side + room <= 0
    drawn = replace(novelty, contrast=moved, own_refused=min(1.0, novelty.own_refused + float(lost.mean())))
    if far.mean() < ENOUGH:
        drawn, far, lost = novelty, novelty.score_sketch(others) > 1, np.zeros(len(z), bool)
    figures = {
        **weighted.bootstrap_intervals(
            {"whole_refused": weighted.share(far, np.ones(len(far), bool))}, whole_groups, seed
        ),
        **weighted.bootstrap_intervals({"crops_refused": weighted.share(lost, np.ones(len(lost), bool))}, groups, seed),
    }
    return replace(apart, novelty=drawn), figures


def _join(wholes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Put whole pictures beside known kinds so that they count about as much as these together."""
    if not len(known):
        return wholes
    return np.concatenate([np.tile(wholes, (max(1, round(len(known) / len(wholes))), 1)), known])


def describe_crops(
    features: Features, rows: np.ndarray, figures: Mapping[str, Metric] | None, seed: int
) -> dict[str, Any] | None:
    """Build the card's entry `crop`; None where pictures were learned from whole.

    Parameters
    ----------
    features : Features
        Of all readable records.
    rows : np.ndarray
        int (n,), those that the model was fitted on.
    figures : mapping of Metric or None
        What `set_crops_apart` measured; None where whole pictures are not told apart.
    seed : int
        Of which crops are looked at for colour.
    """
    cropping = features.data.cropped
    if cropping is None:
        return None
    some = np.random.default_rng(seed).permutation(rows)[:_GREY_FROM]
    sides = np.maximum(features.facts["width"][rows], features.facts["height"][rows])
    entry: dict[str, Any] = {
        "each": cropping.each,
        "labels": list(cropping.labels),
        "margin": cropping.margin,
        "pictures": cropping.pictures,
        "grey": all(_is_grey(features.data.records[i].picture) for i in some),
        "side": int(np.ceil(np.quantile(sides, _LARGEST))),
        **({name: _round(metric) for name, metric in figures.items()} if figures else {}),
    }
    return {**entry, "words": word_crops(entry)}


def word_crops(entry: Mapping[str, Any]) -> list[str]:
    """Say in sentences how crops were made, and what becomes of whole pictures."""
    listed = ", ".join(entry["labels"])
    what = (
        f"It learned from single boxes ({listed}), each cropped"
        if entry["each"]
        else f"It learned from pictures cropped to their boxes of {' and '.join(entry['labels'])},"
    )
    words = [
        f"{what} with a margin of {entry['margin']:g} of the box's side. It answers what is said to be such a crop, and"
        " nothing else."
    ]
    told = entry.get("whole_refused")
    if told is None:
        words.append("It does not tell whole pictures from crops.")
    else:
        words.append(
            f"Of whole pictures that it was not fitted on, {told['value']:.1%} would be refused if they were said to be"
            " crops."
        )
    return words


def warn_of_wholes(entry: Mapping[str, Any]) -> list[dict[str, str]]:
    """Word the warning that whole pictures may be answered as if they were crops; none where hardly any is."""
    told = entry.get("whole_refused")
    if told is not None and (told["value"] or 0) >= ENOUGH:
        return []
    many = "any" if told is None else f"{100 * (1 - (told['value'] or 0)):.0f} of 100"
    text = f"It cannot tell whole pictures from crops: {many} would be answered where they are said to be crops."
    return [{"level": "warning", "text": text}]


def _is_grey(pixels: Any) -> bool:
    return isinstance(pixels, np.ndarray) and bool((pixels == pixels[..., :1]).all())


def _round(metric: Metric) -> Metric:
    low, high, value = (None if x is None else round(x, 4) for x in (metric["low"], metric["high"], metric["value"]))
    return Metric(value=value, low=low, high=high)
