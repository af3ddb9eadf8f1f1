"""Render the pages for people: one JSON in, one HTML file out that opens offline, prints, and loads nothing.

charts/ draws SVG, sentences.py says figures in words, formats.py writes them, headline.py chooses the big ones;
view.py,
curves.py, training.py, inputs.py, subgroups.py, stress.py, detection.py, comparison.py, box_comparison.py and
adaptation.py decide what is shown, the
.html files in templates/ and style.css how.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

    from medloupe.metrics.paired import RunComparison


def render(report: Mapping[str, Any]) -> str:
    """Render the training report.

    Every string of the report is escaped, and a content security policy forbids the page all loading and all scripts
    but its own, named by hash.

    Parameters
    ----------
    report
        {"card", "curves", "examples"} and the parts that training.py and inputs.py describe; any may be None or absent.
    """
    from medloupe.report.view import build

    return _page("report.html", build(report))


def render_comparison(contrast: RunComparison) -> str:
    """Render the page of two runs held against each other; escaped and self-contained as the report is."""
    from medloupe.report.comparison import build

    return _page("compare.html", build(contrast))


def render_box_comparison(said: Mapping[str, Any], curves: tuple[Any, Any], cards: tuple[Any, Any]) -> str:
    """Render the page of two detectors held against each other; escaped and self-contained as the report is.

    Parameters
    ----------
    said
        The JSON of the comparison.
    curves, cards
        Of both; curves by label as metrics/detection_curves gives them.
    """
    from medloupe.report.box_comparison import build

    return _page("compare_boxes.html", build(said, curves, cards))


def render_adaptation(card: Mapping[str, Any], curves: Mapping[str, Any]) -> str:
    """Render the page of a model fitted to local cases; escaped and self-contained as the report is.

    Parameters
    ----------
    card
        With the entry `adapted` (docs/card.md).
    curves
        "before" and "after", bins as metrics/curves gives them.
    """
    from medloupe.report.adaptation import build

    return _page("adaptation.html", build(card, curves))


def render_stress(stressed: Mapping[str, Any], pictures: Sequence[Any]) -> str:
    """Render the page of a model under changes of the pictures; escaped and self-contained as the report is.

    Parameters
    ----------
    stressed
        The JSON of a stress test, with its words.
    pictures
        One image under every change, each with `title`, `image` (a data URL) and `words`.
    """
    from medloupe.report.stress import build

    return _page("stress.html", build(stressed, pictures))


def render_suspects(suspects: Mapping[str, Any], data: str, table: str) -> str:
    """Render the page of labels for a second look; escaped and self-contained as the report is.

    Parameters
    ----------
    suspects
        As training/pipeline/second_look.py gives them.
    data, table
        Names of the data set and of the table in which people decide.
    """
    from medloupe.report.suspects import build

    return _page("suspects.html", build(suspects, data, table))


def _page(template: str, context: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(context).lstrip()


@cache
def _environment() -> jinja2.Environment:
    """Made once, as it keeps the templates compiled, which takes longer than filling them in."""
    import jinja2
    from markupsafe import Markup

    from medloupe.report import formats
    from medloupe.report.sections import LEVELS

    here = files("medloupe.report") / "templates"

    def source(name: str) -> str:
        return here.joinpath(name).read_text("utf-8")

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("decimal", "percent", "decimal_interval", "percent_interval", "with_interval", "share", "count", "plural")
    names += ("signed", "signed_interval", "date", "size", "seconds", "plain")
    environment.filters.update({name: getattr(formats, name) for name in names})
    environment.filters["figure"] = lambda metric, style: formats.STYLES[style].write(metric)
    environment.filters["interval"] = lambda metric, style: formats.STYLES[style].write_interval(metric)
    environment.filters["capitalize_first"] = lambda words: words[:1].upper() + words[1:].rstrip(".")
    environment.filters["drawn"] = Markup  # charts escape what they are given
    script = source("slider.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "style": Markup(source("style.css")),
        "script": Markup(script),
        "script_hash": digest,
        "levels": LEVELS,
    }
    return environment
