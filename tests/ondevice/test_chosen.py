"""Where a picture chooses among check-ups on the device, it chooses and is answered as on the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import generated
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.inference.find import find_model
from medloupe.model.applies import read_applies
from medloupe.model.choosing import Opinion, choose_answer
from medloupe.model.decision import Decision
from medloupe.model.prediction import Prediction, Refusal
from medloupe.ondevice.card import describe_for_device, describe_rule
from medloupe.ondevice.kinds import describe_choosing
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.pictures import Answerer
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.sessions import Sessions
from medloupe.starter.shipped import load_shipped
from pocket import Browser, choosing, sample_pictures, saved, shipped_pictures

MOST = 1e-3  # that a probability may differ
NEAR = ("usual", "unusual", "far", None)
AGES = ["child", "adult"]
_CHOOSE = """async ([origin, cases]) => {
  const {chooseAnswer} = await import(`${origin}/choosing.js`);
  return cases.map(([opinions, told]) => {
    const {answers, ask} = chooseAnswer(opinions, told);
    return [answers.map(({name, said}) => [name, said.state, said.why, said.flagged]), ask];
  });
}"""


# ------------------------------------------------------------------ what is made of several answers


def opinion(rng: np.random.Generator, name: str) -> tuple[Opinion, dict[str, Any]]:
    """What a made-up check-up says of made-up probabilities, in Python and as the browser has it."""
    n, task = int(rng.integers(2, 5)), ("multiclass", "multilabel")[int(rng.integers(2))]
    labels = [f"l{k}" for k in range(n)]
    roles = {label: {"role": "sought", "danger": int(rng.integers(1, 3))} for label in labels}
    if rng.random() < 0.7:
        roles[labels[0]] = {"role": "normal"}
    lines = rng.choice([0.1, 0.3, 0.5, 0.7], n)
    few = {"measured": {"flagged_without": {"value": float(rng.choice([0.02, 0.2]))}}} if rng.random() < 0.6 else {}
    values = list(rng.choice(AGES, int(rng.integers(1, 3)), replace=False))
    applies = [{"question": "age", "values": values, "choices": AGES}] if rng.random() < 0.6 else []
    card = {
        "task": task,
        "labels": labels,
        "roles": {"by": "curated", "labels": roles},
        "per_label": [{"label": k, "operating_point": {"threshold": t}} for k, t in zip(labels, lines, strict=True)],
        "decision": {"unclear": float(rng.choice([0.2, 0.4])) if rng.random() < 0.5 else None, **few},
        "applies": applies,
    }
    decision = Decision.from_card(card)
    p = rng.dirichlet(np.full(n, 0.4)) if task == "multiclass" else rng.uniform(0, 1, n)
    refused = Refusal(reason="It is unlike all.", looks_like="") if rng.random() < 0.15 else None
    near = NEAR[int(rng.choice(4, p=[0.6, 0.2, 0.1, 0.1]))]
    made = Prediction.of(decision, p, refused=refused, file="a.png", model=name, version=1)
    one = Opinion(prediction=made, decision=decision, applies=read_applies(card), near=near)
    checkup: Any = SimpleNamespace(decision=decision, kind="kind", base="base", applies=one.applies)
    of = {"labels": labels, "task": task, "rule": describe_rule(decision), "choosing": describe_choosing(checkup)}
    said = made.said
    told = {"state": said.state, "why": said.why.code if said.why else None, "flagged": list(said.flagged)}
    return one, {"name": name, "said": told, "probabilities": dict(made.probabilities), "near": near, "card": of}


def test_several_answers_are_weighed_alike(modules: Browser) -> None:
    rng = np.random.default_rng(22)
    cases, expected, states = [], [], set()
    for _ in range(400):
        both = [opinion(rng, f"c{k}") for k in range(int(rng.integers(1, 5)))]
        told = {"age": str(rng.choice(AGES))} if rng.random() < 0.4 else {}
        said = choose_answer([one for one, _ in both], told).prediction
        cases.append([[other for _, other in both], told])
        answers = [[a.model, a.state, a.said.why and a.said.why.code, list(a.flagged)] for a in said.answers]
        ask = None if said.ask is None else {"question": said.ask.question, "choices": list(said.ask.choices)}
        expected.append([answers, ask])
        states |= {why or state for _, state, why, _ in answers} | ({"ask"} if ask else set())
    assert states >= {"over_line", "unasked", "unfamiliar", "no_normal", "foreign", "ask", "clear"}
    assert modules.page.evaluate(_CHOOSE, [modules.origin, cases]) == expected


# ------------------------------------------------------------------ held against the server

Ask = Callable[[bytes, Mapping[str, str]], Prediction]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Sequence[CheckUp]], Ask]]:
    """The part of the server that answers pictures, for check-ups of one's choice."""
    with DecoderPool(1) as decoders:
        sessions = Sessions(2**30, tmp_path_factory.mktemp("graphs"), 1)

        def make(checkups: Sequence[CheckUp]) -> Ask:
            answerer = Answerer(sessions, decoders, idle=lambda: True)
            answerer.route_among(checkups)
            catalog: Any = SimpleNamespace(all=lambda: list(checkups))

            def ask(data: bytes, told: Mapping[str, str]) -> Prediction:
                fields = {"photo": "never", **{f"applies.{name}": value for name, value in told.items()}}
                return answerer.ask(catalog, None, Question(data=data, fields=fields)).prediction

            return ask

        yield make


def compare(made: Mapping[str, Any], said: Prediction) -> str:
    """Assert that the browser says what the server says; the name of the main answer's check-up, or ""."""
    if not said.answers:
        assert made["answers"] == []
        nobody = made["nobody"] or {"state": "refused", "why": "not_meant"}  # as the page shows it
        assert nobody == {"state": said.state, "why": said.said.why and said.said.why.code}
        return ""
    assert made["nobody"] is None
    told = [(a["name"], a["said"]["state"], a["said"]["why"], a["said"]["flagged"]) for a in made["answers"]]
    assert told == [(a.model, a.state, a.said.why and a.said.why.code, list(a.flagged)) for a in said.answers]
    for answer, other in zip(made["answers"], said.answers, strict=True):
        assert list(answer["probabilities"]) == list(other.probabilities)
        for label, p in other.probabilities.items():
            assert abs(answer["probabilities"][label] - p) <= MOST, label
    ask = None if said.ask is None else {"question": said.ask.question, "choices": list(said.ask.choices)}
    assert made["ask"] == ask
    return said.model


SETS = {"brain_mri": 4, "breast_ultrasound": 3, "chest_pneumonia": 8, "covid_cxr": 6, "fundus": 8, "malaria": 4}
SETS |= {"monkeypox": 3, "skin": 4, "cats_dogs": 4, "ecg_images": 3, "polyp_boxes": 2, "head_ct": 2}


@pytest.mark.realdata
@pytest.mark.slow
def test_pictures_choose_alike(
    chromium: Any,
    web_runtime: Path,
    server: Callable[[Sequence[CheckUp]], Ask],
    real_sets: Path,
    home: object,
    tmp_path: Path,
) -> None:
    checkups = [CheckUp.of(load_shipped(name)) for name in shipped_pictures()]
    ask, seen, whys = server(checkups), {}, set()
    with choosing(chromium, tmp_path / "web", checkups) as choose:
        for name, count in SETS.items():
            for path in sample_pictures(real_sets / name, count, 5):
                data = path.read_bytes()
                said = ask(data, {})
                seen.setdefault(name, set()).add(compare(choose(data), said))
                whys.add(said.said.why.code if said.said.why else said.state)
                for choice in said.ask.choices if said.ask else ():
                    told = {said.ask.question: choice} if said.ask else {}
                    compare(choose(data, told=told), ask(data, told))
        film = Image.open(sample_pictures(real_sets / "chest_pneumonia", 1, 6)[0]).convert("L")
        for image in (ImageOps.invert(film), film.resize((20, 18)), film.point([v // 14 for v in range(256)])):
            said = ask(data := saved(image, "PNG"), {})
            compare(choose(data), said)
            whys.add(said.said.why.code if said.said.why else said.state)
    assert seen["cats_dogs"] == {""}
    assert seen["brain_mri"] - {""} == {"brain-tumour"}
    assert {"retina", "retina-referable"} & seen["fundus"]  # two of one kind
    assert {"foreign", "printed_ecg", "inverted", "too_small"} <= whys


@pytest.mark.realdata
@pytest.mark.slow
def test_what_only_the_server_answers_is_told(
    chromium: Any, web_runtime: Path, real_sets: Path, home: object, tmp_path: Path
) -> None:
    checkups = [CheckUp.of(load_shipped(name)) for name in ("malaria", "pneumonia", "heart_size", "blood_cells")]
    with choosing(chromium, tmp_path / "web", checkups) as choose:
        smears = [choose(p.read_bytes()) for p in sample_pictures(real_sets / "blood_cells", 3, 1)]
        films = [choose(p.read_bytes()) for p in sample_pictures(real_sets / "chest_pneumonia", 3, 1)]
    assert all(made["nobody"] == {"state": "refused", "why": "elsewhere"} for made in smears)
    assert all(made["elsewhere"] == ["blood_cells"] and made["kinds"] == 0 for made in smears)
    assert all(made["elsewhere"] == ["heart_size"] and made["kinds"] == 1 for made in films)


@pytest.mark.slow
def test_a_question_is_answered_alike(
    chromium: Any,
    web_runtime: Path,
    server: Callable[[Sequence[CheckUp]], Ask],
    home_of_choices: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Two of a kind, one for adults, which cannot say normal; a third is asked by the server alone."""
    monkeypatch.setenv("MEDLOUPE_HOME", str(home_of_choices))
    children, blunt, own = (CheckUp.of(find_model(name)) for name in ("children", "blunt", "own"))
    ask = server([blunt, children])
    with choosing(chromium, tmp_path / "web", [blunt, children, own]) as choose:
        for seed, sick in ((5, False), (5, True), (8, True)):
            data = saved(Image.fromarray(generated.tissue(seed, sick)), "PNG")
            assert compare(choose(data), said := ask(data, {})) == "children"
            assert said.ask is not None  # of an adult nothing is said
            for told in ({"age": "child"}, {"age": "adult"}):
                compare(choose(data, told=told), ask(data, told))
            assert choose(data)["elsewhere"] == ["own"]
        noise = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (190, 224, 3), np.uint8)), "PNG")
        assert compare(choose(noise), ask(noise, {})) == ""


def test_a_card_tells_of_choosing(home: object) -> None:
    card = describe_for_device(CheckUp.of(load_shipped("pneumonia")), {}).card
    told = card["choosing"]
    assert (told["kind"], told["says_normal"], told["applies"][0]["values"]) == ("kind chest x-ray", True, ("child",))
    assert card["novelty"]["can_choose"] and 0 < card["novelty"]["usual"] < 1
