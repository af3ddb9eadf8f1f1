"""Show what could not be answered: which file, why, and what to do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from medloupe.serving.web.headline import state_word
from medloupe.serving.web.language import Language
from medloupe.serving.web.views import AnswerView

if TYPE_CHECKING:
    from medloupe.serving.http.errors import HttpError


def view_failure(file: str, error: HttpError, lang: Language, because: str = "") -> AnswerView:
    """Show a picture that could not be answered.

    Parameters
    ----------
    file
        Its name.
    error
        What went wrong.
    lang
        The language of the page.
    because
        In place of what is usually said of such an error, or "".
    """
    known = lang.has(f"failed.{error.code}")
    usual = f"failed.{error.code}_text" if known else f"error.{_status(error.status, lang)}_text"
    return AnswerView(
        key=secrets.token_hex(4),
        state="failed",
        chip=state_word("failed", lang),
        file=file,
        headline=lang.t(f"failed.{error.code}") if known else lang.t(f"error.{_status(error.status, lang)}"),
        because=because or lang.t(usual),
        detail=f"{error.message} {error.hint}".strip() if error.code == "unreadable" else "",
    )


def _status(status: int, lang: Language) -> int:
    return status if lang.has(f"error.{status}") else 400 if status < 500 else 500
