"""Compare two runs of the store on the records that both were judged on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.errors import StoreError
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.metrics.gate import DRAWS
from medloupe.metrics.paired import RunComparison, compare_evidence
from medloupe.store.models import Store
from medloupe.store.names import parse_reference


def compare_runs(a: str, b: str, *, draws: int = DRAWS, seed: int = 0) -> RunComparison:
    """Compare two runs of the store on the records that both were judged on.

    The same runs and seed give the same figures.

    Parameters
    ----------
    a, b : str
        Each a name or name@version.
    draws : int
        Of the bootstrap over groups.
    seed : int
        Of the draws.

    Raises
    ------
    StoreError
        When there is no such run, it keeps no predictions, or the two cannot be compared.
    """
    store = Store.open()
    (one, card, first), (other, card_other, second) = (_read_run(store, reference) for reference in (a, b))
    if one == other:
        raise StoreError(
            f"{a} and {b} are the same run, {one}.",
            "Name two: two versions (NAME@1 NAME@2), or two names trained on the same data; `medloupe models list`.",
        )
    return compare_evidence(first, second, runs=(one, other), cards=(card, card_other), draws=draws, seed=seed)


def _read_run(store: Store, reference: str) -> tuple[str, Mapping[str, Any], Evidence]:
    """Read a run: name@version, card and predictions."""
    if reference.endswith(".onnx"):
        raise StoreError(
            f"{reference} is a file; files carry no record of the predictions they were judged by.",
            "Compare runs of the store: NAME or NAME@VERSION; `medloupe models list` shows them.",
        )
    name, version = parse_reference(reference)
    card = store.get(name, version, report=False).card
    number = int(card["version"])
    evidence = Evidence.read(store.folder(name, number))
    if evidence is None:
        raise StoreError(
            f"{name}@{number} keeps no record of the predictions it was judged by ({FILE}): it was imported, trained"
            " before medloupe kept them, or the file is damaged.",
            "Train it again from its data, then compare.",
        )
    return f"{name}@{number}", card, evidence
