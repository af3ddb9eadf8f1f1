"""Serve the JSON routes that forget a patient: what there is, its deletion, and the receipts."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from medloupe.erasure.nouns import LONGEST_PATIENT, Receipt
from medloupe.serving.access.auth import require
from medloupe.serving.context import eraser_of
from medloupe.serving.http.intake import JsonRoute
from medloupe.serving.http.threads import run_read

router = APIRouter(route_class=JsonRoute)


class PatientIn(BaseModel):
    """Who is to be forgotten."""

    model_config = ConfigDict(extra="forbid")
    patient: str = Field(min_length=1, max_length=LONGEST_PATIENT, description="The id, as the data has it.")


class TaughtOut(BaseModel):
    """A version of a model that learned from what is gone."""

    name: str
    version: int
    learned: int = Field(description="How many of the pictures it was given.")
    judged: int = Field(description="How many of the predictions behind its figures were of them, now taken out.")
    left: int | None = Field(description="How many predictions are left.")


class ReceiptOut(BaseModel):
    """What was deleted where."""

    id: str = Field(description='Of the deletion; "" of a preview.')
    patient: str = Field(description="A hash of the id, under the server's key.")
    at: str
    by: str
    counts: dict[str, int]
    versions: list[str] = Field(description="Versions of data sets with empty places, as NAME@NUMBER.")
    models: list[TaughtOut]
    stopped: list[str] = Field(description="Trainings that were stopped.")
    joined: int = Field(description="Pictures that were said to be of the same patient, under another id.")
    unread: int = Field(description="Files that are still arriving, of which nobody knows yet whose they are.")
    resumed: bool


class ReceiptsOut(BaseModel):
    """Receipts, the newest first."""

    receipts: list[ReceiptOut]
    unfinished: int = Field(description="Deletions that the server goes on with.")


@router.post("/api/v1/forget/preview", summary="What is kept of a patient")
async def preview(request: Request, wish: PatientIn) -> ReceiptOut:
    """Count what a deletion would take; nothing is deleted."""
    require(request, "admin")
    return _describe(await run_read(eraser_of(request).preview, wish.patient))


@router.post("/api/v1/forget", summary="Forget a patient")
async def forget(request: Request, wish: PatientIn) -> ReceiptOut:
    """Delete all that is kept of a patient, for good. 404 where there is nothing. It may take a minute."""
    person = require(request, "admin")
    return _describe(await asyncio.to_thread(eraser_of(request).forget, wish.patient, by=person.name))


@router.get("/api/v1/forget", summary="Receipts of deletions")
async def receipts(request: Request) -> ReceiptsOut:
    """List what was deleted of patients, from the audit log."""
    require(request, "admin")
    eraser = eraser_of(request)
    found = await run_read(eraser.receipts)
    return ReceiptsOut(receipts=[_describe(receipt) for receipt in found], unfinished=eraser.unfinished)


def _describe(receipt: Receipt) -> ReceiptOut:
    told: dict[str, Any] = receipt.as_json()
    return ReceiptOut(**told)
