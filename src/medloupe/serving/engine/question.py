"""Define what is asked of a check-up: the files of one example and what came with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from medloupe.ecg.recording_files import Source, join_bytes
from medloupe.imaging.facts import Fact
from medloupe.imaging.photo import PhotoRequest, read_photo_request
from medloupe.imaging.sandbox.processpool import Cancellation
from medloupe.serving.engine.sending import FIELD, read_shrunk


@dataclass(frozen=True, kw_only=True)
class Question:
    """One picture or ECG to be answered.

    Attributes
    ----------
    data : bytes or Mapping
        The bytes of one file, or of the files of one ECG by name.
    file : str
        Its name, as it was sent.
    heatmap : bool
        Whether to say what each place adds to each label.
    preview : bool
        Whether to make the picture for a web page.
    fields : Mapping
        The fields of the form, among them what is given beside the example.
    cancellation : Cancellation or None
        By which reading it is given up where nobody waits for the answer any more.
    """

    data: Source
    file: str = ""
    heatmap: bool = False
    preview: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    cancellation: Cancellation | None = None

    @cached_property
    def photo(self) -> PhotoRequest:
        """Whether a picture may be a photograph of one, by the fields `photo` and `corners`. Raises CornersError."""
        return read_photo_request(self.fields.get("photo"), self.fields.get("corners"))

    @property
    def cropped(self) -> bool:
        """Whether the picture is said to be a crop, by the field `cropped`."""
        return self.fields.get("cropped", "").strip().lower() in ("true", "1", "yes", "on")

    def tell(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        """Put what was done to the picture before it was sent before what was found while it was decoded."""
        return (*read_shrunk(self.fields.get(FIELD)), *facts)

    @cached_property
    def digest(self) -> str:
        """The sha256 of all bytes sent."""
        return hashlib.sha256(join_bytes(self.data)).hexdigest()
