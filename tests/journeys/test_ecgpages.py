"""The pages of ECGs: the form, the drawing, beats by class, refusals; in a browser by mouse, keyboard and phone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import ecgmodels
import ecgsaved
from browsing import PHONE, Watch, playwright
from live import Live
from medloupe.ecg.reading import Beat, Reading
from medloupe.inference.ecgs import EcgPredictor
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web import cards, ecg
from medloupe.serving.web.emblem import draw_emblem
from medloupe.serving.web.language import language
from pagechecks import CONTRAST, NAMELESS, SMALL

EN, FR = language("en"), language("fr")
TWO, WHOLE = ecgmodels.recording(301, seconds=25), ecgmodels.standard(302, blocked=True)
HTML = {"Accept": "text/html,*/*"}


def ask(live: Live, path: str, files: dict[str, bytes], *, part: bool = False, **fields: str) -> httpx.Response:
    with live.client(headers={**HTML, "Origin": live.url}) as client:
        found = re.search(r'name="csrf" value="([^"]+)"', client.get(path).text)
        assert found
        headers = {"X-Part": "1"} if part else {}
        sent = [("image", pair) for pair in files.items()]
        return client.post(path, data={"csrf": found[1], **fields}, files=sent, headers=headers, follow_redirects=True)


def drawings(page: httpx.Response) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r'<svg class="paper".*?</svg>', page.text, re.DOTALL)]


# ---------------------------------------------------------------- what is shown


def test_beats_by_class_and_the_rhythm(ecg_live: Live) -> None:
    page = ask(ecg_live, "/checkups/beats", ecgsaved.wfdb(TWO), part=True, age="70")
    assert page.status_code == 200
    expected = EcgPredictor(ecgmodels.beats_model()).predict(TWO, {"age": "70"})
    assert expected.ecg is not None
    counts = expected.ecg.counts
    for words in (
        f"data-says>Flagged: V, {EN.percent(expected.probabilities['V'])} of the beats<",
        f"Most beats: {expected.prediction}, {EN.percent(expected.probabilities[expected.prediction])}.",
        f"{round(expected.ecg.as_json()['heart_rate'])} beats a minute",
        "25 s at 360 Hz",
    ):
        assert words in page.text, words
    rows = re.findall(r'<th scope="row">.*?</svg>(\w)</th><td class="n">(\d+)</td><td class="n">(\d+)%', page.text)
    assert {name: int(n) for name, n, _ in rows} == counts
    assert sum(int(share) for _, _, share in rows) in (99, 100, 101)
    assert "shares of beats" in page.text and "the line from which" not in page.text.lower()
    assert "Also taken into account for every beat: Age" in page.text
    strips = drawings(page)
    assert len(strips) == 3 and "10 to 20 s" in page.text
    letters = [e.text or e[0].tail for s in strips for e in s.iter() if e.attrib.get("font-weight") == "700"]
    assert {name: letters.count(name) for name in counts} == counts
    assert all(any(e.attrib.get("class") == "shade" for e in s.iter()) for s in strips)


def test_twelve_leads_on_the_usual_sheet_and_in_rows(ecg_live: Live) -> None:
    page = ask(ecg_live, "/checkups/leads", {"w.csv": ecgsaved.csv(WHOLE)}, part=True)
    usual, rows = drawings(page)
    for svg, count in ((usual, 13), (rows, 12)):
        assert len([e for e in svg.iter() if e.attrib.get("font-weight") == "600"]) == count
    assert re.search(r"data-says>Flagged: BLOCK \d+%,\sline\s\d+%", page.text)
    assert "of 100 such ECGs with 70%" not in page.text, "its card does not say that it is calibrated"
    assert EN.t("answer.uncalibrated") in page.text and "as on the usual sheet" in page.text


def test_the_part_that_is_drawn_is_told(ecg_live: Live) -> None:
    long = ecgmodels.recording(303, seconds=100)
    files = {"long.npz": ecgsaved.npz(long)}
    page = ask(ecg_live, "/checkups/beats", files)
    assert len(drawings(page)) == 6 and "Drawn are seconds 0 to 60 of 100." in page.text
    page = ask(ecg_live, "/checkups/beats", files, start="70")
    assert len(drawings(page)) == 3 and "Drawn are seconds 70 to 100 of 100." in page.text
    assert len(drawings(ask(ecg_live, "/checkups/beats", files, start="5000"))) == 6, "beyond its end: from the start"
    wrong = ask(ecg_live, "/checkups/beats", files, start="later")
    assert wrong.status_code == 422


def test_a_refused_ecg_is_drawn_but_not_judged(ecg_live: Live) -> None:
    crackle = ecgmodels.crackle(TWO.leads, 5, TWO.seconds, TWO.rate)
    page = ask(ecg_live, "/checkups/beats", {"n.npz": ecgsaved.npz(crackle)}, part=True)
    assert "This is not an ECG this check-up knows" in page.text
    assert drawings(page) and "Class of beat" not in page.text and 'class="shade"' not in page.text
    assert not [e for s in drawings(page) for e in s.iter() if e.attrib.get("font-weight") == "700"]


def test_what_is_wrong_stands_on_the_page(ecg_live: Live) -> None:
    flat = {"flat.csv": b"# fs=360\nI\n" + b"0.1\n" * 3000}
    page = ask(ecg_live, "/checkups/beats", flat, part=True)
    assert page.status_code == 422 and "This is no ECG we can use" in page.text and "is flat" in page.text
    page = ask(ecg_live, "/checkups/beats", {"scan.png": b"\x89PNG\r\n\x1a\n" + bytes(50)}, part=True)
    assert page.status_code == 415 and "a picture, not an ECG" in page.text
    signal = ask(ecg_live, "/checkups/imagenet", ecgsaved.wfdb(TWO), part=True)
    assert signal.status_code == 415


def test_bad_leads_are_noted(ecg_live: Live) -> None:
    samples = TWO.samples.copy()
    samples[1] = 0
    page = ask(ecg_live, "/checkups/beats", {"x.npz": ecgsaved.npz(replace(TWO, samples=samples))})
    assert re.search(r'<li lang="en">Lead V1 is flat[^<]*left out', page.text)
    assert "V1 –" not in page.text, "a lead that is not there is not drawn"


def test_names_in_files_are_no_markup(ecg_live: Live) -> None:
    hostile = replace(TWO, leads=("<script>alert(1)</script>", "II"))
    page = ask(ecg_live, "/checkups/beats", {'"><script>x.npz': ecgsaved.npz(hostile)})
    assert "<script>alert" not in page.text and "<script>x" not in page.text


def test_the_form_asks_for_files_of_ecgs(ecg_live: Live) -> None:
    with ecg_live.client(headers=HTML) as client:
        form = client.get("/checkups/beats").text
        choose = client.get("/choose").text
        picture = client.get("/checkups/imagenet").text
        home = client.get("/").text
        french = client.get("/checkups/leads?lang=fr").text
    assert ".hea" in form and "image/*" not in form and 'capture="environment"' not in form
    assert 'name="rate"' in form and 'name="start"' in form and "input.age" in form and "rr_previous" not in form
    assert ".hea" in choose and "image/*" in choose and "An ECG goes by its leads" in choose
    assert ".hea" not in picture and 'name="rate"' not in picture
    assert home.count('<li class="kind">ECG</li>') == 2
    assert "Choisir des fichiers d’ECG" in french and "Il cherche" in french


# ---------------------------------------------------------------- without a server


def reading(labels: tuple[str, ...]) -> Reading:
    beats = tuple(Beat(second=0.5 + i, label=name, probability=0.9) for i, name in enumerate(labels))
    return Reading(
        signal=TWO, heart_rate=60.0, regularity="even, slow", peaks=tuple(b.second for b in beats), beats=beats
    )


def test_letters_tell_labels_apart() -> None:
    shown = reading(("normal", "noise", "N", "Ventricular", ""))
    view = ecg.describe_ecg(shown.as_json(), None, EN, "", shown)
    assert len({k.letter for k in view.kinds}) == 5
    assert {k.title: k.letter for k in view.kinds}["none of its classes"] == "?"
    assert len({k.colour for k in view.kinds}) == 5


def test_words_in_both_languages() -> None:
    said = {**reading(("N", "V")).as_json(), "seconds": 1805.6}
    facts = dict(ecg.describe_ecg(said, None, FR, "").facts)
    assert facts["Fréquence cardiaque"] == "60 battements par minute"
    assert facts["Rythme"] == "régulier, lent (moins de 60)"
    assert facts["Enregistrement"] == "30 min 6 s à 360 Hz"
    of_shipped = ecg.describe_ecg(said, None, EN, "arrhythmia")
    assert {k.title for k in of_shipped.kinds} == {"Normal or bundle branch block", "Ventricular ectopic beat"}


def test_a_check_up_of_ecgs_introduces_itself() -> None:
    beats, whole = (CheckUp.of(m) for m in (ecgmodels.beats_model(), ecgmodels.twelve_model()))
    assert (beats.beats, whole.beats, beats.shape, whole.shape) == (True, False, (2, 89), (12, 112))
    card = cards.describe_checkup(beats, EN)
    assert card.ecg and card.lead.startswith("Add an ECG of any length.") and "beats of the data set" in card.basis
    assert card.points[0].words == "Finds 85 of 100 such beats; of 100 it calls so, 80 are."
    assert [f.field for f in card.inputs] == ["input.age"]
    assert "50 ECG" in cards.describe_checkup(whole, FR).basis
    drawn = draw_emblem("beats", ecg=True)
    assert drawn == draw_emblem("beats", ecg=True) != draw_emblem("leads", ecg=True)
    assert len(drawn.lines) == 1 and [d.odd for d in drawn.dots] == [True]


# ---------------------------------------------------------------- in a browser


@pytest.fixture
def shown(open_page: Any, ecg_live: Live) -> Any:
    """Sends files by the form of a page and gives the page with its results."""

    def send(path: str, *files: Path, results: int = 1, **options: Any) -> Any:
        page = open_page(ecg_live, **options)
        page.watch = Watch(page.context, ecg_live.url)
        page.goto(path)
        page.locator("input[type=file]").first.set_input_files(list(files))
        page.locator("[data-submit]").click()
        playwright.expect(page.locator("article.reading" if results == 1 else "[data-row]")).to_have_count(results)
        if results == 1:
            playwright.expect(page.locator("svg.paper").first).to_be_attached()
        return page

    return send


@pytest.fixture
def recorded(tmp_path: Path) -> list[Path]:
    for stem in ("a", "b"):
        ecgsaved.save(tmp_path, ecgsaved.wfdb(TWO, stem))
    return [tmp_path / name for name in ("a.dat", "b.hea", "a.hea", "b.dat")]


def test_files_of_one_recording_are_sent_together(shown: Any, recorded: list[Path]) -> None:
    page = shown("/checkups/beats", *recorded, results=2)
    playwright.expect(page.locator("[data-row] [data-file]")).to_have_text(["b.hea", "a.hea"])
    for i in range(2):
        page.locator("[data-row] a").nth(i).click()
        playwright.expect(page.locator("svg.paper")).to_have_count(3)
        page.go_back()
    page.watch.check()


def test_zoom_layout_and_shading(shown: Any, tmp_path: Path) -> None:
    path = ecgsaved.save(tmp_path, {"w.npz": ecgsaved.npz(WHOLE)})
    page = shown("/checkups/leads", path)
    usual, rows, shade = page.locator(".usual svg"), page.locator(".rows svg"), page.locator(".usual .shade")
    assert usual.is_visible() and not rows.is_visible() and shade.is_visible()
    whole = usual.bounding_box()["width"]
    assert whole == pytest.approx(265 / 25.4 * 96, rel=0.01), "at its own size"
    page.get_by_role("radio", name="200%").check()
    assert usual.bounding_box()["width"] == pytest.approx(2 * whole, rel=0.01)
    page.get_by_role("radio", name="50%").check()
    assert usual.bounding_box()["width"] == pytest.approx(whole / 2, rel=0.01)
    page.get_by_label("one a row, all along").check()
    assert rows.is_visible() and not usual.is_visible()
    page.get_by_label("as on the usual sheet").check()
    page.get_by_label("Shade where the network looked").uncheck()
    assert not shade.is_visible()
    page.watch.check()


def test_the_drawing_scrolls_by_keyboard_and_the_page_does_not(shown: Any, recorded: list[Path]) -> None:
    for options in ({**PHONE}, {**PHONE, "color_scheme": "dark"}, {"viewport": {"width": 1280, "height": 860}}):
        page = shown("/checkups/beats", recorded[2], recorded[0], **options)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        for found in (CONTRAST, NAMELESS, *([SMALL] if "has_touch" in options else [])):
            assert page.evaluate(found) == []
        frame = page.get_by_role("region", name="The ECG on paper")
        frame.focus()
        if "has_touch" in options:
            page.keyboard.press("ArrowRight")
            page.wait_for_timeout(400)
            assert page.evaluate("document.querySelector('.ecgframe').scrollLeft") > 10
        page.watch.check()


def test_everything_works_without_scripts(shown: Any, recorded: list[Path]) -> None:
    page = shown("/choose", *recorded[2::-2], java_script_enabled=False)
    assert page.locator("svg.paper").count() == 3
    page.get_by_role("radio", name="200%").check()
    assert page.locator("svg.paper").first.bounding_box()["width"] > 1900
