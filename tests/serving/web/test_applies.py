"""The question on which an answer depends, as people see it."""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

import jinja2
import pytest
from PIL import Image

import generated
from browsing import PHONE, Watch, needs_chromium, playwright
from live import Live
from medloupe.model.applies import read_applies
from medloupe.serving.web.applies import QuestionView, view_question, word_reason
from medloupe.serving.web.language import CODES, language
from pagechecks import CONTRAST, SMALL
from places import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

from starters import STARTERS

ASK = {"question": "age", "choices": ["child", "adult"]}


@pytest.mark.parametrize("code", CODES)
def test_shipped_questions_and_choices_are_in_both_languages(code: str) -> None:
    words, seen = language(code), set()
    for one in STARTERS:
        for applies in read_applies({"applies": [dict(entry) for entry in one.applies]}):
            assert words.has(f"applies.{applies.question}")
            for choice in applies.choices:
                assert words.has(f"applies.{applies.question}_{choice}"), choice
                seen.add((applies.question, choice))
    assert {("age", "child"), ("age", "adult"), ("purpose", "grade"), ("purpose", "refer")} <= seen
    view = view_question(ASK, words)
    assert view is not None and view.field == "applies.age"
    assert [value for value, _ in view.choices] == ["child", "adult"]


def test_what_is_not_translated_is_said_as_the_card_has_it() -> None:
    view = view_question({"question": "side_of_body", "choices": ["left_arm", "right"]}, language("en"))
    assert view is not None and (view.title, view.choices[0]) == ("side of body?", ("left_arm", "left arm"))
    assert view_question(None, language("en")) is None


@pytest.mark.parametrize("code", CODES)
def test_why_the_choice_says_less_is_worded(code: str) -> None:
    words = language(code)
    for reason in ("unasked", "unfamiliar", "no_normal"):
        said = word_reason({"model": "covid", "why": {"code": reason, "text": "…"}}, {"covid": "Lungs"}, words)
        assert "Lungs" in said
    assert word_reason({"model": None, "why": {"code": "not_meant", "text": "…"}}, {}, words)
    assert word_reason({"model": "covid", "why": {"code": "close", "text": "…"}}, {}, words) == ""
    assert word_reason({"model": "covid", "why": None}, {}, words) == ""


def partial(question: QuestionView, csrf: str) -> str:
    """question.html as a page includes it."""
    words = language("en")
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("medloupe.serving.web", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return pages.get_template("question.html").render(question=question, key="1", csrf=csrf, t=words.t, to=str)


SHOWN = """async ([html, picture]) => {
  document.querySelector("main").innerHTML = html;
  const { questions } = await import("/static/question.js");
  const bytes = picture && Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
  questions(document, async () => bytes && new File([bytes], "scan.png", { type: "image/png" }));
  await new Promise((resolve) => setTimeout(resolve, 50));
}"""


@needs_chromium
@pytest.mark.parametrize("at_hand", [True, False])
def test_one_click_asks_again_with_the_choice(live_of_choices: Live, open_page: Any, at_hand: bool) -> None:
    """Where the page has the picture nothing more is asked; else it is chosen once more."""
    out = io.BytesIO()
    Image.fromarray(generated.tissue(5, True)).save(out, "PNG")
    page = open_page(live_of_choices, **PHONE)
    watch = Watch(page.context, live_of_choices.url)
    page.goto("/choose")
    view = view_question(ASK, language("en"))
    assert view is not None
    html = partial(view, page.input_value("[name=csrf]"))
    page.evaluate(SHOWN, [html, base64.b64encode(out.getvalue()).decode() if at_hand else ""])
    picture = page.locator("[data-question] input[type=file]")
    assert picture.is_visible() == (not at_hand)
    assert page.evaluate(CONTRAST) == [] and page.evaluate(SMALL) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if not at_hand:
        picture.set_input_files({"name": "scan.png", "mimeType": "image/png", "buffer": out.getvalue()})
    with page.expect_navigation():
        page.get_by_role("button", name="An adult").click()
    playwright.expect(page.locator("[data-file]")).to_have_text("scan.png")  # kept by this browser, as of any answer
    playwright.expect(page.locator("[data-picture]:visible").first).to_be_visible()
    text = page.locator("main").inner_text()
    assert "scan.png" in text and "Blunt" in text and "Children" not in text
    watch.check()


@needs_chromium
def test_the_page_of_an_answer_still_has_the_picture_that_is_asked_about(live_of_choices: Live, open_page: Any) -> None:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(5, True)).save(out, "PNG")
    page = open_page(live_of_choices)
    watch = Watch(page.context, live_of_choices.url)
    page.goto("/choose")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "scan.png", "mimeType": "image/png", "buffer": out.getvalue()}
    )
    page.locator("[data-submit]").click()
    page.wait_for_url("**/results/*", timeout=30_000)
    first = page.url
    playwright.expect(page.locator("[data-question] input[type=file]")).to_be_hidden()
    page.get_by_role("button", name="An adult").click()
    page.wait_for_url(lambda url: "/results/" in url and url != first, timeout=30_000)
    playwright.expect(page.locator("[data-file]")).to_have_text("scan.png")
    playwright.expect(page.locator("[data-picture]:visible").first).to_be_visible()
    watch.check()
