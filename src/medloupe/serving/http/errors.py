"""Turn errors into HTTP: one exception for all routes, and how the others become it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.errors import (
    BusyError,
    ClinicalError,
    CornersError,
    DecoderLostError,
    ExtraError,
    ImageError,
    ImageTooLargeError,
    KeyReusedError,
    MedloupeError,
    ModelFileError,
    NotAnEcgError,
    NotAnImageError,
    PilotError,
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
    inner : bool
        Whether the texts may name places, hosts or people of this server, which are for those who look after it.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        inner: bool = False,
    ):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = _sendable(message)
        self.hint = _sendable(hint)
        self.headers = dict(headers or {})
        self.inner = inner

    def for_outsiders(self) -> HttpError:
        """Return what may be said to anybody: the same, without what names places, hosts or people of this server."""
        if not self.inner:
            return self
        return HttpError(self.status, self.code, *_PLAIN.get(self.code, _PLAIN["other"]), self.headers)

    def as_json(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"error": {"code": self.code, "message": self.message, "hint": self.hint}}


def _sendable(text: str) -> str:
    """Replace halves of characters, which texts of clients may hold and which cannot be sent back."""
    return text.encode("utf-8", "replace").decode()


_TELL = "Tell whoever looks after the server."
_PLAIN = {
    "busy": ("The server's store or database is busy.", "Try again in a moment."),
    "storage_unavailable": (
        "The server's storage cannot be used at this moment.",
        _TELL,
    ),
    "model_unavailable": ("A model of the server cannot be used.", _TELL),
    "not_found": ("There is no such thing.", "/ is the first page."),
    "other": ("That is not possible here.", _TELL),
}
_INNER = (StorageError, StoreError, ModelFileError, ExtraError)  # whose texts name files and databases
_STATUS: tuple[tuple[type[MedloupeError], int, str], ...] = (  # the first that fits counts
    (NotAnImageError, 415, "not_an_image"),
    (NotAnEcgError, 415, "not_an_ecg"),
    (ImageTooLargeError, 413, "image_too_large"),
    (SignalError, 422, "unreadable"),
    (CornersError, 422, "bad_corners"),
    (ImageError, 422, "unreadable_image"),
    (ClinicalError, 422, "invalid_input"),
    (UnknownError, 404, "not_found"),
    (KeyReusedError, 422, "key_reused"),
    (PilotError, 409, "pilot"),
    (PromotionRefusedError, 409, "promotion_refused"),
    (ExtraError, 501, "not_installed"),
    (ModelFileError, 503, "model_unavailable"),
    (DecoderLostError, 503, "decoder_lost"),
    (BusyError, 503, "busy"),
    (StorageError, 503, "storage_unavailable"),
    (StoreError, 409, "not_possible"),
    (MedloupeError, 422, "not_possible"),
)


def as_http(error: MedloupeError) -> HttpError:
    """Turn an error raised on purpose into its HTTP form."""
    status, code = next((s, c) for kind, s, c in _STATUS if isinstance(error, kind))
    headers = {"Retry-After": "5"} if status == 503 else {}
    return HttpError(status, code, error.message, error.hint, headers, inner=isinstance(error, _INNER))
