"""?brief=1, asked of a real server: one picture, several, by the app's choice, and kept whole all the same."""

from __future__ import annotations

from live import Live
from medloupe.model.brief import BRIEF_BYTES
from visiting import png


def test_one_answer_is_brief_and_says_what_the_whole_one_says(live: Live) -> None:
    whole = live.ask("spots", png(5)).json()
    brief = live.ask("spots", png(5), brief=1)
    assert len(brief.content) <= BRIEF_BYTES
    said = brief.json()
    assert said["s"] == whole["state"] and said["m"] == f"{whole['model']}@{whole['version']}"
    label = (whole["flagged"] or [whole["prediction"]])[0]
    assert said["l"] == label
    assert abs(said["p"] - 100 * whole["probabilities"][label]) <= 1
    assert "timings" in live.ask("spots", png(5), brief=0).json()


def test_it_is_remembered_whole(live: Live) -> None:
    with live.client() as client:
        before = {e["id"] for e in client.get("/api/v1/predictions").json()["predictions"]}
        live.ask("spots", png(6), brief=1)
        (new,) = [e for e in client.get("/api/v1/predictions").json()["predictions"] if e["id"] not in before]
    assert set(new["probabilities"]) and "scope" in new


def test_several_files_are_brief_each_also_what_cannot_be_read(live: Live) -> None:
    parts = [("image", (f"{i}.png", data)) for i, data in enumerate((png(1), b"no picture at all", png(2)))]
    with live.client() as client:
        said = client.post("/api/v1/models/spots/predict?brief=true", files=parts).json()["predictions"]
    assert [set(one) >= {"s", "n"} for one in said] == [True] * 3
    assert said[1] == {"s": "failed", "w": "not_an_image", "n": "not judged"}
    assert said[0]["m"] == said[2]["m"] == "spots@1"


def test_by_the_apps_choice_the_plain_form_and_several_check_ups(live: Live) -> None:
    files = {"image": ("a.png", png(3))}
    with live.client() as client:
        chosen = client.post("/api/v1/predict?brief=1", files=files)
        plain = client.post("/predict?brief=1", files=files, data={"user": "u" * 500, "model": "spots"})
        many = client.post("/api/v1/predict?brief=1&models=all", files=files).json()["predictions"]
        wrong = client.post("/api/v1/models/spots/predict?brief=1", files={"image": ("a.png", b"nothing")})
        unsure = client.post("/api/v1/models/spots/predict?brief=perhaps", files=files)
    assert len(chosen.content) <= BRIEF_BYTES and chosen.json()["s"]
    assert len(plain.content) <= BRIEF_BYTES and plain.json()["m"] == "spots@1"
    assert len(many) > 1 and all("s" in one for one in many)
    assert wrong.status_code == 415 and wrong.json()["error"]["code"] == "not_an_image"
    assert unsure.status_code == 422


def test_openapi_tells_it(live: Live) -> None:
    with live.client() as client:
        told = client.get("/openapi.json").json()
    for path in ("/api/v1/models/{name}/predict", "/api/v1/predict", "/predict"):
        assert "brief" in [p["name"] for p in told["paths"][path]["post"]["parameters"]], path
    assert set(told["components"]["schemas"]["BriefOut"]["required"]) == {"s", "l", "p", "m", "n"}
