"""How answers are told on the command line: state, bars, lines, errors, and what they are not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from medloupe.cli.answers import AnswerPrinter
from medloupe.cli.console import DISCLAIMER
from medloupe.errors import NotAnImageError
from medloupe.imaging.facts import Fact
from medloupe.model.decision import Decision, Why
from medloupe.model.prediction import Prediction, Refusal

Capture = pytest.CaptureFixture[str]
SKIN = ["mole", "keratosis", "melanoma", "carcinoma", "wart", "vessel", "scar"]


def card(labels: list[str], lines: dict[str, float], **more: Any) -> Decision:
    rows = [{"label": n, "operating_point": {"threshold": lines.get(n)}} for n in labels]
    told = {n: {"role": "sought", "danger": i + 1} for i, n in enumerate(lines)}
    told |= {n: {"role": "normal"} for n in labels if n not in lines and lines}
    roles = {"by": "told", "labels": told, "ordered": more.pop("ordered", False)}
    return Decision.from_card({"task": "multiclass", "labels": labels, "per_label": rows, "roles": roles, **more})


def chest() -> Decision:
    return card(["NORMAL", "PNEUMONIA"], {"PNEUMONIA": 0.4}, decision={"unclear": 0.6}, scope=["Children 1-5"])


def asked(decision: Decision, p: list[float], **more: Any) -> Prediction:
    return Prediction.of(decision, np.array(p), **{"file": "a.png", "model": "chest", "version": 2} | more)


def told(capsys: Capture, decision: Decision, answer: Any, **how: Any) -> tuple[list[str], str]:
    printer = AnswerPrinter(lambda _: decision, json=False, **how)
    printer.print("a.png", answer)
    printer.close()
    said = capsys.readouterr()
    return said.out.splitlines(), said.err


def test_a_flag_comes_first_with_its_line(capsys: Capture) -> None:
    lines, err = told(capsys, chest(), asked(chest(), [0.16, 0.84]))
    assert lines[0] == "a.png: flagged: PNEUMONIA 84.0% (line 40.0%)"
    assert lines[1] == "   84.0%  ████████┃████████     ▲ PNEUMONIA  line 40.0%"
    assert lines[2] == "   16.0%  ███                   NORMAL", "what is normal has no line"
    assert lines[3] == "  For: Children 1-5"
    assert err.count(DISCLAIMER) == 1


def test_the_longest_bar_is_named_where_it_is_no_finding(capsys: Capture) -> None:
    lines, _ = told(capsys, chest(), asked(chest(), [0.55, 0.45]))
    assert lines[0] == "a.png: flagged: PNEUMONIA 45.0% (line 40.0%); most probable is NORMAL 55.0%"


def test_the_other_states(capsys: Capture) -> None:
    decision = chest()
    lines, _ = told(capsys, decision, asked(decision, [0.95, 0.05]))
    assert lines[0] == "a.png: not flagged; this is no all-clear. Most probable: NORMAL 95.0%"
    close = card(["NORMAL", "PNEUMONIA"], {"PNEUMONIA": 0.5}, decision={"unclear": 0.2})
    lines, _ = told(capsys, close, asked(close, [0.6, 0.4]))
    assert lines[0] == "a.png: too close to call: have it looked at"
    kinds = card(["cat", "dog"], {})
    lines, _ = told(capsys, kinds, asked(kinds, [0.3, 0.7]))
    assert lines[0] == "a.png: answered: dog 70.0%"
    lines, _ = told(capsys, decision, asked(decision, [0.1, 0.9], unusable=Why(code="dark", text="It is too dark.")))
    assert lines == ["a.png: cannot be used: It is too dark."], "no percentages of what was not judged"


def test_refusals_show_no_percentages(capsys: Capture) -> None:
    for looks_like, end in (("brain_mri", "It is foreign. It looks like brain_mri."), ("", "It is foreign.")):
        refused = Refusal(reason="It is foreign.", looks_like=looks_like)
        lines, _ = told(capsys, chest(), asked(chest(), [0.1, 0.9], refused=refused))
        assert lines == ["a.png: not judged", f"  {end}"]


def test_a_grade_says_at_least_and_a_weak_check_up_says_so(capsys: Capture) -> None:
    lines = {"severe": 0.5, "mild": 0.4}
    grades = card(["none", "mild", "severe"], lines, ordered=True, decision={"weak": True})
    lines, _ = told(capsys, grades, asked(grades, [0.1, 0.62, 0.28]))
    assert lines[0] == "a.png: flagged: at least mild 90.0%"
    assert "weak check-up" in lines[1]


def test_a_flagged_label_is_shown_however_short_its_bar(capsys: Capture) -> None:
    decision = card(SKIN, {"melanoma": 0.02})
    lines, _ = told(capsys, decision, asked(decision, [0.3, 0.2, 0.03, 0.15, 0.12, 0.11, 0.09]))
    assert lines[0] == "a.png: flagged: melanoma 3.0% (line 2.0%); most probable is mole 30.0%"
    assert any("▲ melanoma" in line for line in lines[1:])
    assert not any("scar" in line for line in lines), "five bars, and those that are flagged"


def test_who_answered_and_what_others_say(capsys: Capture) -> None:
    decision = chest()
    main = asked(decision, [0.16, 0.84])
    other = asked(decision, [0.9, 0.1], model="adults", version=None)
    both = asked(decision, [0.16, 0.84], answers=(main, other))
    lines, _ = told(capsys, decision, both, chosen=True)
    assert lines[0].endswith("(by chest@2)")
    assert lines[-1] == "  adults: not flagged; this is no all-clear. Most probable: NORMAL 90.0%"
    assert sum("chest@2" in line for line in lines) == 1, "the main answer is not told again"
    lines, _ = told(capsys, decision, other, chosen=True)
    assert lines[0].endswith("(by adults)"), "a check-up of the package has no version"


def test_errors_name_the_file_once(capsys: Capture) -> None:
    wrong = NotAnImageError("a.png is a PDF.", "Export the picture.")
    lines, err = told(capsys, chest(), wrong)
    assert (lines, err) == ([], "a.png is a PDF.\n  → Export the picture.\n")
    lines, err = told(capsys, chest(), NotAnImageError("No known format."))
    assert (lines, err) == ([], "a.png: No known format.\n")


def test_the_disclaimer_stands_once_a_run_and_never_in_json(capsys: Capture) -> None:
    for as_json, times in ((False, 1), (True, 0)):
        printer = AnswerPrinter(lambda _: chest(), json=as_json)
        for _ in range(3):
            printer.print("a.png", asked(chest(), [0.2, 0.8]))
        printer.close()
        said = capsys.readouterr()
        assert said.err.count(DISCLAIMER) == times
        assert DISCLAIMER not in said.out
    assert [json.loads(line)["state"] for line in said.out.splitlines()] == ["flagged"] * 3
    printer = AnswerPrinter(lambda _: chest(), json=True)
    printer.print("a.png", NotAnImageError("a.png is a PDF.", "Export the picture."))
    said = capsys.readouterr()
    assert json.loads(said.out) == {"file": "a.png", "error": "a.png is a PDF. Export the picture."}


def test_what_was_decided_while_decoding_is_told(capsys: Capture) -> None:
    facts = (Fact("slope", {"declared": "0"}),)
    lines, _ = told(capsys, chest(), asked(chest(), [0.16, 0.84], facts=facts))
    assert lines[1] == "  The file's rescale slope is 0, which cannot be; 1 is taken."
    AnswerPrinter(lambda _: chest(), json=True).print("a.png", asked(chest(), [0.16, 0.84], facts=facts))
    assert json.loads(capsys.readouterr().out)["picture"]["notes"][0]["code"] == "slope"
