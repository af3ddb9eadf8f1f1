"""Take a patient's pictures out of what versions of models keep: predictions, figures, pages. Weights stay as they are.

A version's figures are made anew from the predictions that are left (metrics.evidence), as its training made them. How
many are missing stands in its card and beside the predictions, so that the promotion gate says so, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.digests import decode_digests
from medloupe.data.labels import Roles
from medloupe.erasure.nouns import TaughtVersion
from medloupe.metrics.box_evidence import BoxEvidence, average_labels, draw_label_precisions, read_judged
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.metrics.tables import Judged, headline
from medloupe.store.models import Store
from medloupe.store.tables import now
from medloupe.utils.files import write_atomically

_EMBEDDED = re.compile(rb"data:image/(?:png|jpeg|webp|gif);base64,[A-Za-z0-9+/=\s]{40,}")
_EMPTY = b"data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
_NOTICE = (
    b'<p class="lead doubt" id="erased">Pictures were taken out of this page, since some were erased at the wish of'
    b" those pictured. Its figures are those of the day it was made; the model's page has them made anew.</p>"
)
_HEADER = b'<header id="verdict">'


def survey_versions(store: Store, prefixes: set[bytes], trained: Mapping[tuple[str, int], int]) -> list[TaughtVersion]:
    """List the versions that learned from pictures, or were judged by them, without changing anything.

    Parameters
    ----------
    store : Store
        The store.
    prefixes : set of bytes
        The first 8 bytes of the sha256 of each picture.
    trained : mapping
        How many pictures versions, by name and number, were given for their training; a card of very many pictures
        remembers only some.
    """
    found: list[TaughtVersion] = []
    if not prefixes:
        return found
    known = _as_numbers(prefixes)
    for name, number, card in store.list_cards():
        evidence = read_judged(store.folder(name, number))
        learned = len(prefixes & decode_digests((card.get("data") or {}).get("digests")))
        learned = max(learned, trained.get((name, number), 0))
        judged = 0 if evidence is None else int(np.isin(evidence.digests, known).sum())
        if learned or judged:
            left = None if evidence is None else len(evidence.digests) - judged
            found.append(TaughtVersion(name=name, version=number, learned=learned, judged=judged, left=left))
    return found


def erase_from_versions(store: Store, taught: Sequence[TaughtVersion], prefixes: set[bytes]) -> int:
    """Take pictures out of versions that know them: predictions, figures and pages. What is done already is not again.

    Returns
    -------
    int
        How many pages lost their pictures.

    Raises
    ------
    StoreError
        The store cannot be used.
    OSError
        A file cannot be written.
    """
    pages = 0
    cards = {(name, number): card for name, number, card in store.list_cards()}
    for one in taught:
        card = cards.get((one.name, one.version))
        if card is None:  # removed meanwhile
            continue
        folder = store.folder(one.name, one.version)
        pages += sum(_empty_page(path) for path in sorted(folder.glob("*.html")))
        evidence = read_judged(folder)
        if evidence is None:
            continue
        left = evidence.erase(_as_numbers(prefixes))
        if left.erased != evidence.erased:
            write_atomically(folder / FILE, left.as_bytes())
        if left.erased != int((card.get("erased") or {}).get("judged", 0)):
            store.change_card(one.name, one.version, partial(mend_card, evidence=left))
    return pages


def mend_card(card: Mapping[str, Any], evidence: Evidence | BoxEvidence) -> dict[str, Any]:
    """Make a card whose figures rest on the predictions that are left."""
    figures = _compute_figures(evidence, card)
    said = {"at": now(), "judged": evidence.erased, "left": len(evidence.digests), "figures": sorted(figures)}
    return {**card, "metrics": {**(card.get("metrics") or {}), **figures}, "erased": said}


def _compute_figures(evidence: Evidence | BoxEvidence, card: Mapping[str, Any]) -> dict[str, Any]:
    """Compute the figures of the whole that the predictions tell; none where too few are left."""
    if isinstance(evidence, BoxEvidence):
        drawn = average_labels(draw_label_precisions(evidence, evidence, 1000, 0))[0]
        known = drawn[1:][np.isfinite(drawn[1:])]
        if not np.isfinite(drawn[0]) or not len(known):
            return {}
        low, high = np.quantile(known, (0.025, 0.975))
        return {"map50": {"value": float(drawn[0]), "low": float(low), "high": float(high)}}
    if len(evidence.digests) < 2:
        return {}
    exact = evidence.task == "multiclass" or len(evidence.probabilities) == 1
    flags = np.broadcast_to(evidence.announced >= 0.5, evidence.probabilities.shape)
    judged = Judged(
        probabilities=evidence.probabilities,
        flags=flags,
        targets=evidence.targets,
        groups=evidence.groups,
        labels=evidence.labels,
        task=evidence.task,
        roles=Roles.from_json(evidence.labels, card.get("roles")),
    )
    made = dict(headline(judged))
    if not exact:  # of several repeats only the share is kept in which a finding was flagged
        for name in ("macro_f1", "accuracy", "balanced_accuracy"):
            made.pop(name, None)
    return {name: figure for name, figure in made.items() if figure.get("value") is not None}


def _as_numbers(prefixes: set[bytes]) -> np.ndarray:
    """Write shortened digests as evidence holds them: uint64."""
    return np.frombuffer(b"".join(sorted(prefixes)), np.uint64)


def _empty_page(path: Path) -> bool:
    """Take all pictures of examples out of a page, since it does not tell whose each is; whether it had any."""
    page = path.read_bytes()
    empty, count = _EMBEDDED.subn(_EMPTY, page)
    fresh = sum(found != _EMPTY for found in _EMBEDDED.findall(page))
    if not count or not fresh:
        return False
    if b'id="erased"' not in empty:
        empty = empty.replace(_HEADER, _NOTICE + _HEADER, 1)
    write_atomically(path, empty)
    return True
