"""All check-ups of a kind answer where the app chooses, over HTTP, on the page and on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

import generated
from generated import run
from live import Live
from medloupe.model.decision import Said, Why
from medloupe.model.prediction import Influence, Prediction
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.rows import journal_json
from medloupe.serving.web.language import language
from visiting import browser, token

EN = language("en")


def png(number: int = 3, sick: bool = True) -> bytes:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(number, sick)).save(out, "PNG")
    return out.getvalue()


def asked(live: Live, data: bytes, path: str = "/api/v1/predict", **fields: str) -> dict[str, Any]:
    with live.client() as client:
        said = client.post(path, files={"image": ("a.png", data)}, data=fields)
    assert said.status_code == 200, said.text
    return said.json()


def by_model(said: dict[str, Any]) -> dict[str, Any]:
    return {a["model"]: a for a in said["answers"]}


@pytest.mark.parametrize("sick", [False, True])
def test_all_of_the_kind_answer_from_one_question(live_of_choices: Live, sick: bool) -> None:
    said = asked(live_of_choices, png(5, sick))
    answers = by_model(said)
    assert set(answers) == {"children", "blunt", "own"}
    first = said["answers"][0]
    assert {k: said[k] for k in first} == first, "the main answer is the first of them"
    assert answers["children"]["scope"] == "children" and answers["blunt"]["scope"] == "adults · cannot say normal"
    direct = live_of_choices.ask("children", png(5, sick)).json()
    assert answers["children"]["probabilities"] == pytest.approx(direct["probabilities"], abs=1e-5)
    assert answers["own"]["probabilities"] == pytest.approx(direct["probabilities"], abs=1e-3)
    assert said["ask"] == {"question": "age", "choices": ["child", "adult"]}, "an adult would be refused"
    assert not any({"file", "answers", "ask", "ecg"} & set(a) for a in said["answers"])
    assert live_of_choices.ask("blunt", png(5, sick)).json()["state"] == "flagged", "asked by name it answers"


def test_what_cannot_say_normal_leads_no_healthy_picture(live_of_choices: Live) -> None:
    said = asked(live_of_choices, png(5, False))
    assert said["state"] == "clear" and said["model"] in ("children", "own")
    blunt = by_model(said)["blunt"]
    assert (blunt["state"], blunt["why"]["code"], blunt["prediction"]) == ("refused", "no_normal", "")
    sick = asked(live_of_choices, png(5, True))
    assert (sick["state"], sick["flagged"], sick["prediction"]) == ("flagged", ["sick"], "sick")
    assert by_model(sick)["blunt"]["state"] == "flagged" and sick["model"] != "blunt"


def test_a_question_is_answered_in_the_form_or_the_address(live_of_choices: Live) -> None:
    picture = png(5, True)
    child = asked(live_of_choices, picture, **{"applies.age": "child"})
    adult = asked(live_of_choices, picture, path="/api/v1/predict?applies.age=adult")
    assert set(by_model(child)) == {"children", "own"} and child["state"] == "flagged"
    assert set(by_model(adult)) == {"blunt"} and (adult["state"], adult["model"]) == ("refused", "blunt")
    assert adult["why"]["code"] == "no_normal" and adult["refused"]["looks_like"] == "blunt"
    assert "ask" not in child and "ask" not in adult
    with live_of_choices.client() as client:
        kind = {"Content-Type": "image/png"}
        raw = client.post("/api/v1/predict?applies.age=ADULT", content=picture, headers=kind).json()
        assert set(by_model(raw)) == {"blunt"}
        wrong = client.post("/api/v1/predict?applies.age=old", files={"image": picture})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid_input")
        assert "child, adult" in wrong.json()["error"]["message"]
        plain = client.post("/predict", data={"applies.age": "adult"}, files={"image": picture}).json()
        assert set(by_model(plain)) == {"blunt"}
    other = asked(live_of_choices, picture, **{"applies.view": "side", "age": "55"})
    assert set(other["ignored"]) == {"applies.view", "age"}


def test_the_journal_keeps_them_all_in_short(live_of_choices: Live) -> None:
    said = asked(live_of_choices, png(6, True))
    with live_of_choices.client() as client:
        kept = client.get(f"/api/v1/predictions/{said['id']}").json()
    assert [(a["model"], a["state"]) for a in kept["answers"]] == [(a["model"], a["state"]) for a in said["answers"]]
    assert kept["answers"][0]["probabilities"] == said["answers"][0]["probabilities"]
    assert (kept["state"], kept["model"], kept["probabilities"]) == (
        said["state"],
        said["model"],
        said["probabilities"],
    )


def test_what_is_remembered_of_many_check_ups_stays_small() -> None:
    """Forty check-ups of a thousand labels, with what was given beside the picture."""
    labels = {f"label {i:04}": 1 / (i + 1) for i in range(1000)}
    why = Why(code="over_line", text="It is over its line.")
    flagged = tuple(labels)[-30:]
    secret = Influence(name="age", value="63 years", effect=dict.fromkeys(labels, 0.1))
    one = Prediction(
        file="a.png",
        model="m",
        version=1,
        said=Said(state="flagged", why=why, prediction="label 0000", flagged=flagged),
        probabilities=labels,
        inputs=(secret,),
    )
    main = Prediction(file="a.png", model="m", version=1, said=one.said, probabilities={"a": 1.0}, answers=(one,) * 40)
    kept = journal_json(Answer(id="0", digest="", prediction=main, checkup=None), kept=False)
    text = json.dumps(kept)
    assert len(text) < 30_000 and "63 years" not in text and "effect" not in text
    assert len(kept["answers"]) == 12
    first = kept["answers"][0]
    assert first["state"] == "flagged" and first["flagged"] == list(flagged[:12])
    assert {"label 0000", *flagged[:12]} <= set(first["probabilities"])


def test_the_command_line_says_what_the_server_says(
    live_of_choices: Live, home_of_choices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(home_of_choices))
    for sick in (False, True):
        file = generated.save(tmp_path / f"{sick}.png", generated.tissue(7, sick))
        for fields in ({}, {"age": "adult"}, {"age": "child"}):
            options = [f"--with={name}={value}" for name, value in fields.items()]
            (line,) = run(capsys, "predict", "auto", file, "--json", *options).lines
            told = {f"applies.{name}": value for name, value in fields.items()}
            said = asked(live_of_choices, file.read_bytes(), **told)
            assert {a: b["state"] for a, b in by_model(line).items()} == {
                a: b["state"] for a, b in by_model(said).items()
            }
            assert (line["model"], line["state"], line["flagged"]) == (said["model"], said["state"], said["flagged"])
            assert line.get("ask") == said.get("ask")
    wrong = run(capsys, "predict", "auto", file, "--with", "age=old")
    assert wrong.code == 2 and "child, adult" in wrong.err
    unknown = run(capsys, "predict", "auto", file, "--with", "sex=f")
    assert unknown.code == 2 and "age=child|adult" in unknown.err.replace("\n", "")


# ------------------------------------------------------------------ the page


def test_the_form_lets_the_question_be_answered_beforehand(live_of_choices: Live) -> None:
    with browser(live_of_choices) as client:
        form = client.get("/choose?applies.age=adult").text
        assert EN.t("applies.age") in form and 'name="applies.age"' in form
        assert '<option value="adult" selected>' in form and "question.css" in form
        assert 'name="applies.age"' not in client.get("/checkups/own").text
        data = {"csrf": token(client.get("/choose")), "applies.age": "adult"}
        sent = {"image": ("a.png", png(5, False))}
        page: httpx.Response = client.post("/choose", data=data, files=sent, follow_redirects=True)
        assert page.status_code == 200 and "Blunt" in page.text and "Children" not in page.text
