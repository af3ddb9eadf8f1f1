"""Answer with a file, of which a client may ask for a part to go on where a download broke off."""

from __future__ import annotations

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

from medloupe.serving.http.errors import HttpError


class Download(FileResponse):
    """A file as an answer, whose ranges go wrong as everything else does.

    What is no valid Range is ignored (source: RFC 9110, 14.2).

    Raises
    ------
    HttpError
        416 for a range behind its end.
    """

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []  # all of it
        except RangeNotSatisfiable as e:
            raise HttpError(
                416,
                "no_such_range",
                f"The file has {file_size:,} bytes.",
                "Ask for it without a Range.",
                {"Content-Range": f"bytes */{file_size}"},
            ) from e
