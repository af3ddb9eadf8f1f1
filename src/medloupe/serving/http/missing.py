"""Say why a request brought no picture or ECG: each usual mistake of programs and people in its own words."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence

from medloupe.serving.http.errors import HttpError

_ASK = "curl -F image=@scan.png URL"
_LOOKED_AT = 4096  # characters of a text, in telling what it is
_FEWEST = 64  # characters of base64; a shorter text is some word
_NAME = re.compile(r"[^\n\r\0]{1,250}\.[A-Za-z0-9]{1,8}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")


def no_image(message: str, hint: str) -> HttpError:
    """Make the error of a request without a picture or ECG (422), in these words."""
    return HttpError(422, "no_image", message, hint)


def empty_body() -> HttpError:
    """Make the error of a body without a byte."""
    return no_image("The body of the request is empty.", "Send the image as the whole body, or as the part `image`.")


def urlencoded_body() -> HttpError:
    """Make the error of a form of a kind that cannot carry files."""
    return no_image(
        "The form is application/x-www-form-urlencoded, which carries no files.",
        f'Send it as multipart/form-data: {_ASK}; in a page, <form enctype="multipart/form-data">.',
    )


def explain_form(
    texts: Sequence[tuple[str, str]], files: Sequence[tuple[str, str, int]], taken: Sequence[str]
) -> HttpError:
    """Make the error of a multipart form in which no picture or ECG was found.

    Parameters
    ----------
    texts
        Name and text of each part that came without a file name.
    files
        Name, file name and bytes of each part that is a file.
    taken
        Names of parts that are read as pictures or ECGs.
    """
    for name, file, size in files:
        if name in taken and not size:
            if not file:
                return _none_chosen(name)
            message = f"The part `{name}` is an empty file ({file[:80]})."
            return HttpError(415, "not_an_image", message, "Choose one that holds something.")
    if files:
        names = ", ".join(f"`{name[:40]}`" for name in dict.fromkeys(name for name, _, _ in files))
        return no_image(f"The file came as the part {names}; expected `image`.", f"Name it `image`: {_ASK}.")
    if found := next(((name, text) for name, text in texts if name in taken), None):
        return _explain_text(*found)
    if texts:
        names = ", ".join(f"`{name[:40]}`" for name in list(dict.fromkeys(name for name, _ in texts))[:5])
        return no_image(f"The form has {names} and no part `image`.", f"Send the file as the part `image`: {_ASK}.")
    return no_image("The form is empty: it has no part at all.", f"Send the file as the part `image`: {_ASK}.")


def _none_chosen(name: str) -> HttpError:
    return no_image(f"The part `{name}` is empty: no file was chosen.", f"Choose a file; with curl: {_ASK}.")


def _explain_text(name: str, text: str) -> HttpError:
    """Say what a part is that should be a file and came as text."""
    if not text.strip():
        return _none_chosen(name)
    if text[:5].lower() == "data:" or _is_base64(text):
        return no_image(
            f"The part `{name}` is text in base64, not a file.",
            f"Decode it, and send the bytes of the file with a file name: {_ASK}.",
        )
    if _NAME.fullmatch(text.strip()[:300]):
        return no_image(
            f"The part `{name}` is the name of a file ({text.strip()[:80]}), not the file itself.",
            f"Send what the file holds, with curl by the sign @: {_ASK}.",
        )
    return no_image(
        f"The part `{name}` came without a file name, so it was read as text.",
        'Give it one: Content-Disposition: form-data; name="image"; filename="scan.png".',
    )


def _is_base64(text: str) -> bool:
    begun = "".join(text[:_LOOKED_AT].split())
    if len(begun) < _FEWEST or not _BASE64.fullmatch(begun):
        return False
    try:
        b64decode(begun[: len(begun) // 4 * 4].replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def explain_other_body(kind: str) -> HttpError:
    """Make the error of a body of a kind that is not read (415).

    Parameters
    ----------
    kind
        Its Content-Type.
    """
    said = kind.partition(";")[0][:80]
    hint = f"{_ASK}, or curl --data-binary @scan.png -H 'Content-Type: image/png' URL"
    if said.endswith("json"):
        hint = f"JSON with a file in base64 is read at /v2/models/NAME/infer only (datatype BYTES); here: {hint}"
    return HttpError(
        415,
        "unsupported_media_type",
        f"The body is {said!r}; expected multipart/form-data with a part `image`, or an image.",
        hint,
    )
