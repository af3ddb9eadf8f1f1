"""The training report: one JSON in, one HTML file out that opens offline, prints, and loads nothing.

`render` is the whole of it. charts.py and rows.py draw SVG, words.py makes sentences, formats.py writes figures,
headline.py chooses the big ones, view.py decides what is shown, template.html and style.css how.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

__all__ = ["render"]


def render(report: Mapping[str, Any]) -> str:
    """The page for {"card", "curves", "examples"}; any part may be None or absent.

    Every string of the report is escaped, and a content security policy forbids the page all loading and all
    scripts but its own, named by hash.
    """
    import jinja2
    from markupsafe import Markup

    from . import formats
    from .view import LEVELS, build

    here = files("medloupe.report")
    source, style, script = (here.joinpath(n).read_text("utf-8") for n in ("template.html", "style.css", "slider.js"))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True
    )
    names = ("decimal", "percent", "decimal_interval", "percent_interval", "with_interval", "share", "count", "plural")
    environment.filters.update({name: getattr(formats, name) for name in (*names, "date", "size", "seconds", "plain")})
    environment.filters["figure"] = lambda metric, style: formats.STYLES[style][0](metric)
    environment.filters["interval"] = lambda metric, style: formats.STYLES[style][1](metric)
    environment.filters["capitalize_first"] = lambda words: words[:1].upper() + words[1:].rstrip(".")
    environment.filters["drawn"] = Markup  # charts escape what they are given
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.from_string(source).render(
        **build(report), levels=LEVELS, style=Markup(style), script=Markup(script), script_hash=digest
    )
    return page.lstrip()
