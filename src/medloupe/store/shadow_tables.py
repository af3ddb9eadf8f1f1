"""Define the tables of shadow comparisons: what another version would have answered to what was asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from medloupe.store.tablebase import Base


class ShadowRow(Base):
    """A comparison of two versions of a model on live requests: one answers, the other answers the same unseen.

    Attributes
    ----------
    before, after
        The versions, whichever of them is shown.
    wanted
        Requests after which it ends by itself.
    ended, ended_by
        When, and by whom; None while it runs. It ends by "count" once all requests are compared.
    compared, dropped, failed
        Requests that both answered, that were left out as the server was busy, and that the other could not answer.
    """

    __tablename__ = "shadows"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), index=True)
    before: Mapped[int]
    after: Mapped[int]
    wanted: Mapped[int]
    started: Mapped[str] = mapped_column(String(32), index=True)
    started_by: Mapped[str] = mapped_column(String(64))
    ended: Mapped[str | None] = mapped_column(String(32))
    ended_by: Mapped[str | None] = mapped_column(String(64))
    compared: Mapped[int] = mapped_column(default=0, server_default="0")
    dropped: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")


class ShadowAnswerRow(Base):
    """What the other version says of a request; it goes with the answer that was shown.

    version: the one that said it. answer: state, prediction, flagged and probabilities. ms: that it took.
    """

    __tablename__ = "shadow_answers"

    prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True)
    shadow_id: Mapped[str] = mapped_column(ForeignKey("shadows.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    ms: Mapped[int | None]
