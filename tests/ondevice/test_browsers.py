"""Other browsers answer on the device as Python does: Firefox, and WebKitGTK where it is installed."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import generated
import medloupe
from anybrowser import Job, answer_elsewhere, installed_browsers
from medloupe.imaging.decode import decode_picture
from medloupe.imaging.photo import AUTO, NEVER
from medloupe.imaging.rephotograph import photograph_light_box
from medloupe.ondevice.folder import write_folder
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.device import build_device_release
from medloupe.starter.shipped import load_shipped
from pocket import saved

SECONDS = 240
MOST = 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("browser", ["firefox", "webkit"])
def test_same_answers_elsewhere(browser: str, web_runtime: Path, home: object, tmp_path: Path) -> None:
    if browser not in installed_browsers():
        if os.environ.get("CI") and browser == "firefox" and sys.platform == "linux":
            pytest.fail("Firefox is not installed")
        pytest.skip(f"{browser} is not installed")
    tissue = Image.fromarray(generated.tissue(3, True)).resize((420, 360))
    photograph = Image.fromarray(photograph_light_box(np.asarray(tissue), np.random.default_rng(2)))
    jobs = [
        Job("pneumonia", saved(tissue.convert("L"), "PNG")),
        Job("pneumonia", saved(tissue, "JPEG", quality=70, progressive=True), "never"),
        Job("pneumonia", saved(photograph, "JPEG", quality=85)),
    ]
    model = load_shipped("pneumonia")
    release = build_device_release([CheckUp.of(model)], server=False)
    folder = tmp_path / "web"
    write_folder(release, folder)
    made = answer_elsewhere(browser, release, folder, jobs, SECONDS)
    predictor, found = medloupe.predictor(model), 0
    for job, answer in zip(jobs, made["found"], strict=True):
        mode = AUTO if job.photo == "auto" else NEVER
        picture = decode_picture(job.data, min_side=224, photo=mode)
        assert base64.b64decode(answer["pixels"]) == picture.fit(224).tobytes()
        said = predictor.predict(job.data, photo=mode)
        assert answer["said"]["state"] == said.state
        for label, p in said.probabilities.items():
            assert abs(answer["probabilities"][label] - p) <= MOST
        found += answer["photo"] is not None
    assert found == 1
    assert made["kept"] or browser == "webkit"
