"""Speak the Open Inference Protocol v2 over HTTP, so that its clients (tritonclient, KServe) work unchanged.

The input `image` takes pixels, UINT8 [N, height, width, 3] RGB of any size (others than the network's are fitted), or
image files, BYTES [N]. A model of ECGs takes `signal` instead, windows in mV as its file takes them, FP32 [N, leads,
samples]. A model that reads more takes `clinical` FP32 [N, F] and `notes` FP32 [N, M] too, encoded as its
file takes them; what is not given counts as missing. Beside the outputs of the exported file there are `state`,
`prediction`, the most probable label, `flagged`, the labels flagged, joined by "|", and `refused`, why a picture was
not judged ("" where it was). A detector gives `boxes` FP32 [N, M, 6] too, as its file does: x0, y0, x1, y1 in pixels
of the picture fitted to the size of its file's input, score, and the number of the label; rows of zeros are none. Of a
picture that was looked at in tiles these are the M surest; `tiling` says as JSON how it was looked at, and how many
were `found` ("" of pictures that are not large).
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
from medloupe.serving.api import outputs, tensors
from medloupe.serving.api.batch import MORE_OF_DETECTORS, OUTPUTS, TILING, infer_all
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
    """Not while it is shutting down, or something fails that answers need."""
    is_ready = not admission_of(request).draining and not await service_of(request).readiness.failing()
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
    given: list[tuple[str, str, list[int]]] = [
        ("probabilities", "FP32", [-1, k]),
        ("logits", "FP32", [-1, k]),
        ("embedding", "FP32", [-1, -1]),
        ("heatmap", "FP32", [-1, k, -1, -1]),
        *((name, "FP32", [-1, checkup.most_boxes, 6]) for name in _of_detector(checkup)),
        *((name, "BYTES", [-1]) for name in _texts(checkup)),
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
        "outputs": [{"name": n, "datatype": t, "shape": s} for n, t, s in given],
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
    service_of(request).pilot.refuse("Tensors, which are answers themselves, are not given")
    checkup = await _find(request, name, version)
    if checkup.asks is not None:
        raise HttpError(
            400,
            "bad_inference_request",
            f"{name} asks about each thing on the full picture, which tensors of a fixed size do not hold.",
            f"Send the picture to /api/v1/models/{name}/predict.",
        )
    service = service_of(request)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HttpError(415, "compressed", "Compressed requests are not read.", "Send them as they are.")
    with admission_of(request).room() as room, ExitStack() as at_work:
        data = b"".join([chunk async for chunk in read_body(request, room)])
        at_work.enter_context(admission_of(request).place())
        told = request.headers.get("inference-header-content-length")
        wish = await service.in_pool(tensors.parse_request, data, told, MAX_IMAGES)  # many numbers take long
        _check_main_input(wish, checkup)
        wanted = wish.outputs or [(n, wish.binary) for n in _names(checkup)]
        _check_outputs([n for n, _ in wanted], _names(checkup))
        _check_inputs_beside(wish, checkup)
        outputs.check_answer_size(len(wish.image), _count_numbers(checkup), wanted)
        maps = any(n == "heatmap" for n, _ in wanted)
        made = await service.in_pool(infer_all, service, checkup, wish.image, maps, wish.beside)
        sources = [d if isinstance(d, bytes) else d.tobytes() for d in wish.image]
        await service.record(made.answers, sources, person)
        for answer in made.answers:
            note_answer(request, answer)
        head = {"model_name": name, "model_version": str(checkup.version or 1)}
        if wish.id:
            head["id"] = wish.id
        values = [(n, made.outputs[n], binary) for n, binary in wanted]
        text, headers = await service.in_pool(outputs.render_response, head, values)
    return Response(text, headers=headers)


def _check_main_input(wish: tensors.InferenceRequest, checkup: CheckUp) -> None:
    """Check the main input: that it is not too much, and one that the check-up takes."""
    pictures = checkup.windows is None
    most = MAX_IMAGES if pictures else BATCH
    if len(wish.image) > most:
        raise tensors.too_many(len(wish.image), "images" if pictures else "windows", most)
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


def _of_detector(checkup: CheckUp) -> tuple[str, ...]:
    """Name the outputs that only a detector has."""
    return MORE_OF_DETECTORS if checkup.finds_boxes else ()


def _names(checkup: CheckUp) -> tuple[str, ...]:
    """Name all outputs of a check-up."""
    return (*OUTPUTS, *_of_detector(checkup), *_texts(checkup))


def _texts(checkup: CheckUp) -> tuple[str, ...]:
    """Name the outputs that are texts."""
    return (*_TEXTS, TILING) if checkup.finds_boxes else _TEXTS


def _check_outputs(names: Sequence[str], known: Sequence[str]) -> None:
    """Check that there are such outputs."""
    if unknown := [n for n in names if n not in known]:
        raise HttpError(
            400,
            "unknown_output",
            f"There is no output {unknown[0][:60]!r}.",
            f"There are {', '.join(known)}.",
        )


def _count_numbers(checkup: CheckUp) -> dict[str, int]:
    """Count the numbers of each output for one example."""
    k, (height, width) = len(checkup.labels), checkup.places
    boxes = dict.fromkeys(_of_detector(checkup), 6 * checkup.most_boxes)
    return {"probabilities": k, "logits": k, "embedding": checkup.dimension, "heatmap": k * height * width, **boxes}


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
