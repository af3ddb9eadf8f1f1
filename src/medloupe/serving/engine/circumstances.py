"""Say under which circumstances a question is asked: where, and whether in a pilot, in which answers are not shown."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medloupe.errors import PilotError
from medloupe.model.prediction import withhold
from medloupe.store.chain import keyed_hash
from medloupe.store.pilots import Pilot, Pilots
from medloupe.store.review_nouns import LONGEST_PATIENT

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.serving.engine.answer import Answer

SITE: ContextVar[str] = ContextVar("site", default="")
"""Where a request says that it comes from (header Medloupe-Site), or ""."""
PATIENT: ContextVar[str] = ContextVar("patient", default="")
"""Of whom a request says that its pictures are (header Medloupe-Patient), or ""; it is kept only as a keyed hash."""
_SITE = re.compile(r"[^\W_][\w .,()/-]{0,63}")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where a question is asked, or ""; the id of the pilot in which it is, or None; whose it is, hashed, or None."""

    site: str = ""
    pilot: str | None = None
    patient: str | None = None

    def show(self, answer: Answer) -> Answer:
        """Give what is shown of an answer: in a pilot nothing of what it says."""
        if self.pilot is None:
            return answer
        p = answer.prediction
        hidden = replace(withhold(p.model, p.version, p.file), timings=p.timings)
        return replace(answer, prediction=hidden, evidence={}, places={}, foreign=0.0, drawing="")


ORDINARY = Circumstances()


def read_site(text: str) -> str:
    """Read the name of a site as a request gives it; "" for what cannot be one."""
    return text.strip() if _SITE.fullmatch(text.strip()) else ""


def read_patient(header: bytes) -> str | None:
    """Read a patient's id as a request gives it: "" where it gives none, None for what cannot be one."""
    try:
        told = header.decode().strip()
    except UnicodeDecodeError:
        told = header.decode("latin-1").strip()
    return told if len(told) <= LONGEST_PATIENT and told.isprintable() else None


class PilotSwitch:
    """Knows whether a pilot runs; whoever starts or ends one in another process is heard of by `refresh`.

    Parameters
    ----------
    engine
        Of the database.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self.pilots = Pilots(engine)
        self.running: Pilot | None = self.pilots.running()

    def refresh(self) -> None:
        """Look whether a pilot runs; answers of one that ended meanwhile are shown. Raises StorageError."""
        before, self.running = self.running, self.pilots.running()
        if before is not None and (self.running is None or self.running.id != before.id):
            self.pilots.show_ended()

    def circumstances(self) -> Circumstances:
        """Give those of the request that is being answered."""
        whose = PATIENT.get()
        patient = keyed_hash(self._engine, whose) if whose else None
        return Circumstances(SITE.get(), None if self.running is None else self.running.id, patient)

    def refuse(self, what: str) -> None:
        """Raise PilotError while a pilot runs. what: that which would show answers, as a sentence begins."""
        if self.running is not None:
            raise PilotError(f"{what} while a pilot runs.", "An admin can end it: /watch/pilot, or medloupe pilot end.")
