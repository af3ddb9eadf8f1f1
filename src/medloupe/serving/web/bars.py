"""Percentages as bars, and the lines that flags go up at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.serving.web.language import Language

Named = Callable[[str], str]  # a label as it is kept to how people read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A label's percentage. width, limit: of 100; limit is where its flag goes up, or None."""

    label: str
    percent: str
    width: float
    limit: float | None
    limit_words: str
    called: bool


def flag(
    probabilities: Mapping[str, float], thresholds: Mapping[str, float | None], lang: Language, named: Named
) -> dict[str, Any]:
    """Which of the labels that raise flags are above their line, whatever is most probable."""
    counting = {n: limit for n, limit in thresholds.items() if limit is not None}
    if not counting:
        return {}
    # In single precision, as flags are announced.
    up = [n for n, limit in counting.items() if np.float32(probabilities[n]) >= np.float32(limit)]

    def said(key: str, n: str) -> str:
        return lang.t(
            f"result.{key}",
            label=capital(named(n)),
            percent=lang.percent(probabilities[n]),
            limit=lang.percent(counting[n]),
        )

    if up:
        return {
            "flagged": True,
            "flags": tuple(said("flagged", n) for n in sorted(up, key=lambda n: -probabilities[n])),
        }
    below = said("not_flagged", next(iter(counting))) if len(counting) == 1 else lang.t("result.none_flagged")
    return {"flagged": False, "flags": (f"{below}. {lang.t('result.missed')}",)}


def bar(label: str, p: float, limit: float | None, called: bool, lang: Language) -> Bar:
    return Bar(
        label=label,
        percent=lang.percent(p),
        width=round(100 * min(max(p, 0), 1), 1),
        limit=None if limit is None else round(100 * min(max(limit, 0), 1), 1),
        limit_words="" if limit is None else lang.t("result.line_at", limit=lang.percent(limit)),
        called=called,
    )


def capital(text: str) -> str:
    """With a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
