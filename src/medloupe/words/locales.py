"""Write numbers, percentages, dates and lists as a language does, and choose its plural forms.

The rules are those of the Unicode Common Locale Data Repository (CLDR), by way of Babel. Babel and the data of a locale
are loaded when first needed: a server that only answers programs holds neither. Figures are rounded here, as Python
rounds binary floats, so that a language changes how a figure looks and never what it says.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from babel import Locale
    from babel.numbers import NumberPattern

PLURAL_FORMS = frozenset({"zero", "one", "two", "few", "many", "other"})  # CLDR's names; every language has "other"
_LOCALES = {"en": "en_GB"}  # day before month, no comma before "and"; other languages as CLDR has them at large


def format_number(x: float, digits: int = 0, code: str = "en") -> str:
    """Write a number with its thousands grouped.

    Parameters
    ----------
    x
        The number; what is not finite comes back as Python writes it.
    digits
        Decimals, all of them written.
    code
        ISO 639-1 code of the language.

    Returns
    -------
    str
        2300 as "2,300" or "2 300"; 0.934 with three digits as "0.934" or "0,934".
    """
    if not math.isfinite(x):
        return str(x)
    from babel.numbers import format_decimal

    return format_decimal(Decimal(f"{x:.{digits}f}"), format=_number_pattern(code, digits), locale=_locale(code))


def format_percent(share: float, code: str = "en") -> str:
    """Write a share of 1 in whole percent: "87%", "87 %"."""
    from babel import numbers

    return numbers.format_percent(Decimal(f"{100 * share:.0f}") / 100, locale=_locale(code))


def format_day(day: date, code: str = "en") -> str:
    """Write a date in full: "21 November 2026"."""
    from babel.dates import format_date

    return format_date(day, "long", locale=_locale(code))


def join(items: Iterable[str], code: str = "en") -> str:
    """Join names as a sentence does: "a, b and c"."""
    from babel.lists import format_list

    return format_list(list(items), locale=_locale(code))


def plural_form(n: float, code: str = "en") -> str:
    """Return which of PLURAL_FORMS a language uses with a number; in French 0 is "one" too."""
    return _locale(code).plural_form(n)


def parse_utc(text: Any) -> datetime | None:
    """Read an ISO 8601 time as UTC, which it is taken for where it names no zone; None for what is no time."""
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


@cache
def _locale(code: str) -> Locale:
    from babel import Locale

    return Locale.parse(_LOCALES.get(code, code))


@cache
def _number_pattern(code: str, digits: int) -> NumberPattern:
    pattern = copy.copy(_locale(code).decimal_formats[None])
    pattern.frac_prec = (digits, digits)
    return pattern
