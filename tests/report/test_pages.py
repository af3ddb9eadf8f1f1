"""The report page: complete, escaped, well formed, self-contained, and no wider than the screen."""

from __future__ import annotations

import copy
import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import box_report
from browsing import dumped, needs_chromium
from medloupe.report import formats, sentences
from medloupe.report.charts import axes, histories, rows
from medloupe.report.pages import render
from parsing import parsed, visible
from report_example import EXAMPLES as CLASSIFIERS
from report_example import HOSTILE, binary, metric

EXAMPLES = {**CLASSIFIERS, **box_report.EXAMPLES}


@functools.cache
def page(name: str) -> str:
    return render(EXAMPLES[name]())


@pytest.mark.parametrize("name", EXAMPLES)
def test_well_formed_and_self_contained(name: str) -> None:
    html = page(name)
    parser = parsed(html)
    assert html.startswith("<!DOCTYPE html>")
    assert all(r.startswith(("#", "data:image/")) for r in parser.references)
    assert parser.scripts == 1
    assert len(parser.ids) == len(set(parser.ids))
    anchors = {r[1:] for r in parser.references if r.startswith("#")}
    assert anchors <= set(parser.ids)
    assert "url(" not in html and "@import" not in html
    assert "Research software, not a medical device. Not for diagnosis." in visible(html)
    assert 8_000 < len(html) < 600_000


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_of_the_machinery_shows(name: str) -> None:
    assert not re.search(r"\b(None|nan|Undefined|inf)\b|\{[{%]|&lt;(?!/?script)", visible(page(name)))


@pytest.mark.parametrize("name", EXAMPLES)
def test_svg_stays_in_its_box_and_is_named(name: str) -> None:
    drawings = re.findall(r'<svg viewBox.*?class="chart.*?</svg>', page(name), re.S)
    assert bool(drawings)
    for source in drawings:
        svg = ElementTree.fromstring(source)
        _, _, width, height = map(float, svg.attrib["viewBox"].split())
        assert svg.attrib["role"] == "img" and svg[0].tag == "title" and svg[1].tag == "desc"
        assert svg.attrib["aria-labelledby"].split() == [svg[0].attrib["id"], svg[1].attrib["id"]]
        assert svg[0].text and svg[1].text
        for element in svg.iter():
            at = element.attrib
            pairs = [(at.get(f"{k}{n}"), width if k == "x" else height) for k in "xy" for n in ("", "1", "2")]
            pairs += [(at.get("cx"), width), (at.get("cy"), height)]
            numbers = re.findall(r"-?[\d.]+", at.get("d", "") + " " + at.get("points", ""))
            pairs += [(n, height if i % 2 else width) for i, n in enumerate(numbers)]
            for number, limit in pairs:
                assert number is None or -0.01 <= float(number) <= limit + 0.01, (svg[0].text, at)
            if element.tag == "rect":
                assert float(at["x"]) + float(at["width"]) <= width + 0.01 and float(at["width"]) >= 0
            if element.tag == "text" and "transform" not in at:
                long = 5.6 * len("".join(element.itertext()))  # about Arial at 11 units
                shift = {"middle": 0.5, "end": 1.0}.get(at.get("text-anchor", ""), 0.0)
                left = float(at["x"]) - shift * long
                assert left >= -8 and left + long <= width + 8, (svg[0].text, "".join(element.itertext()))


@pytest.mark.parametrize("name", EXAMPLES)
def test_headline_figures_are_there_with_their_intervals(name: str) -> None:
    card, text = EXAMPLES[name]()["card"], visible(page(name))
    styles = {"accuracy": "percent", "balanced_accuracy": "percent", "majority_accuracy": "percent"}
    for figure, of in card["metrics"].items():
        if of["value"] is not None:
            style = formats.STYLES[styles.get(figure, "decimal")]
            assert style.write(of) in text and style.write_interval(of) in text
    for label in card["labels"] if name != "minimal" else []:
        assert label in text
    assert card["name"] in text


def test_every_part_of_a_full_report_is_shown() -> None:
    report = binary()
    card, text = report["card"], visible(page("binary"))
    sentences = [w["text"] for w in card["warnings"]] + [f["title"] for f in card["audit"]["findings"]]
    sentences += [f["advice"] for f in card["audit"]["findings"]] + card["limits"] + card["data"]["notes"]
    sentences += [card["intended_use"], card["split"]["sentence"], card["audit"]["shortcut"]["sentence"]]
    sentences += [card["data"][k] for k in ("licence", "citation", "fingerprint", "source")]
    sentences += [card["secondary"]["title"], "The first 50 of 155", "0.986", "2 serious problems"]
    sentences += [e["file"] for e in report["examples"]["wrong"] + report["examples"]["right"]]
    for sentence in sentences:
        assert sentence in text
    assert text.index("155 images are filed under two labels. The") < text.index("5 files were left out")


def test_two_classes_make_one_curve_of_the_one_looked_for() -> None:
    assert page("binary").count("<title") > 0
    assert len(re.findall(r'id="roc-\d+-title">ROC curve: PNEUMONIA', page("binary"))) == 1
    assert "ROC curve: NORMAL" not in page("binary")
    assert len(re.findall(r'id="roc-\d+-title"', page("seven"))) == 7
    assert len(re.findall(r'id="roc-\d+-title"', page("twenty"))) == 20


def test_hostile_words_stay_words() -> None:
    assert HOSTILE not in page("multilabel")
    assert HOSTILE in visible(page("multilabel"))
    report = binary()
    evil = '"><img src=https://x.example/a onerror=alert(1)>'

    def poison(x: object) -> object:
        if isinstance(x, dict):
            kept = ("task", "modality", "value", "level", "image", "heatmap", "created")
            return {k: v if k in kept and not isinstance(v, dict | list) else poison(v) for k, v in x.items()}
        if isinstance(x, list):
            return [poison(v) for v in x]
        return x + evil if isinstance(x, str) else x

    poisoned = poison(report)
    assert isinstance(poisoned, dict)
    parser = parsed(render(poisoned))
    assert all(r.startswith(("#", "data:image/")) for r in parser.references)
    assert evil in "".join(parser.words)


def test_pictures_from_elsewhere_are_left_out() -> None:
    report = binary()
    for example in report["examples"]["wrong"]:
        example["image"] = "https://example.org/a.png"
    for example in report["examples"]["right"]:
        example["heatmap"] = "javascript:alert(1)"
    elsewhere = {"image": "https://example.org/a.png"}
    parser = parsed(render({**report, "stages": {**report["stages"], **elsewhere}}))
    assert all(r.startswith(("#", "data:image/jpeg")) for r in parser.references)
    assert "stages" not in parser.ids
    rows = [{**row, "tiles": ["https://example.org/a.png", *row["tiles"][1:]]} for row in report["stages"]["rows"]]
    shown = parsed(render({**report, "stages": {**report["stages"], "rows": rows, "heatmap": "x"}}))
    assert all(r.startswith(("#", "data:image/")) for r in shown.references)
    assert sum(r.startswith("data:image/png") for r in shown.references) == sum(len(r["tiles"]) - 1 for r in rows)


def test_any_part_may_be_missing() -> None:
    report = binary()
    for part in ("card", "curves", "examples"):
        for key in list(report[part]):
            for value in (None, {} if isinstance(report[part][key], dict) else []):
                smaller = copy.deepcopy(report)
                smaller[part][key] = value
                parsed(render(smaller))
    for part in ("finetuning", "few_images", "search", "stages"):
        for key in report[part]:
            for value in (None, {}, [], [None], [{}], "x", 3):
                parsed(render({part: {**report[part], key: value}}))
    parsed(render({}))
    parsed(render(dict.fromkeys(("card", "curves", "examples", "finetuning", "few_images", "search", "stages"))))


def test_entries_of_what_was_learned_need_not_be_whole() -> None:
    report = binary()
    lists = (("finetuning", "candidates"), ("finetuning", "history"), ("few_images", "curves"), ("search", "trials"))
    for part, name in (*lists, ("stages", "rows")):
        for key in report[part][name][0]:
            number = isinstance(report[part][name][0][key], float)
            for value in (None, {}, [], *[float("nan")] * number):
                entries = [{**report[part][name][0], key: value}, *report[part][name][1:]]
                html = render({part: {**report[part], name: entries}})
                assert not re.search(r"\b(None|nan|Undefined)\b", visible(html)), (part, name, key, value)


def test_what_fine_tuning_brought() -> None:
    report, text = binary(), visible(page("binary"))
    assert report["finetuning"]["words"] in text
    for said in ("tail, 50% of the way taken", "+0.021 +0.010 to +0.032", "−0.008 to +0.024", "15 min 11 s"):
        assert said in text
    assert "for “pretrained” at epoch 8, for “from scratch” at epoch 5" in text
    assert "its upper third was trained further" in text
    for heading in ("Loss by epoch", "Accuracy by epoch"):
        (chart,) = re.findall(rf"<svg[^>]*><title[^>]*>{heading}</title>.*?</svg>", page("binary"), re.S)
        classes = re.findall(r'<path d="[^"]*" class="(curve [^"]*)"', chart)
        assert sorted(classes) == [f"curve {k} {part}" for k in ("first", "second") for part in ("train", "val")]
        assert chart.count('class="parts') == 2
    linear = {**report["finetuning"], "winner": "linear"}
    assert "is not changed by training" in visible(render({**report, "finetuning": linear}))
    assert "fine-tuning" not in visible(page("seven")).lower()


def test_epochs_are_drawn_where_they_are() -> None:
    rows_ = [{"epoch": e, "train_loss": 1.0 / e, "val_loss": 0.5} for e in (1, 2, 3)]
    chart = histories.epochs("k", "n", "loss", [{"name": "tail", "epochs": rows_, "parts_at": 2}], "loss")
    assert chart
    train, val = (
        [tuple(map(float, xy.split())) for xy in d.split("L")] for d in re.findall(r'd="M([^"Z]*)" class="curve', chart)
    )
    assert [x for x, _ in train] == [x for x, _ in val]
    assert train[1][0] - train[0][0] == pytest.approx(train[2][0] - train[1][0], abs=0.2)
    assert len({y for _, y in val}) == 1 and train[0][1] < train[1][1] < train[2][1]  # down the page is down in loss
    assert (train[1][1] - val[1][1]) == pytest.approx(0, abs=0.11)  # both 0.5 at epoch 2
    flag = re.search(r'x1="([\d.]+)"[^>]*class="parts', chart)
    assert flag and float(flag[1]) == pytest.approx(train[1][0], abs=0.2)
    assert histories.epochs("k", "n", "accuracy", [{"name": "tail", "epochs": rows_}], "accuracy") is None


def curve(name: str, *figures: float) -> dict[str, object]:
    return {"name": name, "points": [{"n": n, "auc": metric(a)} for n, a in zip((10, 100), figures, strict=True)]}


@pytest.mark.parametrize(
    ("scratch", "said"),
    [
        ((0.6, 0.92), "“scratch” needs 100 for as much (0.920)"),
        ((0.6, 0.85), "“scratch” does not get there even with 100 (0.850)"),
        ((0.95, 0.97), "pretraining brought no clear gain"),
    ],
)
def test_what_transfer_learning_buys(scratch: tuple[float, float], said: str) -> None:
    text = visible(render({"few_images": {"curves": [curve("pretrained", 0.9, 0.95), curve("scratch", *scratch)]}}))
    assert "With 10 images of each class, “pretrained” has AUC 0.900." in text and said in text


def test_the_search_lists_every_trial_best_first() -> None:
    trials, text = binary()["search"]["trials"], visible(page("binary"))
    best = max((t for t in trials if t["state"] == "complete"), key=lambda t: t["auc"])
    assert re.search(rf"time {best['number']} {best['auc']:.3f} rate", text)
    assert "24 settings were tried" in text and "ended early" in text and "16 more trials" in text
    assert all(f"smoothing {t['params']['smoothing']:.3g}" in text for t in trials)


def test_stages_are_folded_and_shown() -> None:
    html, stages = page("binary"), binary()["stages"]
    assert '<details class="prints stages">' in html
    for row in stages["rows"]:
        assert "×".join(map(str, row["shape"])) in visible(html) and row["words"] in visible(html)
        assert all(tile in html for tile in row["tiles"])
    assert stages["heatmap"] in html and stages["file"] in visible(html)


def test_what_each_input_adds_is_shown() -> None:
    report = binary()
    facts, text = report["card"]["inputs"], visible(page("binary"))
    said = [facts["words"], "What each input adds", "image and table", "all together", "model, nothing given"]
    said += ["a number, usually 1 to 9 years", "one of F, M", "free text", *facts["said"]]
    said += ["*pneumonia* — stands for PNEUMONIA", "consolidation — is found almost only with PNEUMONIA", "told"]
    said += ["it alone tells the label with an AUC of 0.93", "PNEUMONIA: 41% by the image alone, 83% with the inputs"]
    said += ["known only afterwards", "over the notes alone", "for PNEUMONIA", "+2.60", "−0.40"]
    said += ["without the other inputs"]
    for sentence in said:
        assert sentence in text, sentence
    assert "What each input adds" not in visible(page("seven"))


@pytest.mark.parametrize("part", ["fusion", "fields", "notes", "columns_left_out", "words", "said"])
@pytest.mark.parametrize("instead", [None, [], [{}], [None, 3]])
def test_inputs_need_not_be_whole(part: str, instead: object) -> None:
    report = binary()
    parsed(render({**report, "card": {**report["card"], "inputs": {**report["card"]["inputs"], part: instead}}}))
    parsed(render({**report, "moved": [{}, {"inputs": [{"effects": {"PNEUMONIA": 1}}], "label": "PNEUMONIA"}]}))


def test_nothing_in_the_card_need_be_whole() -> None:
    card = binary()["card"]
    for outer, inner in card.items():
        if isinstance(inner, dict):
            for key in inner:
                parsed(render({"card": {**card, outer: {**inner, key: None}}}))


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ({"value": 0.9601, "low": 0.94, "high": 0.98}, "0.960 (0.940–0.980)"),
        ({"value": 0.9601, "low": 0.8, "high": 0.98}, "0.96 (0.80–0.98)"),
        ({"value": 0.96012, "low": None, "high": None}, "0.96"),
        ({"value": 0.99999, "low": 0.999, "high": 1.0}, ">0.999 (0.999–1.000)"),
        ({"value": 0.0, "low": -1e-18, "high": 0.05}, "0.000 (0.000–0.050)"),
        ({"value": float("nan"), "low": 0, "high": 1}, "–"),
        (None, "–"),
    ],
)
def test_no_more_digits_than_the_interval_supports(figure: object, expected: str) -> None:
    assert formats.with_interval(figure) == expected


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ({"value": 0.0354, "low": 0.0121, "high": 0.0582}, ("+0.035", "+0.012 to +0.058")),
        ({"value": -0.0354, "low": -0.2, "high": 0.1}, ("−0.04", "−0.20 to +0.10")),
        ({"value": -0.0001, "low": -0.001, "high": 0.001}, ("0.000", "−0.001 to +0.001")),
        (None, ("–", "")),
    ],
)
def test_differences_carry_their_sign(figure: object, expected: tuple[str, str]) -> None:
    assert (formats.signed(figure), formats.signed_interval(figure)) == expected


def test_percentages() -> None:
    assert formats.with_interval({"value": 0.945, "low": 0.91, "high": 0.96}, "percent") == "94% (91–96%)"
    assert formats.with_interval({"value": 0.945, "low": 0.942, "high": 0.948}, "percent") == "94.5% (94.2–94.8%)"
    assert formats.share(0.9996) == ">99%" and formats.share(1.0) == "100%" and formats.share(0.001) == "<1%"


def test_the_verdict_says_when_nothing_was_shown() -> None:
    card = binary()["card"]
    card["metrics"] |= {"auc": {"value": 0.52, "low": 0.45, "high": 0.6}, "accuracy": metric(0.6, 0.05)}
    card["metrics"]["majority_accuracy"] = metric(0.62, 0.05)
    said = " ".join(sentences.verdict(card))
    assert "tossing a coin" in said and "no clear gain" in said
    assert "from patients it had not seen" in sentences.verdict(card)[0]
    card["split"]["patients_shared"] = 12
    assert "patients" not in sentences.verdict(card)[0]
    card["split"]["patients_shared"], card["data"]["patients"] = None, None
    assert "patients" not in sentences.verdict(card)[0]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["NORMAL", "PNEUMONIA"], "PNEUMONIA"),
        (["Parasitized", "Uninfected"], "Parasitized"),
        (["abnormal", "normal"], "abnormal"),
        (["no tumour", "tumour"], "tumour"),
        (["glioma", "meningioma"], "meningioma"),
    ],
)
def test_the_class_looked_for(labels: list[str], expected: str) -> None:
    assert sentences.positive_label({"task": "multiclass", "labels": labels}) == expected
    assert sentences.positive_label({"task": "multiclass", "labels": labels, "positive": labels[0]}) == labels[0]


def test_alarms_follow_bayes() -> None:
    assert sentences.right_alarms(metric(0.9), metric(0.9), 0.5) == 90
    assert sentences.right_alarms(metric(0.9), metric(0.9), 0.01) == 8
    assert sentences.right_alarms(metric(None), metric(0.9), 0.01) is None


@pytest.mark.parametrize(("last", "said"), [(0.93, "still rising"), (0.906, "rises slowly"), (0.9, "flat")])
def test_what_more_images_would_bring(last: float, said: str) -> None:
    points = [{"n": 100, "auc": metric(0.9)}, {"n": 200, "auc": metric(last)}]
    assert said in sentences.describe_learning(points, "image")
    assert sentences.describe_learning(points[:1], "image") == ""


def test_long_curves_are_thinned() -> None:
    n = 20_000
    curve = {"fpr": [i / n for i in range(n)], "tpr": [(i / n) ** 0.5 for i in range(n)]}
    assert len(axes.roc("k", "x", curve, metric(0.7))) < 20_000


def test_degenerate_charts_are_drawn() -> None:
    one = [{"n": 5, "predicted": 1.0, "observed": 0.0, "low": None, "high": None}]
    flat = [{"n": 10, "auc": metric(1.0, None)}, {"n": 10, "auc": metric(1.0, None)}]
    for drawn in (
        axes.calibration("a", one, None),
        axes.learning("b", flat),
        rows.confusion("c", ["a", "b"], [[0, 0], [0, 0]]),
        rows.counts("d", "n", [("a", 0)], 0),
        rows.bars("e", "n", [rows.Row("漢字" * 30, metric(None))]),
        rows.intervals("f", "n", [rows.Row("x" * 200, metric(0.5), "n 3")], (0.5, 1.0), "percent", (0.5, "all")),
    ):
        assert "nan" not in ElementTree.tostring(ElementTree.fromstring(drawn), "unicode")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_they_are_on(scheme: int) -> None:
    """WCAG AA: 4.5 to 1, on the page, on the tinted boxes and on the fullest cell of the confusion matrix."""
    roots = re.findall(r":root \{(.*?)\}", page("minimal"), re.S)
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", roots[scheme]))
    for ink in ("ink", "muted", "blue", "orange", "red", "green"):
        for paper in ("paper", "tint", "tint-red"):
            assert contrast(colour[ink], colour[paper]) >= 4.5, (ink, paper)
    paper, blue = colour["paper"], colour["blue"]
    half = "#" + "".join(f"{(int(paper[i : i + 2], 16) + int(blue[i : i + 2], 16)) // 2:02x}" for i in (1, 3, 5))
    assert contrast(colour["ink"], half) >= 4.5


def test_import_is_cheap() -> None:
    """What importing the report adds to importing the package: nothing heavy."""
    heavy = "[m for m in ('jinja2', 'numpy', 'torch') if m in sys.modules]"
    code = f"import json, sys, medloupe; a = {heavy}; import medloupe.report.pages; print(json.dumps([a, {heavy}]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    before, after = json.loads(done.stdout)
    assert before == after


@needs_chromium
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_wider_than_the_screen(name: str, tmp_path: Path) -> None:
    probe = (
        "<script>addEventListener('load', () => parent.postMessage([innerWidth, document.documentElement.scrollWidth,"
        "performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length], '*'))</script>"
    )
    html = re.sub(r"script-src 'sha256-[^']+'", "script-src 'unsafe-inline'", page(name))
    tmp_path.joinpath("page.html").write_text(html.replace("</body>", probe + "</body>"), "utf-8")
    frames = "".join(
        f'<iframe src="page.html" style="border:0;width:{w}px;height:900px"></iframe>' for w in (1280, 360)
    )
    hear = "<script>addEventListener('message', e => document.title += JSON.stringify(e.data) + ';')</script>"
    outer = tmp_path / "outer.html"
    outer.write_text(f"<!DOCTYPE html><title></title>{hear}{frames}", "utf-8")
    heard = re.search(r"<title>(.*?)</title>", dumped(tmp_path, outer).stdout)
    assert heard
    measured = sorted(json.loads(m) for m in heard[1].split(";") if m)
    assert [m[0] for m in measured] == [360, 1280]
    for inner, scroll, fetched in measured:
        assert scroll <= inner
        assert fetched == 0


@needs_chromium
def test_opens_without_complaint_and_its_own_script_may_run(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page("binary"), "utf-8")
    seen = dumped(tmp_path, file)
    assert "CONSOLE" not in seen.stderr
    assert '<p class="slider">' in seen.stdout  # hidden until the script, which the policy must let through, shows it
