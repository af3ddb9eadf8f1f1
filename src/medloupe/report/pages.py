"""The pages for people: one JSON in, one HTML file out that opens offline, prints, and loads nothing.

`render` makes the training report, `render_comparison` the page of two runs, `render_adaptation` that of a local fit,
`render_stress` that of a stress test. charts.py, rows.py, histories.py, pairs.py draw SVG, words.py makes sentences,
formats.py writes figures, headline.py chooses the big ones, view.py, learned.py, changes.py and comparison.py decide
what is shown, the .html files and style.css how.
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

__all__ = ["render", "render_adaptation", "render_comparison", "render_stress"]


def render(report: Mapping[str, Any]) -> str:
    """The page for {"card", "curves", "examples"} and the parts that learned.py describes; any may be None or absent.

    Every string of the report is escaped, and a content security policy forbids the page all loading and all
    scripts but its own, named by hash.
    """
    from medloupe.report.view import build

    return _page("template.html", build(report))


def render_comparison(contrast: RunComparison) -> str:
    """The page of two runs held against each other; escaped and self-contained as the report is."""
    from medloupe.report.comparison import build

    return _page("compare.html", build(contrast))


def render_adaptation(card: Mapping[str, Any], curves: Mapping[str, Any]) -> str:
    """The page of a model fitted to local cases; escaped and self-contained as the report is.

    card: with the entry `adapted` (docs/card.md). curves: "before" and "after", bins as curves.curves gives them.
    """
    from medloupe.report.adaptation import build

    return _page("adaptation.html", build(card, curves))


def render_stress(stressed: Mapping[str, Any], pictures: Sequence[Any]) -> str:
    """The page of a model under changes of the pictures; escaped and self-contained as the report is.

    stressed: the JSON of a stress test, with its words. pictures: one image under every change, each with `title`,
    `image` (a data URL) and `words`.
    """
    from medloupe.report.changes import build

    return _page("stress.html", build(stressed, pictures))


def _page(template: str, context: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(context).lstrip()


@cache
def _environment() -> jinja2.Environment:
    """Made once, as it keeps the templates compiled, which takes longer than filling them in."""
    import jinja2
    from markupsafe import Markup

    from medloupe.report import formats
    from medloupe.report.view import LEVELS

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
    environment.filters["figure"] = lambda metric, style: formats.STYLES[style][0](metric)
    environment.filters["interval"] = lambda metric, style: formats.STYLES[style][1](metric)
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
