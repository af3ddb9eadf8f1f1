"""Keep what people say of answers, in labels that the check-up has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from medloupe.accounts.person import Person
from medloupe.errors import MedloupeError, UnknownError, did_you_mean
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.journal import Journal
from medloupe.serving.http.threads import run_read


async def keep_feedback(
    journal: Journal,
    find_checkup: Callable[[str, int | None], Awaitable[CheckUp]],
    id: str,
    person: Person,
    right: bool | None,
    labels: Sequence[str] | None,
) -> None:
    """Keep what a person says of an answer.

    Parameters
    ----------
    journal
        In which it stands.
    find_checkup
        Gives a version by name and number; raises UnknownError where it is gone.
    id
        Of the answer.
    person
        Whose it is.
    right
        Whether it was right; None where that is not said.
    labels
        What is right, where that is said.

    Raises
    ------
    UnknownError
        There is no such answer of this person.
    MedloupeError
        The answer cannot have such labels.
    """
    entry = await run_read(journal.get, id, person)
    if labels and entry.model:
        try:
            known = (await find_checkup(entry.model, entry.version)).answered_labels
        except UnknownError:  # removed since
            known = tuple(entry.answer["probabilities"])
        if wrong := [name for name in labels if name not in known]:
            raise MedloupeError(
                f"{entry.model} has no label {wrong[0]!r}; it has: {', '.join(known[:20])}.",
                did_you_mean(wrong[0], known),
            )
    await journal.feedback(id, person, right, labels)
