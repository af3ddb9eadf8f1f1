"""Serve the route that finds a picture in a photograph without asking a check-up, and describe its JSON."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from medloupe.imaging.photo import PHOTO_MODES
from medloupe.serving.access.auth import require
from medloupe.serving.context import admission_of, find_in_photograph
from medloupe.serving.http.intake import JsonRoute, read_upload

router = APIRouter(route_class=JsonRoute)

PHOTO_FIELDS: dict[str, Any] = {
    "photo": {
        "type": "string",
        "enum": list(PHOTO_MODES),
        "description": "Whether it is a photograph of a screen, film or print, out of which the picture is cut; `auto`"
        " finds out. Also in the address.",
    },
    "corners": {
        "type": "string",
        "description": "Of a photograph: the picture's corners as x0,y0,…,x3,y3 in pixels, upright, from the upper left"
        " clockwise. Also in the address.",
    },
}
"""Fields of a form, for OpenAPI."""

CROPPED_FIELD: dict[str, Any] = {
    "type": "boolean",
    "description": "Whether the picture is cropped as those were that the check-up learned from; one that looks at"
    " crops alone answers nothing else. Also in the address.",
}
"""The same of a field `cropped`."""


class PhotoOut(BaseModel):
    """Where in a photograph the picture lies."""

    found: bool
    corners: list[list[float]] | None = Field(
        description="x and y in pixels of the picture as given, from the upper left clockwise; null where not found."
    )
    confidence: float = Field(description="That they are right, 0 to 1; 1 of given ones.")
    given: bool = Field(description="Whether they came with the request.")


class FoundPhotoOut(PhotoOut):
    """The same, with the size of the picture as given, upright, in pixels."""

    width: int
    height: int


@router.post(
    "/api/v1/photo",
    response_model=FoundPhotoOut,
    summary="Find a picture in a photograph of it",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["image"],
                        "properties": {"image": {"type": "string", "format": "binary"}, **PHOTO_FIELDS},
                    }
                },
                "image/*": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def find(request: Request) -> dict[str, Any]:
    """Answer nothing else, and remember nothing.

    `found` is false where the picture is not taken for a photograph, or its corners were not found.
    """
    require(request, "clinician")
    with admission_of(request).room() as room:
        return await find_in_photograph(request, await read_upload(request, room))
