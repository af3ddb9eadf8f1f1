"""An ECG on paper: to scale, with pulse, names and letters, safe as markup."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

import ecgmaker
import ecgmodels
from medloupe.ecg.paper import COLOURS, GAIN, SPEED, Mark, draw_beat, draw_sheet, draw_strip, has_sheet
from medloupe.ecg.signal import Signal

TWO = ecgmaker.ecg(ecgmaker.even(4), 4, 250, ("MLII", "V1"))
NUMBER = r"-?\d+(?:\.\d+)?"


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def millimetres(svg: str) -> tuple[float, float]:
    found = re.search(rf'width="({NUMBER})mm" height="({NUMBER})mm"', svg)
    assert found
    return float(found[1]), float(found[2])


def traces(svg: str, colour: str = "#1a1a1a") -> list[np.ndarray]:
    """Points (n, 2) in mm of each drawn line of a colour."""
    found = re.findall(rf'<path d="M([^"]+)" stroke="{colour}" stroke-width="\.35"', svg)
    return [
        np.array([[float(v) for v in re.findall(NUMBER, point)] for point in re.findall(rf"{NUMBER} {NUMBER}", d)])
        for d in found
    ]


def test_a_second_is_25_mm_and_a_millivolt_10() -> None:
    """A step of 1 mV after one second; measured in the drawing."""
    step = np.zeros((1, 500), np.float32)
    step[0, 250:] = 1
    svg = draw_strip(Signal(samples=step, rate=250.0, leads=("I",)))
    (line,) = traces(svg)
    assert np.ptp(line[:, 1]) == pytest.approx(GAIN, abs=0.02)
    rise = line[np.argmax(np.abs(np.diff(line[:, 1])))]
    assert rise[0] - line[0, 0] == pytest.approx(SPEED, abs=0.15)
    box = [float(v) for v in parsed(svg).attrib["viewBox"].split()]
    assert tuple(box[2:]) == millimetres(svg), "the unit is the millimetre"


def test_a_pulse_before_each_lead_and_the_scale_below() -> None:
    svg = draw_strip(TWO)
    assert svg.count(f"v-{GAIN:g}h{0.2 * SPEED:g}v{GAIN:g}") == 2
    assert "25 mm/s, 10 mm/mV" in svg and ">3 s<" in svg


def test_ten_seconds_fit_on_a_sheet_of_paper() -> None:
    width, height = millimetres(draw_sheet(ecgmodels.standard(1)))
    assert width <= 297 - 2 * 14 and height <= 210 - 2 * 14, "A4, landscape"


def test_beats_have_the_colour_and_letter_of_their_class() -> None:
    marks = [Mark(0.4, "N", COLOURS[0], "normal"), Mark(1.2, "<V>", COLOURS[1], 'a "b" & c')]
    svg = draw_strip(TWO, marks=marks)
    letters = [e for e in parsed(svg).iter() if e.tag.endswith("text") and e.attrib.get("font-weight") == "700"]
    assert [e.text or e[0].tail for e in letters] == ["N", "<V>"]
    assert [e.attrib["fill"] for e in letters] == list(COLOURS[:2])
    assert len(traces(svg, COLOURS[1])) == 2, "in both leads"
    first = traces(svg, COLOURS[0])[0]
    assert first[:, 0].max() < traces(svg, COLOURS[1])[0][:, 0].max()
    assert len(set(COLOURS)) == len(COLOURS)


def test_only_the_seconds_asked_for_are_drawn() -> None:
    marks = [Mark(s, "N", COLOURS[0]) for s in (0.4, 2.1, 3.4)]
    svg = draw_strip(TWO, marks=marks, start=2, seconds=1)
    assert svg.count(">N<") == 1
    assert millimetres(svg)[0] < millimetres(draw_strip(TWO))[0] - 2 * SPEED

    whole = np.concatenate([line[:, 0] for line in (*traces(svg), *traces(svg, COLOURS[0]))])
    assert np.ptp(whole) == pytest.approx(SPEED, abs=0.2)


def test_where_the_network_looked_is_a_group_of_its_own() -> None:
    attention = np.zeros(1000, np.float32)
    attention[250:300] = 1
    (group,) = [e for e in parsed(draw_strip(TWO, attention=attention)).iter() if e.attrib.get("class") == "shade"]
    places = [float(e.attrib["x"]) for e in group]
    line = traces(draw_strip(TWO))[0]
    assert min(places) == pytest.approx(line[0, 0] + SPEED, abs=0.1)
    assert max(places) < line[0, 0] + 1.25 * SPEED
    assert 'class="shade"' not in draw_strip(TWO)


def names(svg: str) -> list[str | None]:
    """Of the leads drawn."""
    return [e.text for e in parsed(svg).iter() if e.tag.endswith("text") and e.attrib.get("font-weight") == "600"]


def test_missing_leads_are_not_drawn_and_gaps_are_left_open() -> None:
    samples = TWO.samples.copy()
    samples[1] = np.nan
    samples[0, 400:500] = np.nan
    attention = np.ones(samples.shape[1], np.float32)
    svg = draw_strip(replace(TWO, samples=samples), attention=attention)
    assert names(svg) == ["MLII"] and "nan" not in svg.lower()
    alone = draw_strip(replace(TWO, samples=samples[:1], leads=("MLII",)), attention=attention)
    assert svg == alone, "no row, no pulse and no shade for a lead that is not there"
    d = re.search(r'<path d="(M[^"]+)" stroke="#1a1a1a" stroke-width="\.35"', svg)
    assert d and d[1].count("M") == 2


def test_the_usual_sheet_runs_on_in_time() -> None:
    signal = ecgmodels.standard(3)
    assert has_sheet(signal)
    svg = draw_sheet(signal)
    names = [e.text for e in parsed(svg).iter() if e.tag.endswith("text") and e.attrib.get("font-weight") == "600"]
    assert names == ["I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6", "II"]
    lines = traces(svg)
    assert len(lines) == 13
    assert np.ptp(lines[-1][:, 0]) == pytest.approx(10 * SPEED, abs=0.2)
    assert np.ptp(lines[1][:, 0]) == pytest.approx(2.5 * SPEED, abs=0.2)
    assert lines[1][0, 0] == pytest.approx(lines[0][-1, 0], abs=0.2)


def test_no_sheet_without_its_leads_or_ten_seconds() -> None:
    short = ecgmodels.standard(3, seconds=5)
    assert not has_sheet(TWO) and not has_sheet(short)
    with pytest.raises(ValueError, match="no sheet"):
        draw_sheet(TWO)
    whole = ecgmodels.standard(3)
    samples = whole.samples.copy()
    samples[8] = np.nan
    without = replace(whole, samples=samples)
    assert not has_sheet(without), "a lead that is not there has no place on it"
    drawn = draw_beat(without)
    assert names(drawn) == [name for name in whole.leads if name != "V3"]


def test_texts_are_escaped() -> None:
    hostile = "<script>alert(1)</script>"
    svg = draw_strip(replace(TWO, leads=(hostile, '"')), title=hostile, marks=[Mark(1, hostile, COLOURS[0], hostile)])
    parsed(svg)
    assert "<script" not in svg
