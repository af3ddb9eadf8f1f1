"""Serve the page on which an admin forgets a patient."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from medloupe.erasure.eraser import UnfinishedError
from medloupe.erasure.nouns import Receipt
from medloupe.errors import StoreError, UnknownError
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import eraser_of
from medloupe.serving.http.threads import run_read
from medloupe.serving.web.language import Language
from medloupe.serving.web.render import first_value, language_of, read_form, render_page

router = APIRouter(include_in_schema=False)


@router.get("/forget")
async def show(request: Request) -> Response:
    """Show the form and the receipts."""
    require(request, "admin")
    return await _render(request)


@router.post("/forget")
async def forget(request: Request) -> Response:
    """Show what there is of a patient, or delete it; the id stands in no address."""
    person = require(request, "admin")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    patient, eraser = first_value(fields, "patient"), eraser_of(request)
    lang = language_of(request)
    try:
        if first_value(fields, "do") == "go":
            done = await asyncio.to_thread(eraser.forget, patient, by=person.name)
            return await _render(request, receipt=_view(done, lang))
        found = await run_read(eraser.preview, patient)
    except UnknownError:
        return await _render(request, problem=lang.t("forget.none"), status=404)
    except UnfinishedError as e:
        return await _render(request, problem=f"{e.message} {e.hint}", status=503)
    except StoreError as e:
        return await _render(request, problem=f"{e.message} {e.hint}", status=422)
    if not any(found.counts.values()):
        return await _render(request, problem=lang.t("forget.none"), status=404)
    return await _render(request, found=_view(found, lang), patient=patient)


async def _render(request: Request, *, status: int = 200, **shown: Any) -> Response:
    eraser, lang = eraser_of(request), language_of(request)
    receipts = [_view(receipt, lang) for receipt in await run_read(eraser.receipts, 50)]
    told = {"found": None, "receipt": None, "patient": "", "problem": "", **shown}
    return render_page(request, "forget.html", status, receipts=receipts, unfinished=eraser.unfinished, **told)


def _view(receipt: Receipt, lang: Language) -> dict[str, Any]:
    """Say in words what is shown of a receipt."""
    notes = [lang.t(f"forget.{name}", n=n) for name in ("joined", "unread") if (n := getattr(receipt, name))]
    if receipt.stopped:
        notes.append(lang.t("forget.stopped", n=len(receipt.stopped)))
    if receipt.resumed:
        notes.append(lang.t("forget.resumed"))
    return {
        "id": receipt.id,
        "at": lang.date(receipt.at) if receipt.at else "",
        "by": receipt.by,
        "patient": receipt.patient,
        "counts": [(lang.t(f"forget.{name}"), lang.number(n)) for name, n in receipt.counts.items() if n],
        "versions": list(receipt.versions),
        "models": [
            {
                "name": model.name,
                "words": lang.t(
                    "forget.model_line",
                    model=f"{model.name}@{model.version}",
                    learned=lang.number(model.learned),
                    judged=lang.number(model.judged),
                ),
            }
            for model in receipt.models
        ],
        "notes": notes,
    }
