"""Turn errors into HTTP: one exception for all routes, and how the others become it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.errors import (
    ClinicalError,
    ExtraError,
    ImageError,
    ImageTooLargeError,
    MedloupeError,
    ModelFileError,
    NotAnEcgError,
    NotAnImageError,
    PromotionRefusedError,
    SignalError,
    StorageError,
    StoreError,
    UnknownError,
)


class HttpError(Exception):
    """An answer that is no success.

    Attributes
    ----------
    status : int
        Of HTTP.
    code : str
        For programs.
    message, hint : str
        For people: what went wrong, and what to do or "".
    headers : dict
        To be sent along.
    """

    def __init__(self, status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = _sendable(message)
        self.hint = _sendable(hint)
        self.headers = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


def _sendable(text: str) -> str:
    """Replace halves of characters, which texts of clients may hold and which cannot be sent back."""
    return text.encode("utf-8", "replace").decode()


_STATUS: tuple[tuple[type[MedloupeError], int, str], ...] = (  # the first that fits counts
    (NotAnImageError, 415, "not_an_image"),
    (NotAnEcgError, 415, "not_an_ecg"),
    (ImageTooLargeError, 413, "image_too_large"),
    (SignalError, 422, "unreadable"),
    (ImageError, 422, "unreadable_image"),
    (ClinicalError, 422, "invalid_input"),
    (UnknownError, 404, "not_found"),
    (PromotionRefusedError, 409, "promotion_refused"),
    (ExtraError, 501, "not_installed"),
    (ModelFileError, 503, "model_unavailable"),
    (StorageError, 503, "storage_unavailable"),
    (StoreError, 409, "not_possible"),
    (MedloupeError, 422, "not_possible"),
)


def as_http(error: MedloupeError) -> HttpError:
    """Turn an error raised on purpose into its HTTP form."""
    status, code = next((s, c) for kind, s, c in _STATUS if isinstance(error, kind))
    headers = {"Retry-After": "5"} if status == 503 else {}
    return HttpError(status, code, error.message, error.hint, headers)
