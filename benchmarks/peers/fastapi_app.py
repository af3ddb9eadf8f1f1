"""Bare FastAPI under uvicorn with a plain `def` endpoint: `python fastapi_app.py PORT [pool]`.

Such endpoints run in a thread pool. With `pool` it has as many threads as there are cores and each answer takes one
thread; else both are as FastAPI and ONNX Runtime choose (40 threads; one thread a core for each answer).
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, UploadFile
from work import WORKERS, answer, decode, labels, load

pool = "pool" in sys.argv[2:]
model = load(1 if pool else None)
names = labels(model)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    if pool:
        anyio.to_thread.current_default_thread_limiter().total_tokens = WORKERS
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
def predict(image: UploadFile) -> dict[str, dict[str, float]]:
    return answer(model, names, decode(image.file))


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]))
