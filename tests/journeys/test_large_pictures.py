"""A picture joined of many is answered alike by Python, the command line, the API and Open Inference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from detectors import TrainedDetector
from discs import draw_picture
from live import Live
from medloupe.inference.find import find_model


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs and squares on 960 × 768 pixels, six by six pictures of the size that was learned."""
    rng = np.random.default_rng(5)
    rows = [np.hstack([draw_picture(rng, 3, 1)[0] for _ in range(6)]) for _ in range(6)]
    path = tmp_path_factory.mktemp("joined") / "joined.png"
    Image.fromarray(np.vstack(rows)).save(path)
    return path


def told(said: dict[str, Any]) -> tuple[Any, ...]:
    return said["state"], said["tiling"], said["boxes"], said["probabilities"], said["picture"]["width"]


def test_every_way_of_asking_gives_the_same_answer(
    live_detector: Live, detector: TrainedDetector, joined: Path
) -> None:
    environment = {**os.environ, "MEDLOUPE_HOME": str(detector.home)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(detector.home))
        model = find_model("shapes")
        python = json.loads(json.dumps(model.predict(joined).as_json()))
    assert model.card["detection"]["learned"]["longer_side"]["median"] == 160
    assert model.card["detection"]["learned"]["aspect"]["median"] == 1.25
    tiling = python["tiling"]
    assert tiling["larger"] == 6 and tiling["text"]
    assert (tiling["tiles"] > 1) == (tiling["code"] in ("tiles", "shrunk"))
    command = [sys.executable, "-m", "medloupe", "predict", "shapes", str(joined), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=400)
    assert ran.returncode == 0, ran.stderr
    served = live_detector.ask("shapes", joined.read_bytes()).json()
    assert told(json.loads(ran.stdout.splitlines()[0])) == told(python) == told(served)
    pixels = np.asarray(Image.open(joined))
    body = {
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, *pixels.shape]}],
        "outputs": [{"name": "boxes"}, {"name": "tiling"}],
    }
    body["inputs"][0]["parameters"] = {"binary_data_size": pixels.nbytes}
    head = json.dumps(body).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    with httpx.Client(base_url=live_detector.url, timeout=400) as client:
        said = client.post("/v2/models/shapes/infer", content=head + pixels.tobytes(), headers=headers).json()
        page = client.get(f"/results/{served['id']}").text
    rows, text = (next(o for o in said["outputs"] if o["name"] == n) for n in ("boxes", "tiling"))
    assert json.loads(text["data"][0]) == {**tiling, "found": len(python["boxes"])}
    found = np.array(rows["data"]).reshape(rows["shape"])[0]
    size = model.backbone.card.input_size
    wide = (found[:, 2] - found[:, 0])[found[:, 4] > 0] * 960 / size
    some = [b["w"] for b in python["boxes"]][: len(wide)]
    assert wide == pytest.approx(some, abs=0.1), "the surest, in pixels of the fitted picture"
    assert "6.0 times as long as those that were learned from" in page
