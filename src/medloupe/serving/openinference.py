"""The Open Inference Protocol v2 over HTTP, so that its clients (tritonclient, KServe) work unchanged.

The input `image` takes pixels, UINT8 [N, height, width, 3] RGB of any size (others than the network's are fitted), or
image files, BYTES [N]. Beside the outputs of the exported file there are `prediction`, the announced labels, and
`refused`, why a picture was not judged ("" where it was).
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from medloupe import __version__
from medloupe.images import fit
from medloupe.records import Prediction
from medloupe.serving import tensors
from medloupe.serving.api import FAILURES, admission, note, service_of
from medloupe.serving.auth import require
from medloupe.serving.checkup import CheckUp
from medloupe.serving.errors import HttpError
from medloupe.serving.intake import MAX_IMAGES, body
from medloupe.serving.service import Answer, Service


class Failure(BaseModel):
    """The body of every answer that is no success: what went wrong and what to do."""

    error: str


router = APIRouter(
    prefix="/v2",
    tags=["Open Inference Protocol v2"],
    responses={status: {**said, "model": Failure} for status, said in FAILURES.items()},
)
Name = Annotated[str, InPath(max_length=64)]
VersionText = Annotated[str, InPath(max_length=10)]
_TEXTS = ("prediction", "refused")


@router.get("", summary="Server metadata")
async def metadata() -> dict[str, Any]:
    """Name, version and the extensions it speaks."""
    return {"name": "medloupe", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", summary="Liveness")
async def live() -> dict[str, Any]:
    """Always, while the process answers."""
    return {"live": True}


@router.get("/health/ready", summary="Readiness")
async def ready(request: Request) -> JSONResponse:
    """Not while it is shutting down."""
    is_ready = not admission(request).draining
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


@router.get("/models/{name}", summary="Model metadata")
async def model(request: Request, name: Name) -> dict[str, Any]:
    """Inputs and outputs of the version in production."""
    return await _described(request, name, "")


@router.get("/models/{name}/versions/{version}", summary="Metadata of a version")
async def model_version(request: Request, name: Name, version: VersionText) -> dict[str, Any]:
    """Inputs and outputs."""
    return await _described(request, name, version)


async def _described(request: Request, name: str, version: str) -> dict[str, Any]:
    require(request, "viewer")
    checkup = await _find(request, name, version)
    k, size = len(checkup.labels), checkup.size
    outputs: list[tuple[str, str, list[int]]] = [
        ("probabilities", "FP32", [-1, k]),
        ("logits", "FP32", [-1, k]),
        ("embedding", "FP32", [-1, -1]),
        ("heatmap", "FP32", [-1, k, -1, -1]),
        ("prediction", "BYTES", [-1]),
        ("refused", "BYTES", [-1]),
    ]
    return {
        "name": name,
        "versions": [str(checkup.version or 1)],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, size, size, 3]}],
        "outputs": [{"name": n, "datatype": t, "shape": s} for n, t, s in outputs],
    }


@router.get("/models/{name}/ready", summary="Model readiness")
async def model_ready(request: Request, name: Name) -> dict[str, Any]:
    """200 when it answers."""
    require(request, "viewer")
    return {"name": name, "version": (await _find(request, name, "")).version, "ready": True}


@router.get("/models/{name}/versions/{version}/ready", summary="Readiness of a version")
async def version_ready(request: Request, name: Name, version: VersionText) -> dict[str, Any]:
    """200 when it answers."""
    require(request, "viewer")
    return {"name": name, "version": (await _find(request, name, version)).version, "ready": True}


_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "properties": {"inputs": {"type": "array", "items": {"type": "object"}}},
                }
            }
        },
    }
}


@router.post("/models/{name}/infer", summary="Inference", openapi_extra=_REQUEST)
async def infer(request: Request, name: Name) -> Response:
    """JSON or binary tensor data, in and out."""
    return await _inferred(request, name, "")


@router.post("/models/{name}/versions/{version}/infer", summary="Inference by a version", openapi_extra=_REQUEST)
async def infer_version(request: Request, name: Name, version: VersionText) -> Response:
    """JSON or binary tensor data, in and out."""
    return await _inferred(request, name, version)


async def _inferred(request: Request, name: str, version: str) -> Response:
    person = require(request, "clinician")
    checkup = await _find(request, name, version)
    service = service_of(request)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HttpError(415, "compressed", "Compressed requests are not read.", "Send them as they are.")
    with admission(request).room() as room, ExitStack() as at_work:
        data = b"".join([chunk async for chunk in body(request, room)])
        at_work.enter_context(admission(request).place())
        told = request.headers.get("inference-header-content-length")
        wish = await service.in_pool(tensors.parse, data, told)  # many numbers take long
        if len(wish.image) > MAX_IMAGES:
            raise HttpError(
                413,
                "too_many_images",
                f"{len(wish.image)} images in one request; {MAX_IMAGES} are allowed.",
                "Split it.",
            )
        wanted = wish.outputs or [(n, wish.binary) for n in (*_OUTPUTS, *_TEXTS)]
        if unknown := [n for n, _ in wanted if n not in (*_OUTPUTS, *_TEXTS)]:
            raise HttpError(
                400,
                "unknown_output",
                f"There is no output {unknown[0][:60]!r}.",
                f"There are {', '.join((*_OUTPUTS, *_TEXTS))}.",
            )
        maps = any(n == "heatmap" for n, _ in wanted)
        made = await service.in_pool(_infer, service, checkup, wish.image, maps)
        sources = [d if isinstance(d, bytes) else d.tobytes() for d in wish.image]
        await service.record(made.answers, sources, person)
        for answer in made.answers:
            note(request, answer)
        head = {"model_name": name, "model_version": str(checkup.version or 1)}
        if wish.id:
            head["id"] = wish.id
        outputs = [(n, made.outputs[n], binary) for n, binary in wanted]
        text, headers = await service.in_pool(tensors.render, head, outputs)
    return Response(text, headers=headers)


_OUTPUTS = ("probabilities", "logits", "embedding", "heatmap")


@dataclass(frozen=True, slots=True)
class _Made:
    answers: list[Answer]
    outputs: dict[str, np.ndarray | list[str]]


def _infer(service: Service, checkup: CheckUp, image: np.ndarray | list[bytes], maps: bool) -> _Made:
    """All outputs for pixels (N, h, w, 3) or files; one pass of the network for each picture, to bound its memory."""
    answers: list[Answer] = []
    rows: dict[str, list[Any]] = {name: [] for name in _OUTPUTS}
    for one in image:
        pixels = service.decoders.decode(one, checkup.size).pixels if isinstance(one, bytes) else _fitted(one, checkup)
        seen = service.asker.see(checkup, pixels[None], maps=maps)
        found = service.asker.judge(checkup, seen, 0)
        answer = service.asker.answer(checkup, seen.shared[0], found.logits, {})
        digest = hashlib.sha256(one).hexdigest()
        answers.append(Answer(id=secrets.token_hex(16), digest=digest, prediction=answer, checkup=checkup))
        rows["probabilities"].append(checkup.probabilities(found.logits).astype(np.float32))
        rows["logits"].append(found.logits)
        rows["embedding"].append(found.embedding)
        if found.parts is not None:
            rows["heatmap"].append(found.parts)
    predictions: list[Prediction] = [a.prediction for a in answers]
    outputs: dict[str, np.ndarray | list[str]] = {n: np.stack(v) for n, v in rows.items() if v}
    outputs["prediction"] = [p.prediction for p in predictions]
    outputs["refused"] = [p.refused.reason if p.refused else "" for p in predictions]
    return _Made(answers, outputs)


def _fitted(pixels: np.ndarray, checkup: CheckUp) -> np.ndarray:
    if pixels.shape[:2] == (checkup.size, checkup.size):
        return pixels
    return fit(pixels, checkup.size)


async def _find(request: Request, name: str, version: str) -> CheckUp:
    if not version:
        return service_of(request).catalog.get(name)
    if not (version.isascii() and version.isdigit() and 0 < int(version) < 2**31):
        raise HttpError(404, "not_found", f"{name} has no version {version!r}.", "Versions are whole numbers from 1.")
    found = service_of(request).catalog.get(name)
    if found.version is None and version == "1":  # a model of the package, which has no versions
        return found
    return await service_of(request).checkup(name, int(version))
