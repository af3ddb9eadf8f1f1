"""Home: where to drop a picture, groups, marks from the cards, drawings to try, passports of shipped check-ups."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from live import Live, running
from medloupe.imaging.decode import load
from medloupe.model.strength import Strength, judge_strength
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.drawings import NUMBERS, can_draw, draw, draw_file, draw_small
from medloupe.serving.web.groups import GROUPS, group, group_of
from medloupe.serving.web.headline import state_word
from medloupe.serving.web.language import language
from medloupe.serving.web.tiles import describe_mark
from medloupe.starter.shipped import EVERYDAY, find_folders, load_shipped
from medloupe.store.models import Store
from trained import Trained
from visiting import browser, token

EN, FR = language("en"), language("fr")


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with browser(live) as opened:
        yield opened


@pytest.fixture(scope="module")
def own(_trained: Trained) -> CheckUp:
    return CheckUp.of(Store(_trained.home).get("spots"))


# ------------------------------------------------------------------ groups and marks


def test_every_shipped_check_up_has_a_group(own: CheckUp) -> None:
    cards = [json.loads((p / "card.json").read_text("utf-8")) for p in find_folders().values()]
    shown = [replace(own, name=c["name"], version=None, looks_at=c["kind"]) for c in cards if c["modality"] == "image"]
    assert all(group_of(c) not in ("own", "everyday") for c in shown)
    everyday = replace(own, name=EVERYDAY, version=None)
    grouped = group([*shown, everyday, own])
    assert [name for name, _ in grouped] == [name for name in GROUPS if name != "heart"]
    assert sum(len(found) for _, found in grouped) == len(shown) + 2
    assert (group_of(own), group_of(everyday)) == ("own", "everyday")
    assert group_of(replace(own, looks_at=" Chest X-Ray ")) == "chest", "trained here, but of a known kind"


def test_pages_say_what_the_data_allow(tmp_path: Path) -> None:
    with running(tmp_path / "home", MEDLOUPE_STARTERS="malaria,skin,retina") as live, browser(live) as client:
        first = client.get("/")
        home = first.text
        assert home.count('class="terms"') == 2
        assert home.count("Non-commercial use only") == home.count("Research only") == 1
        assert "may be used for nothing else" in client.get("/checkups/skin").text
        assert "may be used for nothing else" not in client.get("/checkups/malaria").text
        for name, drawn, said in (
            ("skin", "skin", "non-commercial use only"),
            ("retina", "eye", "for research and for nothing else"),
        ):
            sent = {"image": ("x.jpg", draw_file(drawn, 0)[1])}
            told = {"csrf": token(first)}
            assert said in client.post(f"/checkups/{name}", data=told, files=sent, follow_redirects=True).text
        assert "Usage non commercial seulement" in client.get("/?lang=fr").text


@pytest.mark.parametrize("words", [EN, FR])
def test_a_mark_says_by_what(words: object) -> None:
    strong = Strength(mark="strong", low=0.943, examples=1200, groups=800)
    weak = Strength(mark="weak", low=0.7, examples=90, groups=20, false_flags=0.6, elsewhere=0.66, misses=True)
    said = describe_mark(strong, EN)
    assert (said.word, said.because) == (
        "Strong",
        "Ranks at least 94 of 100 pairs rightly. Judged on 1,200, of 800 patients or groups.",
    )
    told = describe_mark(weak, EN).because
    assert all(part in told for part in ("60 of 100 without", "At another place at least 66", "misses too many"))
    assert describe_mark(judge_strength({}), FR).word == "Non évalué"


# ------------------------------------------------------------------ drawings


@pytest.mark.parametrize("name", [n for n in GROUPS if can_draw(n)])
def test_drawings_are_the_same_every_time_and_differ(name: str) -> None:
    plain, odd = (np.asarray(Image.open(io.BytesIO(draw(name, n)))) for n in NUMBERS)
    assert plain.shape == odd.shape and plain.std() > 10
    assert (plain != odd).mean() > 0.005, "one has something in it that stands out"
    for n in NUMBERS:
        before = draw(name, n), draw_small(name, n), draw_file(name, n)
        for kept in (draw, draw_small, draw_file):
            kept.cache_clear()
        assert (draw(name, n), draw_small(name, n), draw_file(name, n)) == before
        assert len(draw_small(name, n)) < 6000
        file, data = draw_file(name, n)
        if file.endswith(".png"):
            assert load(data, 64).shape == (64, 64, 3)


def test_what_is_of_no_known_kind_has_no_drawing() -> None:
    assert not can_draw("own")


def test_one_click_asks_about_a_drawing(live: Live, client: httpx.Client) -> None:
    home = client.get("/")
    assert 'action="/checkups/imagenet/drawing"' in home.text
    assert 'action="/checkups/spots/drawing"' not in home.text, "nobody knows what its pictures look like"
    for number in NUMBERS:
        asked = client.post("/checkups/imagenet/drawing", data={"csrf": token(home), "number": str(number)})
        assert asked.status_code == 303
        page = client.get(asked.headers["location"])
        assert EN.t("try.alias") in page.text and html.escape(EN.t("try.text"), quote=False) in page.text
        id = asked.headers["location"].rpartition("answer=")[2]
        with live.client() as program:
            said = program.get(f"/api/v1/predictions/{id}").json()
            assert program.get(f"/api/v1/predictions/{id}/image").status_code == 404, "never kept for retraining"
        assert state_word(said["state"], EN) in page.text and not said["image_kept"]
        rows = client.get("/history", params={"search": EN.t("try.alias")})
        assert f"/predictions/{id}" in rows.text, "in the history it is called what it is"
        client.post(f"/predictions/{id}/delete", data={"csrf": token(home)})
        assert EN.t("try.said") not in client.get(asked.headers["location"]).text
    for bad in ("7", "", "x"):
        form = {"csrf": token(home), "number": bad}
        assert client.post("/checkups/imagenet/drawing", data=form).status_code == 404
    assert client.post("/checkups/spots/drawing", data={"csrf": token(home), "number": "0"}).status_code == 404
    assert client.post("/checkups/imagenet/drawing", data={"number": "0"}).status_code == 403


def test_drawings_are_served(client: httpx.Client) -> None:
    assert client.get("/drawings/chest/1.png").headers["content-type"] == "image/png"
    assert client.get("/drawings/heart/0.jpg").headers["content-type"] == "image/jpeg"
    for path in ("/drawings/own/0.png", "/drawings/chest/2.png", "/drawings/x/0.jpg", "/drawings/chest/-1.png"):
        assert client.get(path).status_code in (404, 422), path


# ------------------------------------------------------------------ the page


@pytest.mark.parametrize("code", ["en", "fr"])
def test_home_has_one_place_to_drop_a_picture(live: Live, code: str) -> None:
    words = EN if code == "en" else FR
    with browser(live, **{"Accept-Language": code}) as client:
        page = client.get("/").text
    assert page.count("data-drop") == 1 and 'action="/choose"' in page
    assert html.escape(words.t("start.drop")) in page
    shown = re.findall(r'<h3 id="g-(\w+)">', page)
    assert shown == [name for name in GROUPS if name in shown] and {"own", "everyday"} <= set(shown)
    assert set(re.findall(r'href="#g-(\w+)"', page)) == set(shown)
    assert page.count('class="mark ') == page.count('<li class="card">')


def test_a_passport_of_the_package_opens(client: httpx.Client) -> None:
    got = client.get(f"/models/{EVERYDAY}/passport")
    assert got.status_code == 200 and got.headers["content-type"].startswith("text/html")
    assert "sandbox" in got.headers["content-security-policy"]
    assert "Everyday objects" in got.text
    assert client.get("/models/pneumonia/passport").status_code == 404, "it is not offered here"
    assert f'href="/models/{EVERYDAY}/passport"' in client.get(f"/checkups/{EVERYDAY}").text


@pytest.mark.parametrize("path", sorted(find_folders().values()), ids=lambda p: p.name)
def test_every_shipped_card_makes_a_passport(path: Path) -> None:
    from medloupe.report.pages import render

    card = load_shipped(path.name).card
    page = render({"card": dict(card)})
    assert html.escape(card["split"]["sentence"][:60]) in page
    assert ("Non-commercial use only." in page) == (card["terms"] == "non-commercial")
    assert ("Research only." in page) == (card["terms"] == "research")
