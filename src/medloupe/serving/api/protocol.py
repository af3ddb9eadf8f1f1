"""Speak the Open Inference Protocol v2 over HTTP, so that its clients (tritonclient, KServe) work unchanged.

The input `image` takes pixels, UINT8 [N, height, width, 3] RGB of any size (others than the network's are fitted), or
image files, BYTES [N]. A model of ECGs takes `signal` instead, windows in mV as its file takes them, FP32 [N, leads,
samples]. A model that reads more takes `clinical` FP32 [N, F] and `notes` FP32 [N, M] too, encoded as its
file takes them; what is not given counts as missing. Beside the outputs of the exported file there are `state`,
`prediction`, the most probable label, `flagged`, the labels flagged, joined by "|", and `refused`, why a picture was
not judged ("" where it was).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.serving.access.auth import require
from medloupe.serving.api import tensors
from medloupe.serving.api.batch import OUTPUTS, infer_all
from medloupe.serving.api.schemas import FAILURES
from medloupe.serving.context import admission_of, note_answer, service_of
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.inputs import input_widths
from medloupe.serving.engine.windows import BATCH
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.intake import MAX_IMAGES, read_body
from medloupe.version import __version__


class ProtocolErrorBody(BaseModel):
    """The body of every answer that is no success: what went wrong and what to do."""

    error: str


router = APIRouter(
    prefix="/v2",
    tags=["Open Inference Protocol v2"],
    responses={status: {**said, "model": ProtocolErrorBody} for status, said in FAILURES.items()},
)
Name = Annotated[str, InPath(max_length=64)]
VersionText = Annotated[str, InPath(max_length=10)]
_TEXTS = ("state", "prediction", "flagged", "refused")


@router.get("", summary="Server metadata")
async def metadata() -> dict[str, Any]:
    """Name, version and the extensions it speaks."""
    return {"name": "medloupe", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", summary="Liveness")
async def live() -> dict[str, Any]:
    """Say yes, always, while the process answers."""
    return {"live": True}


@router.get("/health/ready", summary="Readiness")
async def ready(request: Request) -> JSONResponse:
    """Not while it is shutting down."""
    is_ready = not admission_of(request).draining
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


@router.get("/models/{name}", summary="Model metadata")
async def model(request: Request, name: Name) -> dict[str, Any]:
    """List the inputs and outputs of the version in production."""
    return await _describe(request, name, "")


@router.get("/models/{name}/versions/{version}", summary="Metadata of a version")
async def model_version(request: Request, name: Name, version: VersionText) -> dict[str, Any]:
    """List the inputs and outputs of a version."""
    return await _describe(request, name, version)


async def _describe(request: Request, name: str, version: str) -> dict[str, Any]:
    require(request, "viewer")
    checkup = await _find(request, name, version)
    k, size = len(checkup.labels), checkup.size
    outputs: list[tuple[str, str, list[int]]] = [
        ("probabilities", "FP32", [-1, k]),
        ("logits", "FP32", [-1, k]),
        ("embedding", "FP32", [-1, -1]),
        ("heatmap", "FP32", [-1, k, -1, -1]),
        *((name, "BYTES", [-1]) for name in _TEXTS),
    ]
    main = EMBEDDINGS[checkup.modality]
    return {
        "name": name,
        "versions": [str(checkup.version or 1)],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {
                "name": main.input,
                "datatype": tensors.DATATYPES[main.dtype],
                "shape": [-1, *(checkup.shape if checkup.windows else (size, size, 3))],
            },
            *({"name": n, "datatype": "FP32", "shape": [-1, width]} for n, width in input_widths(checkup).items()),
        ],
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
    return await _infer(request, name, "")


@router.post("/models/{name}/versions/{version}/infer", summary="Inference by a version", openapi_extra=_REQUEST)
async def infer_version(request: Request, name: Name, version: VersionText) -> Response:
    """JSON or binary tensor data, in and out."""
    return await _infer(request, name, version)


async def _infer(request: Request, name: str, version: str) -> Response:
    person = require(request, "clinician")
    checkup = await _find(request, name, version)
    service = service_of(request)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HttpError(415, "compressed", "Compressed requests are not read.", "Send them as they are.")
    with admission_of(request).room() as room, ExitStack() as at_work:
        data = b"".join([chunk async for chunk in read_body(request, room)])
        at_work.enter_context(admission_of(request).place())
        told = request.headers.get("inference-header-content-length")
        wish = await service.in_pool(tensors.parse_request, data, told)  # many numbers take long
        _check_main_input(wish, checkup)
        wanted = wish.outputs or [(n, wish.binary) for n in (*OUTPUTS, *_TEXTS)]
        _check_outputs([n for n, _ in wanted])
        _check_inputs_beside(wish, checkup)
        maps = any(n == "heatmap" for n, _ in wanted)
        made = await service.in_pool(infer_all, service, checkup, wish.image, maps, wish.beside)
        sources = [d if isinstance(d, bytes) else d.tobytes() for d in wish.image]
        await service.record(made.answers, sources, person)
        for answer in made.answers:
            note_answer(request, answer)
        head = {"model_name": name, "model_version": str(checkup.version or 1)}
        if wish.id:
            head["id"] = wish.id
        outputs = [(n, made.outputs[n], binary) for n, binary in wanted]
        text, headers = await service.in_pool(tensors.render_response, head, outputs)
    return Response(text, headers=headers)


def _check_main_input(wish: tensors.InferenceRequest, checkup: CheckUp) -> None:
    """Check the main input: that it is not too much, and one that the check-up takes."""
    pictures = checkup.windows is None
    most = MAX_IMAGES if pictures else BATCH
    if len(wish.image) > most:
        raise HttpError(
            413,
            "too_many_images",
            f"{len(wish.image)} {'images' if pictures else 'windows'} in one request; {most} are allowed.",
            "Split it.",
        )
    main = EMBEDDINGS[checkup.modality]
    wrong = wish.main != main.input
    if wrong or (isinstance(wish.image, np.ndarray) and not pictures and wish.image.shape[1:] != checkup.shape):
        raise HttpError(
            400,
            "bad_inference_request",
            f"{checkup.name} takes `image`, as it looks at pictures."
            if pictures
            else f"{checkup.name} takes `{main.input}` {tensors.DATATYPES[main.dtype]}"
            f" [N, {', '.join(map(str, checkup.shape))}].",
            "See GET /v2/models/NAME for inputs and outputs.",
        )


def _check_outputs(names: Sequence[str]) -> None:
    """Check that there are such outputs."""
    if unknown := [n for n in names if n not in (*OUTPUTS, *_TEXTS)]:
        raise HttpError(
            400,
            "unknown_output",
            f"There is no output {unknown[0][:60]!r}.",
            f"There are {', '.join((*OUTPUTS, *_TEXTS))}.",
        )


def _check_inputs_beside(wish: tensors.InferenceRequest, checkup: CheckUp) -> None:
    """Check that the check-up takes the inputs beside the main one, in their shape."""
    taken = input_widths(checkup)
    for n, values in wish.beside.items():
        if n not in taken or values.shape != (len(wish.image), taken[n]):
            expected = f"[{len(wish.image)}, {taken[n]}]" if n in taken else "no such input"
            raise HttpError(
                400,
                "bad_inference_request",
                f"`{n}` has the shape {list(values.shape)}; expected {expected}.",
                "See GET /v2/models/NAME for inputs and outputs.",
            )


async def _find(request: Request, name: str, version: str) -> CheckUp:
    if not version:
        return service_of(request).catalog.get(name)
    if not (version.isascii() and version.isdigit() and 0 < int(version) < 2**31):
        raise HttpError(404, "not_found", f"{name} has no version {version!r}.", "Versions are whole numbers from 1.")
    found = service_of(request).catalog.get(name)
    if found.version is None and version == "1":  # a model of the package, which has no versions
        return found
    return await service_of(request).checkup(name, int(version))
