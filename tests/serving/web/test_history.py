"""The history: found, named, downloaded, deleted and brought back; and who asked, in the audit log."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from clinic import PASSWORD
from live import Live
from medloupe.accounts.log import AuditLog
from medloupe.serving.web.chips import chip
from medloupe.serving.web.headline import state_of, summarize
from medloupe.serving.web.language import language
from medloupe.store.models import Store
from medloupe.utils.csvcells import escape_formula
from visiting import browser, png, token

EN, FR = language("en"), language("fr")
STATES = ("flagged", "unclear", "clear", "answered", "refused", "unusable")


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with browser(live) as opened:
        yield opened


def answer_one(live: Live, number: int, sick: bool = True) -> dict:
    return live.ask("spots", png(number, sick)).json()


def rows(page: httpx.Response) -> list[str]:
    return re.findall(r'href="/predictions/([0-9a-f]{32})"', page.text)


def test_rows_show_what_was_said(live: Live, client: httpx.Client) -> None:
    said = answer_one(live, 11)
    page = client.get("/history")
    assert rows(page)[0] == said["id"]
    first = page.text.split('<li class="pastrow">')[1]
    assert f"</svg>{EN.t('answer.state_' + said['state'])}</p>" in first
    assert html.escape(summarize(said, EN).split(",")[0]) in first and "Spots" in first and "UTC" in first
    small = client.get(f"/predictions/{said['id']}/thumbnail")
    assert small.headers["content-type"] == "image/jpeg" and small.headers["cache-control"] == "no-store"
    assert max(Image.open(io.BytesIO(small.content)).size) <= 96
    assert client.get(f"/predictions/{'0' * 32}/thumbnail").status_code == 404


def test_a_short_name_is_given_found_and_taken_away(live: Live, client: httpx.Client) -> None:
    one, other = answer_one(live, 12)["id"], answer_one(live, 13)["id"]
    form = {"csrf": token(client.get("/history")), "alias": "  Lit <3> & fenêtre "}
    done = client.post(f"/predictions/{one}/alias", data=form)
    assert (done.status_code, done.headers["location"]) == (303, "/history")
    assert "Lit &lt;3&gt; &amp; fenêtre" in client.get("/history").text
    assert rows(client.get("/history", params={"search": "lit <3>"})) == [one]
    assert rows(client.get("/history", params={"search": other[:16]})) == [other]
    none = client.get("/history", params={"search": "%"})
    assert rows(none) == [] and EN.t("past.none_such") in none.text
    client.post(f"/predictions/{one}/alias", data={**form, "alias": ""})
    assert rows(client.get("/history", params={"search": "lit"})) == []
    assert client.post(f"/predictions/{one}/alias", data={"alias": "x"}).status_code == 403


def test_rows_are_chosen_by_state_and_check_up(live: Live, client: httpx.Client) -> None:
    said = answer_one(live, 14)
    for state in STATES:
        page = client.get("/history", params={"state": state, "checkup": "spots"})
        assert page.status_code == 200
        assert (said["id"] in rows(page)) == (state == said["state"])
    assert rows(client.get("/history", params={"checkup": "nothing"})) == []
    assert client.get("/history", params={"state": "\0", "search": "\0"}).status_code == 200


def test_the_table_holds_what_is_chosen_and_no_formula(live: Live, client: httpx.Client) -> None:
    said = answer_one(live, 15)
    form = {"csrf": token(client.get("/history")), "alias": "=cmd|' /C calc'!A0"}
    client.post(f"/predictions/{said['id']}/alias", data=form)
    got = client.get("/history.csv", params={"search": "=cmd"})
    assert got.headers["content-type"].startswith("text/csv") and "attachment" in got.headers["content-disposition"]
    (line,) = csv.DictReader(io.StringIO(got.content.decode("utf-8-sig")))
    assert line["name"] == "'=cmd|' /C calc'!A0"
    assert (line["id"], line["state"], line["check_up"], line["version"]) == (said["id"], said["state"], "spots", "1")
    assert line["most_probable"] == said["prediction"] and line["flagged"] == "; ".join(said["flagged"])
    assert float(line["percent"]) == pytest.approx(100 * said["probabilities"][said["prediction"]], abs=0.051)
    everything = client.get("/history.csv").content.decode("utf-8-sig").splitlines()
    assert len(everything) > len(got.text.splitlines())


@pytest.mark.parametrize("cell", ["=1+1", "+33 6", "-2", "@SUM(A1)", "\t=1", " =1", "\r=1", "|x", "%0"])
def test_formulas_are_escaped(cell: str) -> None:
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "normal", "2026-01-01", "a=b", "0.5"])
def test_other_cells_stay(cell: str) -> None:
    assert escape_formula(cell) == cell


def test_deleting_can_be_undone(live: Live, client: httpx.Client) -> None:
    id = answer_one(live, 16)["id"]
    form = {"csrf": token(client.get("/history"))}
    gone = client.post(f"/predictions/{id}/delete", data=form)
    assert gone.headers["location"] == f"/history?deleted={id}"
    page = client.get(gone.headers["location"])
    assert id not in rows(page) and f'action="/predictions/{id}/restore"' in page.text
    assert client.get(f"/predictions/{id}").status_code == 404
    assert client.get(f"/predictions/{id}/thumbnail").status_code == 404
    with live.client() as program:
        assert program.get(f"/api/v1/predictions/{id}").status_code == 404
    back = client.post(f"/predictions/{id}/restore", data=form)
    assert back.headers["location"] == "/history?restored=1"
    assert id in rows(client.get("/history?restored=1")) and client.get(f"/predictions/{id}").status_code == 200
    with live.client() as program:
        assert program.delete(f"/api/v1/predictions/{id}").status_code == 204
    assert client.post(f"/predictions/{id}/restore", data=form).status_code == 404, "of a program deleting is final"


def test_who_asked_is_in_the_audit_log(live: Live, client: httpx.Client) -> None:
    with live.client(headers={"X-Request-ID": "a-question-1"}) as program:
        said = program.post("/api/v1/models/spots/predict", files={"image": ("Kov.png", png(17))}).json()
        foreign = program.post("/api/v1/models/imagenet/predict", files={"image": ("Kov.png", png(18))}).json()
    page = client.get("/audit", params={"action": "predict", "actor": "local"})
    lines = re.findall(r"<tr><td>.*?</tr>", page.text)
    mine = [line for line in lines if "a-question-1" in line]
    assert len(mine) == 2
    log = AuditLog(Store(live.home).engine)
    assert "spots@1" in mine[1] and log.keyed(said["id"]) in mine[1] and said["id"] not in page.text
    assert "imagenet<" in mine[0] and log.keyed(foreign["id"]) in mine[0] and "@None" not in page.text
    for never in ("Kov", said["prediction"], "flagged"):
        assert not any(never in line for line in mine)
    other = client.get("/audit", params={"actor": "nobody here"})
    assert EN.t("log.none_such") in other.text


def test_the_log_is_paged_as_it_is_chosen(live: Live, client: httpx.Client) -> None:
    with live.client() as program:
        pictures = [("image", (f"{i}.png", png(i))) for i in range(16)]
        for _ in range(7):
            assert program.post("/api/v1/models/spots/predict", files=pictures).status_code == 200
    page = client.get("/audit", params={"action": "predict"})
    older = re.search(r'href="/audit\?([^"]*before=[^"]*)"', page.text)
    assert older and "action=predict" in older[1]
    second = client.get(f"/audit?{html.unescape(older[1])}")
    actions = re.findall(r'<td class="code">([a-z.]+)</td>', second.text)
    assert actions and "predict" in actions and not {"login", "promote"} & set(actions)


def test_a_viewer_meets_no_form_that_is_refused(clinic: Live) -> None:
    with browser(clinic) as viewer:
        form = {"csrf": token(viewer.get("/login")), "name": "vic", "password": PASSWORD, "next": "/"}
        assert viewer.post("/login", data=form).status_code == 303
        for path in ("/", "/checkups/spots", "/choose", "/models", "/models/spots", "/about", "/docs"):
            page = viewer.get(path)
            assert page.status_code == 200
            assert '<form method="post"' not in page.text and 'href="/history"' not in page.text, path
            for link in set(re.findall(r'href="(/[^"#?]*)', page.text)):
                if not link.startswith(("/static/", "/logout")) and not link.endswith(".onnx"):
                    assert viewer.get(link).status_code in (200, 304), f"{path} leads to {link}"
        asked = viewer.get("/checkups/spots").text
        assert EN.t("look.no_ask") in asked and EN.t("checkup.works") in asked


def test_old_answers_say_nothing_that_was_not_decided() -> None:
    old = {"model": "skin", "version": 1, "prediction": "mel", "probabilities": {"mel": 0.3, "nv": 0.7}}
    assert state_of({**old, "refused": None}) == "answered"
    assert state_of({**old, "refused": {"reason": "x"}}) == "refused"
    joined = {**old, "prediction": "mel|nv", "refused": None}
    assert "30%" in summarize(joined, EN) and "70%" in summarize(joined, EN)


def test_states_are_told_apart_by_words() -> None:
    for code in (EN, FR):
        shown = [chip(state, code) for state in STATES]
        assert len({c.word for c in shown}) == len({c.state for c in shown}) == len(STATES)
    assert [chip(s, EN).look for s in ("clear", "answered")] == ["quiet", "quiet"], "nothing looks like an all-clear"


def test_what_is_no_id_is_no_address(client: httpx.Client) -> None:
    page = client.get("/history", params={"deleted": "x/../../models/spots/rollback"})
    assert page.status_code == 200 and "restore" not in page.text and "rollback" not in page.text


def test_without_accounts_there_is_no_form_that_adds_one(client: httpx.Client) -> None:
    page = client.get("/users")
    assert page.status_code == 200 and "medloupe users add NAME --role admin" in page.text
    assert '<form method="post"' not in page.text
