"""Figures as text: decimals, percentages, intervals, counts, dates, sizes.

A figure never shows more digits than its 95% interval supports, and never rounds up to a perfection
that was not measured. METRIC is {"value", "low", "high"}; anything in it may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard

MISSING = "–"


def known(x: Any) -> TypeGuard[float]:
    """Whether x is a finite number."""
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def value(metric: Any) -> float | None:
    """The value of a METRIC, or None."""
    v = metric.get("value") if isinstance(metric, Mapping) else None
    return float(v) if known(v) else None


def bounds(metric: Any) -> tuple[float, float] | None:
    """The interval of a METRIC, or None where it could not be computed."""
    if not isinstance(metric, Mapping) or value(metric) is None:
        return None
    low, high = metric.get("low"), metric.get("high")
    return (float(low), float(high)) if known(low) and known(high) else None


def _width(metric: Any) -> float | None:
    ends = bounds(metric)
    return None if ends is None else ends[1] - ends[0]


def _rounded(x: float, digits: int) -> str:
    return f"{round(x, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0"


def _decimal(x: float, digits: int) -> str:
    step = 10.0**-digits
    if 1 - step / 2 <= x < 1:
        return f">{1 - step:.{digits}f}"
    if 0 < x < step / 2:
        return f"<{step:.{digits}f}"
    return f"{x:.{digits}f}"


def _percent(x: float, digits: int) -> str:
    step = 10.0**-digits
    points = 100 * x
    if 100 - step / 2 <= points < 100:
        return f">{100 - step:.{digits}f}%"
    if 0 < points < step / 2:
        return f"<{step:.{digits}f}%"
    return f"{points:.{digits}f}%"


def _decimals(metric: Any) -> int:
    width = _width(metric)
    return 3 if width is not None and width <= 0.1 else 2


def _percent_digits(metric: Any) -> int:
    width = _width(metric)
    return 1 if width is not None and width < 0.01 else 0


def decimal(metric: Any) -> str:
    """ "0.960": three decimals, two where the interval is wider than 0.1 or unknown."""
    v = value(metric)
    return MISSING if v is None else _decimal(v, _decimals(metric))


def percent(metric: Any) -> str:
    """ "94%": one decimal only where the interval is narrower than one point."""
    v = value(metric)
    return MISSING if v is None else _percent(v, _percent_digits(metric))


def decimal_interval(metric: Any) -> str:
    """ "0.940–0.980", or "" where there is none."""
    ends = bounds(metric)
    return "" if ends is None else "–".join(_rounded(x, _decimals(metric)) for x in ends)


def percent_interval(metric: Any) -> str:
    """ "91–96%", or "" where there is none."""
    ends = bounds(metric)
    if ends is None:
        return ""
    return "–".join(_rounded(100 * x, _percent_digits(metric)) for x in ends) + "%"


def with_interval(metric: Any, style: str = "decimal") -> str:
    """ "0.960 (0.940–0.980)", or the value alone."""
    show, ends = STYLES[style]
    interval = ends(metric)
    return f"{show(metric)} ({interval})" if interval else show(metric)


def signed(metric: Any) -> str:
    """A difference: "+0.035", "−0.012"; as many decimals as its interval supports."""
    v = value(metric)
    return MISSING if v is None else _signed(v, _decimals(metric))


def signed_interval(metric: Any) -> str:
    """ "+0.012 to +0.058", or "" where there is none."""
    ends = bounds(metric)
    return "" if ends is None else " to ".join(_signed(x, _decimals(metric)) for x in ends)


def _signed(x: float, digits: int) -> str:
    rounded = round(x, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


STYLES: dict[str, tuple[Callable[[Any], str], Callable[[Any], str]]] = {
    "decimal": (decimal, decimal_interval),
    "percent": (percent, percent_interval),
    "signed": (signed, signed_interval),
}


def share(x: Any) -> str:
    """A probability or proportion without interval: "93%", ">99%" for what is not quite 100%."""
    return _percent(float(x), 0) if known(x) else MISSING


def count(n: Any) -> str:
    """ "2,300"."""
    return f"{n:,.0f}" if known(n) else MISSING


def plural(n: Any, one: str, many: str = "") -> str:
    """ "1 image", "2,300 images"."""
    return f"{count(n)} {one if n == 1 else many or one + 's'}"


def in_hundred(x: float) -> str:
    """A proportion as a count of hundred: "96", "more than 99", "fewer than 1"."""
    if 0.995 <= x < 1:
        return "more than 99"
    if 0 < x < 0.005:
        return "fewer than 1"
    return f"{100 * x:.0f}"


def date(text: Any) -> str:
    """An ISO 8601 time as "21 November 2026, 04:00 UTC"; what is no time stays as it is."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return str(text or "")
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return f"{when.day} {when:%B %Y, %H:%M} UTC"


def size(n: Any) -> str:
    """Bytes as "6.9 MB"."""
    if not known(n):
        return MISSING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= scale:
            return f"{n / scale:.1f} {unit}" if n < 100 * scale else f"{n / scale:,.0f} {unit}"
    return f"{n:.0f} bytes"


def seconds(t: Any) -> str:
    """A duration: "0.4 s", "12 s", "3 min 20 s"."""
    if not known(t):
        return MISSING
    if t < 9.95:
        return f"{t:.1f} s"
    if t < 119.5:
        return f"{t:.0f} s"
    minutes, rest = divmod(round(t), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(x: Any) -> str:
    """A setting as short text: 1392 → "1,392", 1.2e-06 → "1.2e-06"."""
    if isinstance(x, int) and not isinstance(x, bool):
        return f"{x:,}"
    return f"{x:.3g}" if known(x) else str(x)
