"""The pages, asked of real servers as a browser without scripts would."""

from __future__ import annotations

import gzip
import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from clinic import PASSWORD
from live import Live
from medloupe.errors import UnreadableImageError
from medloupe.serving.http.errors import as_http
from medloupe.serving.web.emblem import draw_emblem
from medloupe.serving.web.failures import view_failure
from medloupe.serving.web.language import language
from trained import Trained
from visiting import ask, browser, png, token

EN, FR = language("en"), language("fr")
PATHS = (
    "/",
    "/checkups/spots",
    "/choose",
    "/history",
    "/models",
    "/models/spots",
    "/about",
    "/docs",
    "/audit",
    "/nope",
)


@contextmanager
def log_in(live: Live, name: str) -> Iterator[httpx.Client]:
    with browser(live) as client:
        page = client.get("/login")
        done = client.post("/login", data={"csrf": token(page), "name": name, "password": PASSWORD, "next": "/models"})
        assert (done.status_code, done.headers["location"]) == (303, "/models")
        yield client


@pytest.fixture
def ada(clinic: Live) -> Iterator[httpx.Client]:
    with log_in(clinic, "ada") as client:
        yield client


# ------------------------------------------------------------------ every page


@pytest.mark.parametrize("code", ["en", "fr"])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_safe_whole_and_in_its_language(live: Live, path: str, code: str) -> None:
    with browser(live, **{"Accept-Language": code}) as client:
        page = client.get(path)
    assert page.status_code == (404 if path == "/nope" else 200)
    text = page.text
    assert f'<html lang="{code}">' in text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"<[^>]+\s(style|on\w+)=", text), "the policy forbids these"
    assert not re.search(r"<script(?![^>]* src=)|<style", text)
    # Nothing is loaded from elsewhere: the only whole address is this server's own, in the manual of the API.
    assert {u for u in re.findall(r"https?://[^\s\"'<]+", text) if not u.startswith(live.url)} == set()
    assert html.escape((EN if code == "en" else FR).t("device.short"), quote=False) in text
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'<label[^>]* for="([^"]+)"', text)) <= set(ids)
    for part in ("<h1", "<main", 'class="skip"', "<title>"):
        assert text.count(part) == 1, part


def test_a_page_weighs_little(live: Live) -> None:
    with browser(live) as client:
        page = client.get("/checkups/spots")
        assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
        mark = next(iter(assets)).split("/")[2]
        assets |= {f"/static/{mark}/{name}" for name in ("asking.js", "reading.js", "kept.js", "viewer.js")}
        assert len(assets) >= 5
        total = len(gzip.compress(page.content))
        for path in assets:
            got = client.get(path)
            assert got.status_code == 200 and "immutable" in got.headers["cache-control"]
            assert got.headers["content-encoding"] == "gzip"
            total += int(got.headers["content-length"])
    assert total < 60_000


def test_static_files_are_these_and_no_others(live: Live) -> None:
    with browser(live) as client:
        assert client.get("/static/style.css").headers["cache-control"] == "no-cache"
        plain = client.get("/static/style.css", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.text.startswith("/*")
        for path in ("/static/", "/static/x.css", "/static/..%2Fapp.py", "/static/a/../../web.py"):
            assert client.get(path).status_code == 404


def test_the_language_that_was_chosen_is_remembered(live: Live) -> None:
    with browser(live, **{"Accept-Language": "en"}) as client:
        assert FR.t("home.title") in html.unescape(client.get("/?lang=fr").text)
        assert FR.t("models.title") in html.unescape(client.get("/models").text)
        assert EN.t("models.title") in client.get("/models?lang=en").text


def test_errors_are_pages_for_people_and_json_for_programs(live: Live) -> None:
    with live.client() as program, browser(live) as person:
        assert program.get("/checkups/nope").json()["error"]["code"] == "not_found"
        page = person.get("/checkups/nope")
        assert page.status_code == 404 and EN.t("error.404") in page.text
        assert person.get("//evil.example/x").text.count("//evil.example") == 0


# ------------------------------------------------------------------ asking without scripts


def test_upload_result_feedback_history_delete(live: Live) -> None:
    with browser(live) as client:
        page = ask(client, ("scan.png", png(5)))
        said = live.ask("spots", png(5)).json()
        assert page.status_code == 200
        for p in said["probabilities"].values():
            assert html.escape(EN.percent(p)) in page.text
        assert "spots, version 1" in page.text and "UTC" in page.text
        assert page.text.count("data:image/jpeg;base64,") == 1
        assert page.text.count("data:image/png;base64,") == 2  # a heat map for each label, made again of what is kept
        assert str(page.url).endswith(f"/results/{re.search('[0-9a-f]{32}', str(page.url))[0]}")
        assert "/models/spots/1/passport" in page.text
        assert EN.t("device.result") in page.text

        found = re.search(r'action="/predictions/([0-9a-f]{32})/feedback"', page.text)
        assert found
        id = found[1]
        form = {"csrf": token(page), "right": "no", "label": "normal"}
        done = client.post(f"/predictions/{id}/feedback", data=form)
        assert done.status_code == 303
        thanks = client.get(done.headers["location"])
        assert EN.t("feedback.thanks") in thanks.text and "You said: normal" in thanks.text
        with live.client() as program:
            kept = program.get(f"/api/v1/predictions/{id}").json()
        assert kept["feedback"] == {"right": False, "labels": ["normal"]}
        assert "data:image/jpeg" in thanks.text, "this server keeps images, and shows them again"

        assert f"/predictions/{id}" in client.get("/history").text
        gone = client.post(f"/predictions/{id}/delete", data={"csrf": token(page)})
        assert gone.headers["location"] == f"/history?deleted={id}"
        assert client.get(f"/predictions/{id}").status_code == 404
        assert f"/predictions/{id}" not in client.get("/history").text


def test_one_bad_picture_leaves_the_others_alone(live: Live) -> None:
    with browser(live) as client:
        page = ask(client, ("a.png", png(1)), ("notes.txt", b"not a picture"), ("b.png", png(2)))
        assert page.status_code == 200
        assert len(re.findall(r'<tr data-row="[0-9a-f]{32}"', page.text)) == 2
        assert (
            len(re.findall(r'<tr class="failed"><td><span class="chip failed">', page.text)) == 2
        )  # one in the template
        assert "notes.txt" in page.text
        assert EN.t("failed.not_an_image") in page.text


def test_a_script_gets_one_article_at_a_time(live: Live) -> None:
    with browser(live) as client:
        part = ask(client, ("a.png", png(1)), **{"X-Part": "1"})
        assert part.text.count("<article") == 1 and "<html" not in part.text
        bad = ask(client, ("a.png", png(1)[:200]), **{"X-Part": "1"})
        assert bad.status_code == 422 and "reading failed" in bad.text


def test_no_picture_is_said_kindly(live: Live) -> None:
    with browser(live) as client:
        page = ask(client, ("", b""))
        assert page.status_code == 422 and EN.t("error.no_image") in page.text


def test_file_names_are_escaped_and_forgotten(live: Live) -> None:
    name = 'Kovács <b>"1970"</b>.png'
    with browser(live) as client:
        part = ask(client, (name, png(7)), **{"X-Part": "1"})
        assert html.escape("Kovács <b>") in part.text and "<b>" not in part.text
        assert "Kovács" not in ask(client, (name, png(7))).text, "the server has forgotten it"
        listed = ask(client, (name, png(7)), ("b.txt", b"no picture"))
        assert html.escape("Kovács <b>") in listed.text and "<b>" not in listed.text
        assert "Kovács" not in client.get("/history").text
    assert "Kov" not in live.log.read_text("utf-8")


def test_forms_of_others_are_refused(live: Live) -> None:
    with browser(live) as client:
        client.get("/")
        files = [("image", ("a.png", png()))]
        assert client.post("/checkups/spots", data={"csrf": "x" * 32}, files=files).status_code == 403
        assert client.post("/checkups/spots", files=files).status_code == 403
        for path in (
            "/predictions/x/feedback",
            "/predictions/x/delete",
            "/models/spots/promote",
            "/models/spots/rollback",
        ):
            assert client.post(path, data={"version": "1"}).status_code == 403
    evil = {"Accept": "text/html", "Origin": "https://evil.example"}
    assert httpx.post(live.url + "/checkups/spots", files=files, headers=evil).status_code == 403


def test_broken_forms_are_refused_and_nothing_worse(live: Live) -> None:
    with browser(live) as client:
        csrf = token(client.get("/checkups/spots"))
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for body in (b"\xff\xfe=%", b"csrf=" + csrf.encode() + b"&right=%00", b"a&" * 600, b"x" * 70_000, b"%zz"):
            got = client.post("/predictions/0/feedback", content=body, headers=kind)
            assert 400 <= got.status_code < 500, body[:20]
        assert client.post("/predictions/0/feedback", json={}).status_code == 415
        for path in ("/predictions/%00", "/predictions/x", "/checkups/%00", "/history?before=%00"):
            assert client.get(path).status_code < 500, path


def test_let_the_app_choose(live: Live) -> None:
    with browser(live) as client:
        page = ask(client, ("a.png", png(3)), path="/choose")
        with live.client() as program:
            said = program.post("/api/v1/predict", files={"image": png(3)})
        if said.status_code == 200 and said.json()["model"]:
            assert f"{EN.t('choose.chose')} Spots" in page.text
        else:
            assert page.status_code in (200, said.status_code)


# ------------------------------------------------------------------ models


def test_passport_and_file(live: Live, _trained: Trained) -> None:
    with browser(live) as client:
        passport = client.get("/models/spots/1/passport")
        assert "sandbox" in passport.headers["content-security-policy"]
        assert passport.headers["content-type"].startswith("text/html") and "AUC" in passport.text
        assert client.get("/models/spots/1/model.onnx").content == _trained.onnx.read_bytes()
        assert client.get("/models/spots/9/passport").status_code == 404


def test_promote_refused_forced_and_rolled_back(ada: httpx.Client) -> None:
    page = ada.get("/models/spots?a=2&b=1")
    assert page.text.count("<option") >= 4 and "0." in page.text
    assert EN.t("models.passed", a="2", b="1") not in page.text
    csrf = token(page)
    refused = ada.post("/models/spots/promote", data={"csrf": csrf, "version": "2"})
    assert refused.status_code == 409 and EN.t("models.refused") in refused.text
    unreasoned = ada.post("/models/spots/promote", data={"csrf": csrf, "version": "2", "force": "yes", "reason": " "})
    assert unreasoned.status_code >= 400
    form = {"csrf": csrf, "version": "2", "force": "yes", "reason": "a <drill>"}
    forced = ada.post("/models/spots/promote", data=form)
    assert forced.headers["location"] == "/models/spots?promoted=2"
    try:
        after = ada.get("/models/spots?promoted=2")
        assert "Version 2 answers now." in after.text and "a &lt;drill&gt;" in after.text
        assert "spots, version 2" in ada.get("/checkups/spots").text
    finally:
        back = ada.post("/models/spots/rollback", data={"csrf": csrf, "reason": "end of the drill"})
    assert back.headers["location"] == "/models/spots?promoted=1"
    assert "promote.refused" in ada.get("/audit").text
    assert "spots, version 1" in ada.get("/checkups/spots").text
    for nonsense in ("two", "1" * 20, "-1", ""):
        assert ada.post("/models/spots/promote", data={"csrf": csrf, "version": nonsense}).status_code == 422


# ------------------------------------------------------------------ people


def test_without_a_log_in_there_is_the_log_in_and_what_this_is(clinic: Live) -> None:
    with browser(clinic) as client:
        for path in ("/", "/checkups/spots", "/history", "/models/spots", "/users", "/audit", "/account", "/docs"):
            sent = client.get(path)
            assert (sent.status_code, sent.headers["location"]) == (303, f"/login?next={path}")
        assert client.get("/about").status_code == 200
        assert client.get("/models/spots/1/model.onnx").status_code == 303


def test_logging_in_goes_nowhere_else(clinic: Live) -> None:
    with browser(clinic) as client:
        page = client.get("/login", params={"next": "//evil.example"})
        assert 'name="next" value="/"' in page.text
        form = {"csrf": token(page), "name": "bea", "password": "wrong " + PASSWORD, "next": "//evil.example"}
        wrong = client.post("/login", data=form)
        assert wrong.status_code == 401 and EN.t("login.wrong") in wrong.text
        right = client.post("/login", data={**form, "password": PASSWORD})
        assert right.headers["location"] == "/"


def test_roles_see_what_they_may(clinic: Live) -> None:
    with log_in(clinic, "vic") as viewer:
        assert viewer.get("/models/spots").text.count('<form method="post"') == 0
        assert viewer.get("/history").status_code == 403
    with log_in(clinic, "bea") as clinician:
        assert ask(clinician, ("a.png", png(4))).status_code == 200
        csrf = token(clinician.get("/checkups/spots"))
        assert clinician.get("/users").status_code == clinician.get("/audit").status_code == 403
        assert clinician.post("/models/spots/promote", data={"csrf": csrf, "version": "2"}).status_code == 403
        mine = re.search(r'href="/predictions/([0-9a-f]{32})"', clinician.get("/history").text)
        assert mine
    with log_in(clinic, "ada") as admin:
        assert mine[1] not in admin.get("/history").text


def test_tokens_and_password_of_ones_own(clinic: Live, ada: httpx.Client) -> None:
    csrf = token(ada.get("/users"))
    added = {"csrf": csrf, "do": "add", "name": "cyd è", "password": "six red umbrellas", "role": "clinician"}
    assert ada.post("/users", data=added).status_code == 303
    assert ada.post("/users", data=added).status_code == 422
    assert "cyd è" in ada.get("/users").text
    with browser(clinic) as cyd:
        page = cyd.get("/login")
        form = {"csrf": token(page), "name": "cyd è", "password": "six red umbrellas", "next": "/account"}
        assert cyd.post("/login", data=form).status_code == 303
        csrf_cyd = token(cyd.get("/account"))
        made = cyd.post("/account/tokens", data={"csrf": csrf_cyd, "name": "phone"})
        secret = re.search(r"mlp_[\w-]+", made.text)
        assert secret and secret[0] not in cyd.get("/account").text
        with clinic.client(headers={"Authorization": f"Bearer {secret[0]}"}) as program:
            got = program.post("/api/v1/models/spots/predict", files={"image": png()})
        assert got.json()["model"] == "spots"
        number = re.search(r"/account/tokens/(\d+)/revoke", cyd.get("/account").text)
        assert number and cyd.post(number[0], data={"csrf": csrf_cyd}).status_code == 303
        wrong = cyd.post("/account/password", data={"csrf": csrf_cyd, "old": "no", "new": "eight blue whales"})
        assert wrong.status_code == 422
        right = {"csrf": csrf_cyd, "old": "six red umbrellas", "new": "eight blue whales"}
        assert cyd.post("/account/password", data=right).status_code == 303
        assert cyd.get("/account").status_code == 200, "this browser stays logged in"
        out = cyd.post("/logout", data={"csrf": token(cyd.get("/account"))})
        assert out.status_code == 303 and cyd.get("/account").status_code == 303
    assert ada.post("/users", data={"csrf": csrf, "do": "disable", "name": "cyd è"}).status_code == 303
    assert ada.post("/users", data={"csrf": csrf, "do": "role", "name": "ada", "role": "viewer"}).status_code == 422
    log = ada.get("/audit").text
    assert all(action in log for action in ("user.add", "token.revoke", "password.change", "user.disable"))


# ------------------------------------------------------------------ what is said


def test_failures_have_kind_words() -> None:
    failed = view_failure("a.png", as_http(UnreadableImageError("broken")), FR)
    assert failed.headline == FR.t("failed.unreadable_image") and failed.state == "failed"


def test_emblems_differ_and_stay() -> None:
    names = [f"model-{i}" for i in range(40)]
    drawn = [draw_emblem(name) for name in names]
    assert len({repr(e) for e in drawn}) == len(names)
    draw_emblem.cache_clear()
    assert [draw_emblem(name) for name in names] == drawn
    for e in drawn:
        assert sum(dot.odd for dot in e.dots) == 1
        assert all(np.hypot(dot.x, dot.y) + dot.r <= 46 for dot in e.dots)


def test_docs_list_the_api(live: Live) -> None:
    with browser(live) as client:
        text = client.get("/docs").text
        paths = json.loads(client.get("/openapi.json").text)["paths"]
    assert len(paths) > 5 and all(html.escape(path) in text for path in paths)
    assert "/checkups/{name}" not in paths, "pages are no part of the API"
