"""Write figures as text: decimals, percentages, intervals, counts, dates, sizes.

A figure never shows more digits than its 95% interval supports, and never rounds up to a perfection
that was not measured. METRIC is {"value", "low", "high"}; anything in it may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from medloupe.words.locales import format_day, format_number, parse_utc, plural_form

MISSING = "–"


def is_number(x: Any) -> TypeGuard[float]:
    """Say whether x is a finite number."""
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def value(metric: Any) -> float | None:
    """Return the value of a METRIC, or None."""
    v = metric.get("value") if isinstance(metric, Mapping) else None
    return float(v) if is_number(v) else None


def bounds(metric: Any) -> tuple[float, float] | None:
    """Return the interval of a METRIC, or None where it could not be computed."""
    if not isinstance(metric, Mapping) or value(metric) is None:
        return None
    low, high = metric.get("low"), metric.get("high")
    return (float(low), float(high)) if is_number(low) and is_number(high) else None


def excludes_zero(metric: Any) -> bool:
    """Say whether a METRIC, a difference, has an interval that leaves out 0: more than chance explains."""
    ends = bounds(metric)
    return ends is not None and (ends[1] < 0 or ends[0] > 0)


# ------------------------------------------------------------------ figures with intervals


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a METRIC is written.

    Attributes
    ----------
    digits
        Decimals that a METRIC supports.
    figure, end
        Write the value, and an end of the interval, with so many decimals.
    between, after
        Stand between the ends of the interval, and after them.
    """

    digits: Callable[[Any], int]
    figure: Callable[[float, int], str]
    end: Callable[[float, int], str]
    between: str = "–"
    after: str = ""

    def write(self, metric: Any) -> str:
        """Write the value, or MISSING."""
        v = value(metric)
        return MISSING if v is None else self.figure(v, self.digits(metric))

    def write_interval(self, metric: Any) -> str:
        """Write the interval, or "" where there is none."""
        ends = bounds(metric)
        return "" if ends is None else self.between.join(self.end(x, self.digits(metric)) for x in ends) + self.after


def _width(metric: Any) -> float | None:
    ends = bounds(metric)
    return None if ends is None else ends[1] - ends[0]


def _decimals(metric: Any) -> int:
    width = _width(metric)
    return 3 if width is not None and width <= 0.1 else 2


def _percent_digits(metric: Any) -> int:
    width = _width(metric)
    return 1 if width is not None and width < 0.01 else 0


def _decimal(x: float, digits: int) -> str:
    step = 10.0**-digits
    if 1 - step / 2 <= x < 1:
        return f">{1 - step:.{digits}f}"
    if 0 < x < step / 2:
        return f"<{step:.{digits}f}"
    return f"{x:.{digits}f}"


def _decimal_end(x: float, digits: int) -> str:
    return f"{round(x, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0"


def _percent(x: float, digits: int) -> str:
    step = 10.0**-digits
    points = 100 * x
    if 100 - step / 2 <= points < 100:
        return f">{100 - step:.{digits}f}%"
    if 0 < points < step / 2:
        return f"<{step:.{digits}f}%"
    return f"{points:.{digits}f}%"


def _percent_end(x: float, digits: int) -> str:
    return _decimal_end(100 * x, digits)


def _signed(x: float, digits: int) -> str:
    rounded = round(x, digits) + 0.0
    return f"{rounded:+.{digits}f}".replace("-", "−") if rounded else f"{0:.{digits}f}"


STYLES = {
    "decimal": Style(digits=_decimals, figure=_decimal, end=_decimal_end),
    "percent": Style(digits=_percent_digits, figure=_percent, end=_percent_end, after="%"),
    "signed": Style(digits=_decimals, figure=_signed, end=_signed, between=" to "),
}


def decimal(metric: Any) -> str:
    """Write a METRIC as "0.960": three decimals, two where the interval is wider than 0.1 or unknown."""
    return STYLES["decimal"].write(metric)


def percent(metric: Any) -> str:
    """Write a METRIC as "94%": one decimal only where the interval is narrower than one point."""
    return STYLES["percent"].write(metric)


def signed(metric: Any) -> str:
    """Write a difference as "+0.035" or "−0.012"; as many decimals as its interval supports."""
    return STYLES["signed"].write(metric)


def decimal_interval(metric: Any) -> str:
    """Write an interval as "0.940–0.980", or "" where there is none."""
    return STYLES["decimal"].write_interval(metric)


def percent_interval(metric: Any) -> str:
    """Write an interval as "91–96%", or "" where there is none."""
    return STYLES["percent"].write_interval(metric)


def signed_interval(metric: Any) -> str:
    """Write the interval of a difference as "+0.012 to +0.058", or "" where there is none."""
    return STYLES["signed"].write_interval(metric)


def with_interval(metric: Any, style: str = "decimal") -> str:
    """Write a METRIC as "0.960 (0.940–0.980)", or the value alone."""
    chosen = STYLES[style]
    interval = chosen.write_interval(metric)
    return f"{chosen.write(metric)} ({interval})" if interval else chosen.write(metric)


# ------------------------------------------------------------------ plain figures


def share(x: Any) -> str:
    """Write a probability or proportion without interval: "93%", ">99%" for what is not quite 100%."""
    return _percent(float(x), 0) if is_number(x) else MISSING


def count(n: Any) -> str:
    """Write a whole number: "2,300"."""
    return format_number(n) if is_number(n) else MISSING


def plural(n: Any, one: str, many: str = "") -> str:
    """Write a number of things: "1 image", "2,300 images"."""
    single = is_number(n) and plural_form(n) == "one"
    return f"{count(n)} {one if single else many or one + 's'}"


def in_hundred(x: float) -> str:
    """Write a proportion as a count of hundred: "96", "more than 99", "fewer than 1"."""
    if 0.995 <= x < 1:
        return "more than 99"
    if 0 < x < 0.005:
        return "fewer than 1"
    return f"{100 * x:.0f}"


def date(text: Any) -> str:
    """Write an ISO 8601 time as "21 November 2026, 04:00 UTC"; what is no time stays as it is."""
    when = parse_utc(text)
    return str(text or "") if when is None else f"{format_day(when.date())}, {when:%H:%M} UTC"


def size(n: Any) -> str:
    """Write bytes as "6.9 MB"."""
    if not is_number(n):
        return MISSING
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= scale:
            return f"{format_number(n / scale, 1 if n < 100 * scale else 0)} {unit}"
    return f"{n:.0f} bytes"


def seconds(t: Any) -> str:
    """Write a duration: "0.4 s", "12 s", "3 min 20 s"."""
    if not is_number(t):
        return MISSING
    if t < 9.95:
        return f"{t:.1f} s"
    if t < 119.5:
        return f"{t:.0f} s"
    minutes, rest = divmod(round(t), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def plain(x: Any) -> str:
    """Write a setting as short text: 1392 → "1,392", 1.2e-06 → "1.2e-06"."""
    if isinstance(x, int) and not isinstance(x, bool):
        return count(x)
    return f"{x:.3g}" if is_number(x) else str(x)
