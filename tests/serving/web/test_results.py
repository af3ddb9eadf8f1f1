"""Answers by their own address: one, several as a table, CSV; asked of a real server without scripts."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinic import PASSWORD
from live import Live
from medloupe.serving.web.csvtable import write_answers
from medloupe.serving.web.language import language
from medloupe.utils.csvcells import escape_cell
from visiting import ask, browser, png, token

EN = language("en")


def identity(page: httpx.Response) -> str:
    found = re.search(r"[0-9a-f]{32}", str(page.url))
    assert found, page.url
    return found[0]


def test_asking_leads_to_the_address_of_the_answer(live: Live) -> None:
    with browser(live) as client:
        csrf = token(client.get("/checkups/spots"))
        sent = client.post("/checkups/spots", data={"csrf": csrf}, files=[("image", ("a.png", png(3)))])
        assert sent.status_code == 303 and re.fullmatch(r"/results/[0-9a-f]{32}", sent.headers["location"])
        page = client.get(sent.headers["location"])
        again = client.get(sent.headers["location"].replace("/results/", "/predictions/"))
        assert page.status_code == again.status_code == 200
        said = live.ask("spots", png(3)).json()
        for text in (page.text, again.text):
            assert f'class="reading {said["state"]}"' in text
            assert EN.percent(said["probabilities"][said["prediction"]]) in text
        assert client.get("/results/" + "0" * 32).status_code == 404


def test_the_state_stands_before_everything_else(live: Live) -> None:
    with browser(live) as client:
        page = ask(client, ("a.png", png(3, sick=True)))
    body = page.text[page.text.index("<main") :]
    assert body.index("data-says") < body.index('class="bars"') < body.index('class="meta"')
    assert re.search(r'<h2 class="big"[^>]*><svg class="icon"', body), "a sign stands with the words"


def test_several_are_a_table_sorted_by_state(live: Live) -> None:
    with browser(live) as client:
        sick = [(f"{i}.png", png(i, sick=i % 2 == 1)) for i in range(6)]
        page = ask(client, *sick)
        assert page.status_code == 200 and "/results?ids=" in str(page.url)
        states = re.findall(r'<tr data-row="[0-9a-f]{32}">\s*<td><span class="chip (\w+)"', page.text)
        order = ["flagged", "unclear", "unusable", "refused", "clear", "answered"]
        assert len(states) == 6 and states == sorted(states, key=order.index) and len(set(states)) > 1
        row = re.search(r'href="(/results/[0-9a-f]{32}\?ids=[0-9a-f,]+)"', page.text)
        assert row
        one = client.get(row[1])
        assert "1 of 6" in one.text or "of 6" in one.text
        assert client.get("/results?ids=" + "0" * 32).status_code == 404
        assert client.get("/results").status_code == 404


def test_answers_as_csv(live: Live) -> None:
    with browser(live) as client:
        page = ask(client, ("a.png", png(1)), ("b.png", png(2)))
        ids = str(page.url).partition("ids=")[2].replace("%2C", ",").split("&")[0]
        got = client.get("/results.csv", params={"ids": ids})
    assert (
        got.headers["content-type"] == "text/csv; charset=utf-8" and "attachment" in got.headers["content-disposition"]
    )
    rows = list(csv.DictReader(io.StringIO(got.text.removeprefix("\ufeff"))))
    assert [row["id"] for row in rows] == ids.split(",")
    with live.client() as program:
        for row in rows:
            kept = program.get(f"/api/v1/predictions/{row['id']}").json()
            assert (row["state"], row["prediction"]) == (kept["state"], kept["prediction"])
            assert float(row["probabilities.sick"]) == kept["probabilities"]["sick"]


def test_the_answers_of_others_are_nobodys(clinic: Live) -> None:
    @contextmanager
    def log_in(name: str) -> Iterator[httpx.Client]:
        with browser(clinic) as client:
            form = {"csrf": token(client.get("/login")), "name": name, "password": PASSWORD, "next": "/"}
            assert client.post("/login", data=form).status_code == 303
            yield client

    with log_in("bea") as bea, log_in("vic") as vic:
        id = identity(ask(bea, ("a.png", png(4))))
        assert bea.get(f"/results/{id}").status_code == 200
        assert vic.get(f"/results/{id}").status_code == 403
        assert vic.get("/results.csv", params={"ids": id}).status_code == 403
    with browser(clinic) as nobody:
        assert nobody.get(f"/results/{id}").status_code == 303


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", '"\'\tx"'),
        ("\rx", "' x"),
        ('a "b", c', '"a ""b"", c"'),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_cells_are_no_formulas(text: str, cell: str) -> None:
    assert escape_cell(text) == cell


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_any_text_is_one_row_and_no_formula(texts: list[str]) -> None:
    table = write_answers({"id": "x", "model": text, "flagged": [text]} for text in texts)
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert len(rows) == len(texts) == table.count("\r\n") - 1
    assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for value in row.values())
