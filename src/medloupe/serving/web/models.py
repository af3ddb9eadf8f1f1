"""Serve the pages of models: versions, two compared, promotion and roll-back, passport and file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import Response

from medloupe.errors import MedloupeError, PromotionRefusedError, StoreError, UnknownError
from medloupe.report.pages import render
from medloupe.serving.access.auth import check_csrf, require
from medloupe.serving.context import service_of
from medloupe.serving.engine.checkup import readable_title
from medloupe.serving.engine.service import Service
from medloupe.serving.http.download import Download
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.threads import run_file, run_read
from medloupe.serving.web.emblem import draw_emblem
from medloupe.serving.web.guard import show_each
from medloupe.serving.web.language import Language
from medloupe.serving.web.render import first_value, language_of, read_form, redirect_to, render_page
from medloupe.starter import shipped
from medloupe.store.models import VersionInfo

router = APIRouter(include_in_schema=False)
Name = Annotated[str, InPath(max_length=64)]
Number = Annotated[int, InPath(ge=1, lt=2**31)]
Side = Annotated[int | None, Query(ge=1, lt=2**31)]
# A report may have come from elsewhere: it runs without this server's origin, and loads nothing.
_PASSPORT_CSP = (
    "sandbox allow-scripts allow-popups; default-src 'none'; img-src data:; style-src 'unsafe-inline';"
    " script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/models")
async def models(request: Request) -> Response:
    """Show all versions of all models."""
    require(request, "viewer")
    service, language = service_of(request), language_of(request)
    versions = await run_read(service.store.list)
    names = sorted({v.name for v in versions}, key=lambda name: readable_title(name).lower())
    families, failed = show_each(
        ((name, name) for name in names), lambda name: _family(service, name, versions, language)
    )
    broken = {**dict.fromkeys(failed, ""), **service.catalog.broken}
    return render_page(request, "models.html", tab="models", families=families, broken=sorted(broken.items()))


@router.get("/models/{name}")
async def model(request: Request, name: Name, a: Side = None, b: Side = None, promoted: Side = None) -> Response:
    """Show one model: its versions, two of them side by side, what happened, and how to change what answers.

    Parameters
    ----------
    request
        The request.
    name
        Of the model.
    a, b
        The versions to show side by side.
    promoted
        The version that was just put into production.
    """
    language = language_of(request)
    done = language.t("models.promoted", version=str(promoted)) if promoted else ""
    return await _render_model(request, name, a=a, b=b, done=done)


@router.post("/models/{name}/promote")
async def promote(request: Request, name: Name) -> Response:
    """Put a version into production; where the gate refuses, the page says why and how to overrule it."""
    person = require(request, "admin")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    version = _number(first_value(fields, "version"))
    try:
        await service_of(request).promote(
            name,
            version,
            person,
            reason=first_value(fields, "reason")[:2000],
            force=first_value(fields, "force") == "yes",
            request_id=request.state.request_id,
        )
    except PromotionRefusedError as e:
        refused = {"words": e.comparison.words, "version": version}
        return await _render_model(request, name, refused=refused, status=409)
    return redirect_to(request, f"/models/{name}?promoted={version}")


@router.post("/models/{name}/rollback")
async def rollback(request: Request, name: Name) -> Response:
    """Go back to the version that answered before."""
    person = require(request, "admin")
    fields = await read_form(request)
    check_csrf(request, first_value(fields, "csrf"))
    try:
        version = await service_of(request).rollback(
            name, person, reason=first_value(fields, "reason")[:2000], request_id=request.state.request_id
        )
    except UnknownError:
        raise
    except StoreError as e:  # there is nothing to go back to
        raise HttpError(409, "no_version_before", e.message, e.hint) from e
    return redirect_to(request, f"/models/{name}?promoted={version}")


@router.get("/models/{name}/{version}/passport")
async def passport(request: Request, name: Name, version: Number) -> Response:
    """Serve the report of a version, as it was written when it was trained."""
    require(request, "viewer")
    path = await run_read(service_of(request).file, name, version, "report.html")
    return Download(path, media_type="text/html", headers={"Content-Security-Policy": _PASSPORT_CSP})


@router.get("/models/{name}/passport")
async def shipped_passport(request: Request, name: Name) -> Response:
    """Serve the report of a check-up that comes with the package, made from its card."""
    require(request, "viewer")
    page = await run_file(render_shipped, name)
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": _PASSPORT_CSP})


@lru_cache(maxsize=32)
def render_shipped(name: str) -> str:
    """Render the report of a shipped check-up.

    Raises
    ------
    UnknownError
        No check-up of that name is offered.
    """
    if name not in shipped.list_offered():
        raise UnknownError(f"No check-up {name!r} comes with medloupe.", "/ shows what there is.")
    return render({"card": dict(shipped.load_shipped(name).card)})


@router.get("/models/{name}/{version}/model.onnx")
async def download(request: Request, name: Name, version: Number) -> Response:
    """Serve the self-contained model file."""
    if not require(request, "viewer").may("admin"):
        service_of(request).pilot.refuse("Models, which answer anywhere, are not given")
    path = await run_read(service_of(request).file, name, version, "model.onnx")
    return Download(path, media_type="application/octet-stream", filename=f"{name}-{version}.onnx")


def passport_path(service: Service, name: str, version: int | None) -> str:
    """Return where the passport of a version is shown, or "" where it has none; version: None of a shipped one."""
    if version is None:
        return f"/models/{name}/passport"
    if not (service.store.folder(name, version) / "report.html").is_file():
        return ""
    return f"/models/{name}/{version}/passport"


async def _render_model(
    request: Request,
    name: str,
    *,
    a: int | None = None,
    b: int | None = None,
    done: str = "",
    refused: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    person = require(request, "viewer")
    service, language = service_of(request), language_of(request)
    versions = [v for v in await run_read(service.store.list) if v.name == name]
    if not versions:
        raise UnknownError(f"There is no model {name!r}.", "/models lists what there is.")
    changes = await run_read(service.store.history, name)
    family = _family(service, name, versions, language)
    sides: list[VersionInfo] = []
    rows: list[dict[str, Any]] = []
    comparison = None
    if a and b:
        sides = [v for wanted in (a, b) for v in versions if v.version == wanted]
        if len(sides) < 2:
            raise UnknownError(f"{name} has no such version.", "/models lists what there is.")
        cards = [await run_read(service.card, name, v.version) for v in sides]
        rows = _rows(cards, language)
        if a != b:
            comparison = _comparison(await run_read(service.store.compare, name, a, b), language)
    present = next((v.version for v in versions if v.production), versions[0].version)
    other = next((v.version for v in reversed(versions) if v.version != present), present)
    return render_page(
        request,
        "model.html",
        status,
        tab="models",
        family={**family, "a": a or other, "b": b or present},
        sides=sides,
        side_rows=rows,
        comparison=comparison,
        changes=[_change(c, language) for c in reversed(changes)],
        may_change=person.may("admin"),
        done=done,
        refused=refused,
    )


def _family(service: Service, name: str, versions: Sequence[VersionInfo], language: Language) -> dict[str, Any]:
    """Describe a model and its versions, the newest first."""
    own = [v for v in reversed(versions) if v.name == name]
    present = next((v.version for v in own if v.production), 0)
    return {
        "name": name,
        "title": readable_title(name),
        "emblem": draw_emblem(name),
        "versions": [_version(service, v, present, language) for v in own],
        "promotable": [v.version for v in own if not v.production],
    }


def _version(service: Service, v: VersionInfo, present: int, language: Language) -> dict[str, Any]:
    onnx = service.store.folder(v.name, v.version) / "model.onnx"
    size = onnx.stat().st_size if onnx.is_file() else 0
    return {
        "version": v.version,
        "production": v.production,
        "candidate": v.version > present,
        "auc": _figure(v.auc, language),
        "created": language.date(v.created),
        "passport": passport_path(service, v.name, v.version),
        "onnx": f"/models/{v.name}/{v.version}/model.onnx" if size else "",
        "size": language.number(size / 1e6, 1),
    }


def _figure(figure: Mapping[str, Any] | None, language: Language, digits: int = 3) -> str:
    """Write a METRIC as "0.934 (0.868–0.967)", or a dash."""
    value, low, high = ((figure or {}).get(k) for k in ("value", "low", "high"))
    if value is None:
        return "–"
    shown = language.number(value, digits)
    if low is None or high is None:
        return shown
    return f"{shown} ({language.number(low, digits)}–{language.number(high, digits)})"


_ROWS = (("row_auc", "auc"), ("row_accuracy", "balanced_accuracy"), ("row_calibration", "ece"))
_BOX_ROWS = (
    ("row_map50", "map50"),
    ("row_sensitivity", "sensitivity"),
    ("row_false_marks", "false_marks"),
    ("row_calibration", "ece"),
)


def _rows(cards: Sequence[Mapping[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Return what stands side by side for two versions."""

    def row(key: str, cell: Any) -> dict[str, Any]:
        return {"title": language.t(f"models.{key}"), "cells": [cell(c) for c in cards]}

    def metric(key: str) -> Any:
        return lambda c: _figure((c.get("metrics") or {}).get(key), language)

    def scheme(c: Mapping[str, Any]) -> str:
        name = (c.get("split") or {}).get("scheme") or ""
        return language.t(f"models.{name}") if language.has(f"models.{name}") else name or "–"

    def images(c: Mapping[str, Any]) -> str:
        count = (c.get("data") or {}).get("labelled")
        return "–" if count is None else language.number(count)

    def adapted(c: Mapping[str, Any]) -> str:
        said = c.get("adapted") or {}
        return f"{said.get('data')} ({language.number(said.get('n') or 0)})" if said else "–"

    def erased(c: Mapping[str, Any]) -> str:
        said = c.get("erased") or {}
        return language.number(said.get("judged") or 0)

    of_boxes = any(c.get("task") == "detection" for c in cards)
    return [
        *(row(name, metric(figure)) for name, figure in (_BOX_ROWS if of_boxes else _ROWS)),
        row("row_images", images),
        row("row_judged", scheme),
        *([row("row_adapted", adapted)] if any(c.get("adapted") for c in cards) else []),
        *([row("row_erased", erased)] if any(c.get("erased") for c in cards) else []),
        row("row_labels", lambda c: ", ".join(c["labels"][:20])),
    ]


def _comparison(c: Any, language: Language) -> dict[str, Any]:
    """Describe a gate.Comparison in words."""
    pair = {"a": str(c.candidate), "b": str(c.production)}
    judged = c.judged
    if judged is None:
        return {"passed": False, "verdict": language.t("models.not_comparable", **pair), "lines": [c.why_not]}

    def signed(x: float) -> str:
        return ("+" if x >= 0 else "−") + language.number(abs(x), 3)

    return {
        "passed": c.passed,
        "verdict": language.t("models.passed" if c.passed else "models.not_passed", **pair),
        "lines": [
            language.t("models.on", records=c.records, groups=c.groups),
            language.t(
                "models.auc_line" if c.map50 is None else "models.map50_line",
                a=language.number(judged.candidate, 3),
                b=language.number(judged.production, 3),
                difference=signed(judged.difference),
                low=signed(judged.low),
                margin=language.number(c.margin, 2),
            ),
            *([language.t("models.erased_line", n=c.erased)] if c.erased else []),
        ],
    }


def _change(c: Any, language: Language) -> dict[str, Any]:
    what = language.t(f"models.kind_{c.kind}", version=str(c.version))
    return {
        "at": language.date(c.at),
        "what": f"{what} ({language.t('models.forced')})" if c.forced else what,
        "actor": c.actor,
        "reason": c.reason,
    }


def _number(text: str) -> int:
    """Read a version number from a form.

    Raises
    ------
    MedloupeError
        It is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 2**31):
        raise MedloupeError(f"{text[:20]!r} is no version number.", "Choose one from the list.")
    return int(text)
