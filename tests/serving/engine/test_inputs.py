"""What requests bring beside the picture, asked of a real server and of its parts."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image

import generated
import several
from live import Live, running
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.inputs import NO_INPUTS, input_widths, read_inputs, weigh_encoded
from medloupe.store.models import Store
from severallive import NAME, write_files

PATH = f"/api/v1/models/{NAME}/predict"


def png(number: int = 3, sick: bool = True) -> bytes:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(number, sick)).save(out, "PNG")
    return out.getvalue()


def ask(live: Live, fields: dict[str, str], path: str = PATH, images: int = 1, **query: Any) -> httpx.Response:
    files = [("image", (f"{i}.png", png(i))) for i in range(images)]
    with live.client() as client:
        return client.post(path, data=fields, files=files, params=query)


@pytest.fixture
def model(home_of_several: Path) -> Model:
    return Store(home_of_several).get(NAME, 1, report=False)


def test_fields_of_the_form_are_inputs(live_of_several: Live, model: Model) -> None:
    """By name, in either case, with `notes` for the notes; the same from parts and from one file."""
    picture = np.asarray(Image.open(io.BytesIO(png(0))))
    expected = Predictor(model).predict(picture, several.GIVEN)
    given = {"AGE": "63", "input.sex": "F", "place": "upper arm", "notes": several.GIVEN["history"]}
    for version in (1, 2):
        said = ask(live_of_several, given, version=version).json()
        assert said["probabilities"] == pytest.approx(dict(expected.probabilities), abs=1e-4)
        assert expected.inputs is not None
        assert [i["name"] for i in said["inputs"]] == ["age", "sex", "place", "history"]
        assert said["inputs"] == [
            {"name": i.name, "value": i.value, "effect": pytest.approx(dict(i.effect), abs=1e-5)}
            for i in expected.inputs
        ]
        assert "ignored" not in said


def test_with_nothing_given_it_is_the_picture_alone(live_of_several: Live) -> None:
    bare, plain = ask(live_of_several, {}).json(), ask(live_of_several, {}, "/api/v1/models/plain/predict").json()
    assert bare["inputs"] == [] and "inputs" not in plain
    assert bare["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-9)
    empty = ask(live_of_several, {"age": "", "sex": " ", "place": "unknown"}).json()
    assert empty["probabilities"] == bare["probabilities"]


def test_names_that_are_no_inputs_are_named(live_of_several: Live) -> None:
    said = ask(live_of_several, {"aeg": "63", "sex": "M", "user": "ada", "heatmap": "1"}).json()
    assert said["ignored"] == ["aeg"]
    assert [i["name"] for i in said["inputs"] if i["value"]] == ["sex"]
    plain = ask(live_of_several, {"age": "63"}, "/api/v1/models/plain/predict").json()
    assert plain["ignored"] == ["age"]


def test_a_value_that_cannot_be_read_is_said(live_of_several: Live) -> None:
    for images in (1, 3):
        answer = ask(live_of_several, {"age": "old"}, images=images)
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert error["code"] == "invalid_input"
        assert "age is given as 'old'; expected a number in years" in error["message"]
        assert error["hint"]


def test_other_ways_to_ask_take_inputs_too(live_of_several: Live) -> None:
    direct = ask(live_of_several, {"age": "63"}).json()
    form = ask(live_of_several, {"age": "63", "user": "ada", "model": NAME}, "/predict").json()
    assert form["probabilities"] == direct["probabilities"] and form["inputs"] == direct["inputs"]
    both = ask(live_of_several, {"age": "63"}, "/api/v1/predict", models=f"{NAME},plain").json()["predictions"]
    assert both[0]["probabilities"] == direct["probabilities"]
    assert both[1]["ignored"] == ["age"] and "inputs" not in both[1]
    many = ask(live_of_several, {"age": "63"}, images=2).json()["predictions"]
    assert many[0]["inputs"] == many[1]["inputs"] == direct["inputs"]


def test_a_model_says_what_it_reads(live_of_several: Live) -> None:
    with live_of_several.client() as client:
        fields = client.get(f"/api/v1/models/{NAME}").json()["inputs"]
        assert client.get("/api/v1/models/plain").json()["inputs"] == []
        described = client.get("/openapi.json").json()
    assert [f["name"] for f in fields] == ["age", "sex", "place", "history"]
    assert [f["kind"] for f in fields] == ["number", "category", "category", "notes"]
    assert fields[0]["unit"] == "years" and set(fields[1]["choices"]) == {"F", "M"}
    taken = described["paths"]["/api/v1/models/{name}/predict"]["post"]["requestBody"]["content"]
    assert "inputs" in taken["multipart/form-data"]["schema"]["additionalProperties"]["description"]
    assert "inputs" in described["components"]["schemas"]["PredictionOut"]["properties"]


# ------------------------------------------------------------------ what is remembered


def test_without_kept_images_only_names_are_remembered(live_of_several: Live) -> None:
    said = ask(live_of_several, several.GIVEN).json()
    with live_of_several.client() as client:
        kept = client.get(f"/api/v1/predictions/{said['id']}").json()
    assert kept["inputs"] == [{"name": n} for n in ("age", "sex", "place", "history")]
    assert "given" not in kept
    for path in live_of_several.home.rglob("medloupe.sqlite*"):
        assert b"dry cough since" not in path.read_bytes()
    assert "dry cough" not in live_of_several.log.read_text("utf-8")


def test_with_kept_images_the_values_are_kept_and_go_with_them(home_of_several: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    Store(home).add(Store(home_of_several).get(NAME, 1, report=False), write_files=write_files)
    with running(home, "--keep-images") as live, live.client() as client:
        said = ask(live, {**several.GIVEN, "shoes": "42"}).json()
        kept = client.get(f"/api/v1/predictions/{said['id']}").json()
        assert kept["given"] == several.GIVEN
        assert kept["inputs"] == said["inputs"]
        assert client.delete(f"/api/v1/predictions/{said['id']}/image").status_code == 204
        left = client.get(f"/api/v1/predictions/{said['id']}").json()
    assert "given" not in left
    assert left["inputs"] == [{"name": n} for n in several.GIVEN]
    assert left["probabilities"] == said["probabilities"]


# ------------------------------------------------------------------ Open Inference Protocol


def tensors(extras: Any) -> list[triton.InferInput]:
    clinical, notes = extras.vectors(several.GIVEN)
    made = []
    for name, values in (("clinical", clinical), ("notes", notes)):
        one = triton.InferInput(name, [1, len(values)], "FP32")
        one.set_data_from_numpy(values[None], binary_data=name == "clinical")
        made.append(one)
    return made


def test_encoded_inputs_are_tensors(live_of_several: Live, model: Model) -> None:
    assert model.extras is not None
    client = triton.InferenceServerClient(live_of_several.url.removeprefix("http://"))
    described = {i["name"]: i["shape"] for i in client.get_model_metadata(NAME)["inputs"]}
    f, m = model.extras.clinical_width, model.extras.notes_width
    assert described == {"image": [-1, 224, 224, 3], "clinical": [-1, f], "notes": [-1, m]}
    pixels = np.asarray(Image.open(io.BytesIO(png(0))))[None]
    image = triton.InferInput("image", list(pixels.shape), "UINT8")
    image.set_data_from_numpy(pixels)
    expected = Predictor(model).predict(pixels[0], several.GIVEN).probabilities
    for version in ("1", "2"):
        for given in ([image, *tensors(model.extras)], [*tensors(model.extras)[::-1], image]):
            p = client.infer(NAME, given, model_version=version).as_numpy("probabilities")
            assert p is not None
            np.testing.assert_allclose(p[0], [expected[n] for n in model.labels], atol=1e-4)
        bare = client.infer(NAME, [image], model_version=version).as_numpy("logits")
        some = client.infer(NAME, [image, tensors(model.extras)[0]], model_version=version).as_numpy("logits")
        assert bare is not None and some is not None and np.abs(bare - some).max() > 0.05
    client.close()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"name": "clinical", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}, "`clinical` has the shape [1, 2]"),
        ({"name": "clinical", "shape": [1, 2], "datatype": "UINT8", "data": [1, 2]}, "expected FP32"),
        ({"name": "clinical", "shape": [1, 2], "datatype": "FP32", "data": [1]}, "needs 2 values, 1 came"),
        ({"name": "clinical", "shape": [1, 1], "datatype": "FP32", "data": ["x"]}, "must be numbers"),
        ({"name": "clinical", "shape": [1, 1], "datatype": "FP32", "data": [1e9]}, "no numbers, or beyond"),
        ({"name": "clinical", "shape": [1, 1], "datatype": "FP32", "data": [float("nan")]}, "no numbers"),
        ({"name": "image", "shape": [1, 1], "datatype": "FP32", "data": [1]}, "`image` once"),
        ({"name": "mood", "shape": [1, 1], "datatype": "FP32", "data": [1]}, "named 'mood'"),
    ],
)
def test_encoded_inputs_that_do_not_fit_are_said(live_of_several: Live, extra: dict[str, Any], says: str) -> None:
    image = {"name": "image", "shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}
    body = json.dumps({"inputs": [image, extra]})
    with live_of_several.client() as client:
        answer = client.post(f"/v2/models/{NAME}/infer", content=body)
        plain = client.post("/v2/models/plain/infer", content=body)
    assert answer.status_code == plain.status_code == 400
    assert says in answer.json()["error"]


# ------------------------------------------------------------------ the parts


def test_what_reads_the_picture_alone_is_asked_without_a_step_more(model: Model) -> None:
    checkup = CheckUp.of(model)
    assert checkup.extras is not None
    plain = CheckUp.of(replace(model, extras=None))
    assert read_inputs(plain, {}) is NO_INPUTS
    assert read_inputs(plain, {"csrf": "x", "input.age": "5"}).ignored == ("age",)
    assert read_inputs(checkup, {f"x{i}": "1" for i in range(100)}).ignored == tuple(f"x{i}" for i in range(20))


def test_a_prefix_sets_an_input_apart(model: Model) -> None:
    assert read_inputs(CheckUp.of(model), {"age": "5", "input.age": "63"}).given == {"age": "63"}


def test_encoded_and_named_inputs_say_the_same(model: Model) -> None:
    checkup = CheckUp.of(model)
    assert checkup.extras is not None
    clinical, notes = checkup.extras.vectors(several.GIVEN)
    (found,) = weigh_encoded(checkup, {"clinical": clinical[None], "notes": notes[None]})
    named = read_inputs(checkup, several.GIVEN)
    assert found.logits is not None and named.logits is not None
    np.testing.assert_allclose(found.logits, named.logits, atol=1e-5)
    (half,) = weigh_encoded(checkup, {"notes": notes[None]})
    assert half.logits is not None
    np.testing.assert_allclose(half.logits, checkup.extras.weight[:, -len(notes) :] @ notes, atol=1e-5)
    assert input_widths(checkup) == {"clinical": len(clinical), "notes": len(notes)}
    assert probabilities(found.logits, "multiclass").sum() == pytest.approx(1)
