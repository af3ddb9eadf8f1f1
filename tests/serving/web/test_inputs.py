"""What is asked beside the picture, and how a result shows what it did: the words, the numbers and the pages."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import generated
import several
import tiny
from live import Live
from medloupe.imaging.decode import load
from medloupe.inference.pictures import Predictor
from medloupe.inputs.clinical import Column
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web import inputs
from medloupe.serving.web.language import language
from visiting import ask, browser, png, token

EN, FR = language("en"), language("fr")
PATH = "/checkups/several"


@pytest.fixture(params=["multiclass", "multilabel"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Model:
    return several.model(tmp_path, request.param)


# ------------------------------------------------------------------ what is asked


def test_fields_are_the_models_in_the_readers_language(model: Model) -> None:
    age, sex, place, notes = inputs.input_fields(CheckUp.of(model), EN)
    assert (age.title, age.kind, age.field) == ("Age", "number", "input.age")
    assert re.fullmatch(r"usually \d+ to \d+ years", age.hint)
    assert dict(sex.choices) == {"F": "Female", "M": "Male"}
    assert (place.title, notes.title) == ("Place", "History")
    assert [said for _, said in place.choices] == sorted(said for _, said in place.choices)
    assert "No names" in notes.hint
    french = inputs.input_fields(CheckUp.of(model), FR)
    assert french[0].title == "Âge" and french[0].hint.endswith("ans")
    assert dict(french[1].choices) == {"F": "Féminin", "M": "Masculin"}
    assert french[2].title == "Place", "what has no translation stays as it is"
    assert inputs.input_fields(CheckUp.of(replace(model, extras=None)), EN) == ()


@pytest.mark.parametrize(
    ("text", "english", "french"),
    [
        ("72 years", "72\u00a0years", "72\u00a0ans"),
        ("38.5", "38.5", "38,5"),
        ("12000", "12,000", "12\u202f000"),
        (
            "120 years (taken as 88, the highest in training)",
            "120\u00a0years, taken as 88, the highest in training",
            "120\u00a0ans, compté comme 88, le maximum à l’entraînement",
        ),
        (
            "2 years (taken as 19, the lowest in training)",
            "2\u00a0years, taken as 19, the lowest in training",
            "2\u00a0ans, compté comme 19, le minimum à l’entraînement",
        ),
        (
            "tail (not seen in training, not used)",
            "tail, not seen in training and not used",
            "tail, jamais vu à l’entraînement, non utilisé",
        ),
        ("1e400", "1e400", "1e400"),
        ("nan years", "nan years", "nan years"),
    ],
)
def test_values_are_said_in_words(text: str, english: str, french: str) -> None:
    assert inputs.input_value("age", text, EN) == english
    assert inputs.input_value("age", text, FR) == french


def test_choices_are_said_in_words() -> None:
    assert inputs.input_value("localization", "lower extremity", FR) == "Jambe"
    assert inputs.input_value("Sex", "f", FR) == "Féminin"
    assert inputs.input_value("smoker", "YES", FR) == "Oui"
    assert inputs.input_value("colour", "m", FR) == "m", "what m means elsewhere nobody knows"


def test_every_spoken_value_is_one_that_columns_say() -> None:
    """The words are matched to what clinical.Column says of a value."""
    age = Column.fit("age", [str(a) for a in range(20, 80)])
    place = Column.fit("place", ["back", "face"] * 20)
    assert age is not None and place is not None
    assert inputs.input_value("age", age.describe("130"), FR).startswith("130\u00a0ans, compté comme")
    assert inputs.input_value("age", age.describe("1"), FR).endswith("le minimum à l’entraînement")
    assert "jamais vu" in inputs.input_value("place", place.describe("tail"), FR)


# ------------------------------------------------------------------ what moved the answer


def test_shares_are_exact(model: Model) -> None:
    """Bars as long as the parts, and percentages as if a part were not there."""
    answer = Predictor(model).predict(generated.tissue(3, True), several.GIVEN)
    several_labels = model.card["task"] == "multilabel"
    label = max(answer.probabilities, key=lambda n: answer.probabilities[n])
    found = inputs.describe_effects(answer.as_json(), label, "it", several_labels, EN)
    assert found is not None and answer.inputs is not None
    assert [s.title.partition(":")[0] for s in found.shares] == ["The picture", "Age", "Sex", "Place", "History"]
    pull = [i.toward(label, several=several_labels) for i in answer.inputs]
    widths = [s.width if s.towards else -s.width for s in found.shares[1:]]
    np.testing.assert_allclose(np.array(widths) / np.abs(widths).max(), pull / np.abs(pull).max(), atol=0.01)
    assert max(s.width for s in found.shares) == pytest.approx(50, abs=0.01)
    assert all(s.start == (50 if s.towards else pytest.approx(50 - s.width)) for s in found.shares)
    alone = Predictor(model).predict(generated.tissue(3, True)).probabilities[label]
    assert found.sentence == (
        f"By the picture alone {EN.percent(alone)}; with what else is known {EN.percent(answer.probabilities[label])}."
    )
    z = Predictor(replace(model, extras=None)).run(_pixels())[0][0]
    for left_out, share in zip(answer.inputs, found.shares[1:], strict=True):
        rest = sum(np.array([i.effect[n] for n in model.labels]) for i in answer.inputs if i is not left_out)
        p = probabilities(z + rest, model.card["task"])[model.labels.index(label)]
        assert share.without == EN.percent(float(p))


def _pixels() -> np.ndarray:
    return load(generated.tissue(3, True), tiny.SIZE)[None]


def test_what_is_not_told_is_not_shown(model: Model) -> None:
    said = Predictor(replace(model, extras=None)).predict(generated.tissue(3, True)).as_json()
    label = next(iter(said["probabilities"]))
    assert inputs.describe_effects(said, label, "it", False, EN) is None
    none = inputs.describe_effects({**said, "inputs": []}, label, "it", False, EN)
    assert none is not None and none.shares == () and "alone" in none.sentence
    names = inputs.describe_effects(
        {**said, "inputs": [{"name": "age"}, {"name": "shoe_size"}]}, label, "it", False, FR
    )
    assert names is not None and names.shares == ()
    assert "Âge et Shoe size" in names.sentence and "n’est pas conservé" in names.sentence


def test_certainty_is_no_obstacle(model: Model) -> None:
    labels = model.labels
    p = dict.fromkeys(labels, 0.0) | {labels[0]: 1.0}
    one = {"name": "age", "value": "5", "effect": dict.fromkeys(labels, 0.0)}
    found = inputs.describe_effects({"probabilities": p, "inputs": [one]}, labels[0], "it", False, EN)
    assert found is not None and found.shares[1].width == 0
    assert found.shares[0].width == pytest.approx(50)


# ------------------------------------------------------------------ the pages, without scripts


def test_the_form_asks_for_what_the_model_reads_and_no_more(live_of_several: Live) -> None:
    with browser(live_of_several) as client:
        page, plain = client.get(PATH).text, client.get("/checkups/plain").text
        french = client.get(PATH, headers={"Accept-Language": "fr"}).text
    names = re.findall(r'name="(input\.[^"]+)"', page)
    assert names == ["input.age", "input.sex", "input.place", "input.history"]
    assert "input." not in plain and "beside" not in plain
    assert "All of it is optional" in page and " required" not in page
    assert '<option value="F">Female</option>' in page
    assert html.escape("Ce que l’on sait d’autre") in french and '<option value="F">Féminin</option>' in french
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'aria-describedby="([^"]+)"', page)) <= set(ids)


def test_the_result_says_what_moved_it(live_of_several: Live) -> None:
    with browser(live_of_several) as client:
        csrf = token(client.get(PATH))
        given = {"input.age": "63", "input.sex": "F", "input.place": "", "input.history": "<b>dry</b> cough"}
        part = {"X-Part": "1"}  # as the script asks, which keeps it in the browser
        page = client.post(PATH, data={"csrf": csrf, **given}, files=[("image", ("a.png", png()))], headers=part)
        assert page.status_code == 200
        assert not re.search(r"<[^>]+\s(style|on\w+)=", page.text), "the policy forbids these"
        text = html.unescape(page.text)
        assert "By the picture alone" in text
        for said in ("The picture", "Age: 63\u00a0years", "Sex: Female", "History: <b>dry</b> cough"):
            assert f'<span class="name">{said}</span>' in text
        assert "<b>dry" not in page.text
        assert text.count('<line class="limit" x1="50"') == text.count("without it") + 1
        bare = html.unescape(ask(client, ("a.png", png()), path=PATH).text)
        assert "Nothing was given beside the picture" in bare
        plain = ask(client, ("a.png", png()), path="/checkups/plain").text
        assert 'class="moved"' not in plain


def test_what_cannot_be_read_is_said_on_the_page(live_of_several: Live) -> None:
    with browser(live_of_several, **{"Accept-Language": "fr"}) as client:
        csrf = token(client.get(PATH))
        page = client.post(PATH, data={"csrf": csrf, "input.age": "vieux"}, files=[("image", ("a.png", png()))])
    assert page.status_code == 422
    assert "Une valeur saisie est illisible" in page.text
    assert "Âge\u00a0: «\u00a0vieux\u00a0» n’est pas un nombre" in page.text


def test_the_history_names_what_was_given_and_not_what_it_was(live_of_several: Live) -> None:
    with browser(live_of_several) as client:
        csrf = token(client.get(PATH))
        page = client.post(
            PATH,
            data={"csrf": csrf, "input.age": "63", "input.sex": "F"},
            files=[("image", ("a.png", png()))],
            follow_redirects=True,
        )
        id = re.search(r"/predictions/([0-9a-f]{32})/feedback", page.text)
        assert id
        later = html.unescape(client.get(f"/predictions/{id[1]}").text)
    assert "Given beside the picture: Age and Sex. What was entered is not kept." in later
    assert "63" not in re.sub(r"[0-9a-f]{12,}", "", later.partition('class="moved"')[2].partition("</section>")[0])
