"""Pictures and ECGs that cannot be used, asked of servers: the state, what is missing or wrong, and what is drawn."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ecgmodels
import ecgsaved
import ecgwriters
import generated
from live import Live, running
from medloupe.data.records import Record
from medloupe.ecg.signal import Signal
from medloupe.imaging import corruptions
from medloupe.imaging.quality import SENTENCES
from medloupe.inference.pictures import Predictor
from medloupe.model.legibility import CODE
from medloupe.serving.web.language import language
from medloupe.serving.web.unusable import word_fault
from medloupe.store.models import Store
from medloupe.training.pipeline.quality import describe_quality
from trained import Trained

TWO, WHOLE = ecgmodels.recording(401), ecgmodels.standard(402, blocked=True)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def gated(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with `tissue`, which is `spots` and knows how its pictures look."""
    home = tmp_path_factory.mktemp("gated") / "home"
    shutil.copytree(_trained.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(home))
        store = Store(home)
        model = store.get("spots")
        own = [Record(id=f"{i}", image=generated.tissue(i, bool(i % 2))) for i in range(150)]
        entry = describe_quality(own, np.arange(150), 224, 0)
        card = {**model.card, "name": "tissue", "quality": entry}
        store.add(replace(model, card=card, onnx=None), write_files=ecgmodels.write_files)
        store.engine.dispose()
    with running(home, "--keep-images") as server:
        yield server


SPOILT = {
    "too_dark": corruptions.change_exposure(generated.tissue(900, True), 0.2),
    "blurred": corruptions.blur(generated.tissue(901, True), 0.04),
    "glare": corruptions.add_glare(generated.tissue(902, True), 0.18, np.random.default_rng(0)),
    "blank": np.full((64, 64, 3), 90, np.uint8),
    "too_small": generated.tissue(903, True)[:12, :12],
}


@pytest.mark.parametrize("code", SPOILT)
def test_a_picture_that_cannot_be_used_is_told_why_by_every_way_in(gated: Live, code: str) -> None:
    data = png(SPOILT[code])
    said = gated.ask("tissue", data, heatmap="true").json()
    assert (said["state"], said["why"]["code"]) == ("unusable", code), said["why"]
    assert said["why"]["text"] == SENTENCES[code]
    assert (said["prediction"], said["flagged"], said["refused"]) == ("", [], None)
    with gated.client() as client:
        kept = client.get(f"/api/v1/predictions/{said['id']}").json()
        many = client.post("/api/v1/predict?models=tissue", files={"image": data}).json()
        page = client.post("/predict", data={"model": "tissue", "user": "ada"}, files={"image": ("x.png", data)}).json()
    for other in (kept, many["predictions"][0] if "predictions" in many else many, page):
        assert (other["state"], other["why"]) == (said["state"], said["why"])


@pytest.mark.parametrize("code", ["blank", "too_small"])
def test_where_the_app_chooses_a_bad_picture_is_no_foreign_one(gated: Live, tmp_path: Path, code: str) -> None:
    with gated.client() as client:
        said = client.post("/api/v1/predict", files={"image": png(SPOILT[code])}).json()
    assert (said["state"], said["why"]["code"], said["refused"]) == ("unusable", code, None)
    path = tmp_path / "a.png"
    path.write_bytes(png(SPOILT[code]))
    environment = {**os.environ, "MEDLOUPE_HOME": str(gated.home)}
    command = [sys.executable, "-m", "medloupe", "predict", "auto", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    line = json.loads(done.stdout.splitlines()[0])
    assert (line["state"], line["why"]["code"], line["refused"]) == ("unusable", code, None)


def test_good_pictures_are_answered_as_without_limits(gated: Live, live: Live) -> None:
    asked = ((gated, "tissue"), (live, "spots"))
    for number in range(950, 962):
        data = png(generated.tissue(number, bool(number % 2)))
        with_limits, without = (one.ask(name, data).json() for one, name in asked)
        assert with_limits["state"] == without["state"] != "unusable"
        assert with_limits["probabilities"] == without["probabilities"]


def test_without_limits_a_dark_picture_is_no_matter_of_quality(live: Live) -> None:
    assert live.ask("spots", png(SPOILT["too_dark"])).json()["state"] != "unusable"
    assert live.ask("spots", png(SPOILT["blank"])).json()["why"]["code"] == "blank"


def test_library_and_command_line_say_what_the_server_says(
    gated: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(gated.home))
    predictor = Predictor(Store(gated.home).get("tissue"))
    for code, pixels in SPOILT.items():
        path = tmp_path / f"{code}.png"
        path.write_bytes(png(pixels))
        for given in (path, png(pixels), pixels):
            answer = predictor.predict(given)
            assert answer.said.why is not None
            assert (answer.state, answer.said.why.code, answer.refused) == ("unusable", code, None)
    command = [sys.executable, "-m", "medloupe", "predict", "tissue", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {Path(line["file"]).stem: line["why"]["code"] for line in lines} == {code: code for code in SPOILT}


def test_every_code_is_told_in_both_languages() -> None:
    for code in (*SENTENCES, CODE, "leads_missing"):
        english, french = (word_fault(code, language(lang)) for lang in ("en", "fr"))
        assert all(english) and all(french) and not set(english) & set(french)
    assert word_fault("over_line", language("en")) == ("", "")


# ---------------------------------------------------------------- ECGs


def ask(live: Live, path: str, files: dict[str, bytes], **query: Any) -> dict[str, Any]:
    with live.client() as client:
        answer = client.post(path, files=[("image", pair) for pair in files.items()], params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def without(signal: Signal, *names: str) -> Signal:
    kept = [k for k, name in enumerate(signal.leads) if name not in names]
    return replace(signal, samples=signal.samples[kept], leads=tuple(signal.leads[k] for k in kept))


def test_a_two_lead_holter_goes_to_the_beats_and_twelve_leads_do_not_answer_it(ecg_live: Live) -> None:
    files = ecgsaved.wfdb(TWO)
    assert ask(ecg_live, "/api/v1/predict", files)["model"] == "beats"
    said = ask(ecg_live, "/api/v1/models/leads/predict", files, heatmap="true")
    assert (said["state"], said["why"]["code"]) == ("unusable", "leads_missing")
    assert "V6" in said["why"]["text"] and "heatmap" not in said
    assert said["ecg"]["leads"] == ["II", "V1"]
    with ecg_live.client() as client:
        page = client.get(f"/predictions/{said['id']}", headers={"Accept": "text/html"}).text
    drawn = re.findall(r'font-weight="600"[^>]*>([^<]+)<', page)
    assert drawn and set(drawn) == {"II", "V1"}, "no lead that is not there"
    assert 'class="shade"' not in page
    every = ask(ecg_live, "/api/v1/predict", files, models="beats,leads")["predictions"]
    assert [p["state"] == "unusable" for p in every] == [False, True]


def test_a_chest_lead_missing_is_not_answered_by_a_check_up_of_before(ecg_live: Live) -> None:
    """Its card does not say what may be missing. Limb leads that follow from others are not missing."""
    assert ask(ecg_live, "/api/v1/models/leads/predict", ecgsaved.wfdb(WHOLE))["state"] != "unusable"
    computed = without(WHOLE, "III", "aVR", "aVL", "aVF")
    assert ask(ecg_live, "/api/v1/models/leads/predict", ecgsaved.wfdb(computed))["state"] != "unusable"
    said = ask(ecg_live, "/api/v1/models/leads/predict", {"w.npz": ecgsaved.npz(without(WHOLE, "V4"))})
    assert said["state"] == "unusable" and "V4" in said["why"]["text"] and "V5" not in said["why"]["text"].split(";")[0]
    assert ask(ecg_live, "/api/v1/predict", ecgsaved.wfdb(without(WHOLE, "V4")))["model"] == "beats"


def test_windows_without_leads_are_not_answered_either(ecg_live: Live) -> None:
    """As numbers, by the Open Inference Protocol: a lead of zeros is one that is missing."""
    window = np.random.default_rng(0).normal(0, 0.3, (2, 12, 112)).astype(np.float32)
    window[1, 6:] = 0
    tensor = {"name": "signal", "shape": [2, 12, 112], "datatype": "FP32", "data": window.ravel().tolist()}
    with ecg_live.client() as client:
        said = client.post("/v2/models/leads/infer", json={"inputs": [tensor]}).json()
    states = next(out for out in said["outputs"] if out["name"] == "state")["data"]
    assert states[0] != "unusable" and states[1] == "unusable"


def test_flat_leads_are_missing_leads(ecg_live: Live) -> None:
    samples = WHOLE.samples.copy()
    samples[6:9] = 0.02
    flat = ecgwriters.npz(signal=samples, fs=WHOLE.rate, lead_names=np.array(WHOLE.leads))
    said = ask(ecg_live, "/api/v1/models/leads/predict", {"w.npz": flat})
    assert said["why"]["code"] == "leads_missing" and "V1, V2, V3" in said["why"]["text"]
    assert any("flat" in note for note in said["ecg"]["notes"])
