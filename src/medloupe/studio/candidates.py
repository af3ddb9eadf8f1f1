"""Look at the loop of a data set, and do in it what people of the studio ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.accounts.person import Person
from medloupe.errors import MedloupeError, StoreError, UnknownError
from medloupe.metrics.shadow import ShadowFigures, compare_answers
from medloupe.retrain.begin import start_candidate
from medloupe.retrain.conclude import conclude_candidate
from medloupe.retrain.corrections import Correction, find_fresh, list_corrections
from medloupe.retrain.due import find_unmade
from medloupe.retrain.figures import CandidateFigures, compare_candidate
from medloupe.retrain.frozen import ensure_frozen_test
from medloupe.retrain.production import read_production
from medloupe.serving.api.shadows import begin_shadow
from medloupe.serving.http.threads import run_read, run_write
from medloupe.store.candidates import PROMOTED, Candidate, Candidates, RetrainRule
from medloupe.store.dataset_nouns import StoredDataset
from medloupe.store.frozen_tests import FrozenTest, find_frozen_test
from medloupe.store.production import previous_version
from medloupe.store.shadows import Shadow
from medloupe.studio.state import Studio


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOverview:
    """The loop of a data set, from corrections to candidates.

    Attributes
    ----------
    production, previous
        The version of its model that answers, and the one that a rollback brings back; None where there is none.
    corrections, fresh, unmade
        All, and those that production has not learned; unmade: those of these that the last candidate has not, either.
    why_not
        Why nothing can be made of corrections, or "".
    """

    data: StoredDataset
    production: int | None
    previous: int | None
    frozen: FrozenTest | None
    corrections: Sequence[Correction]
    fresh: Sequence[Correction]
    unmade: Sequence[Correction]
    rule: RetrainRule
    candidates: Sequence[Candidate]
    why_not: str

    @property
    def at_work(self) -> Candidate | None:
        """The candidate that is being made."""
        return next((one for one in self.candidates if one.open), None)


def look_at_loop(studio: Studio, id: str) -> LoopOverview:
    """Look at the loop of a data set, by its id or name. Raises UnknownError where there is none."""
    data, store = studio.sets.get(id), studio.service.store
    frozen = find_frozen_test(studio.sets.engine, data.id)
    corrections = list_corrections(studio.sets, data.id, frozen)
    candidates = Candidates(studio.sets.engine)
    made = candidates.list(data.id)
    present = store.production().get(data.name, (None, ""))[0]
    fresh: list[Correction] = []
    why_not = ""
    try:
        fresh = find_fresh(corrections, read_production(store, data.name))
    except StoreError as e:
        why_not = str(e)
    return LoopOverview(
        data=data,
        production=present,
        previous=None if present is None else _find_previous(studio, data.name, present),
        frozen=frozen,
        corrections=corrections,
        fresh=fresh,
        unmade=find_unmade(studio.sets, fresh, made[0] if made and made[0].production == present else None),
        rule=candidates.rule(data.id),
        candidates=made,
        why_not=why_not,
    )


def find_candidate(studio: Studio, id: str, candidate: str) -> Candidate:
    """Find a candidate of a data set. Raises UnknownError."""
    data = studio.sets.get(id)
    found = Candidates(studio.sets.engine).get(candidate)
    if found.dataset_id != data.id:
        raise UnknownError(f"The data set {data.name} has no candidate {candidate[:60]!r}.")
    return found


def ask_for_candidate(studio: Studio, id: str, *, cause: str, by: str) -> Candidate:
    """Ask for a candidate; raises as `start_candidate`."""
    return start_candidate(studio.service.store, studio.sets, id, cause=cause, by=by)


def freeze_published(studio: Studio, name: str, *, by: str) -> None:
    """Freeze the test of a data set of which a version was just published, where it can be; else it is told later."""
    try:
        ensure_frozen_test(studio.sets, name, read_production(studio.service.store, name), by=by)
    except MedloupeError:
        return


def compare_now(studio: Studio, candidate: Candidate) -> CandidateFigures | None:
    """Hold a candidate against production; None where it is not made, or was removed."""
    if candidate.version is None:
        return None
    try:
        if candidate.figures is None:
            return conclude_candidate(studio.service.store, candidate.id)[1]
        return compare_candidate(studio.service.store, candidate)
    except StoreError:
        return None


async def promote_candidate(
    studio: Studio, id: str, candidate: str, person: Person, *, reason: str, force: bool, request_id: str
) -> Candidate:
    """Put a candidate into production, through the gate or overruling it with a reason; a second time is no error.

    Raises
    ------
    UnknownError
        There is no such candidate.
    PromotionRefusedError
        The gate refuses.
    StoreError
        It is not made yet, or was removed.
    """
    found = await run_read(find_candidate, studio, id, candidate)
    if found.version is None:
        raise StoreError("The candidate is not made yet.", "Wait for its training.")
    data = await run_read(studio.sets.get, id)
    await run_read(compare_now, studio, found)  # its figures go into the log before it is let in
    present = (await run_read(studio.service.store.production)).get(data.name, (None, ""))[0]
    if present != found.version:
        await studio.service.promote(
            data.name, found.version, person, reason=reason, force=force, request_id=request_id
        )
    elif found.decision == PROMOTED:
        return found
    return await run_write(Candidates(studio.sets.engine).decide, found.id, PROMOTED, by=person.name, reason=reason)


async def begin_comparison(
    studio: Studio, id: str, candidate: str, person: Person, requests: int, request_id: str
) -> Shadow:
    """Compare a candidate with production on live requests, or with what it was held against once it answers itself.

    Raises
    ------
    UnknownError
        There is no such candidate.
    StoreError
        It is not made yet, or two others are being compared.
    """
    found = await run_read(find_candidate, studio, id, candidate)
    if found.version is None:
        raise StoreError("The candidate is not made yet.", "Wait for its training.")
    data = await run_read(studio.sets.get, id)
    present = (await run_read(studio.service.store.production)).get(data.name, (None, ""))[0]
    other = found.production if present == found.version else found.version
    return await begin_shadow(studio.service, data.name, other, wanted=requests, by=person.name, request_id=request_id)


def look_at_shadows(studio: Studio, name: str, pair: tuple[int, int]) -> tuple[list[Shadow], dict[str, ShadowFigures]]:
    """List the comparisons of a model on live requests, with figures by id of those of two versions."""
    shadows = studio.service.shadow.shadows
    found = shadows.list(name)
    figures: dict[str, ShadowFigures] = {}
    for one in found:
        if {one.before, one.after} == set(pair):
            cases = list(shadows.cases(one))
            figures[one.id] = compare_answers(((c.site, c.before, c.after) for c in cases), (c.ms for c in cases))
    return found, figures


def _find_previous(studio: Studio, name: str, present: int) -> int | None:
    store = studio.service.store
    there = [v.version for v in store.list() if v.name == name]
    return previous_version(store.history(name), present, there)
