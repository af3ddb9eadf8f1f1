"""Draw the beginning of an ECG as one picture: as on the usual sheet, or one lead below the other."""

from __future__ import annotations

from medloupe.ecg.paper import draw_sheet, draw_strip, has_sheet
from medloupe.ecg.signal import Signal

SECONDS = 10.0
"""That are drawn."""


def draw_overview(signal: Signal, title: str) -> str:
    """Draw an ECG as an <svg> that needs no script and no style sheet.

    Parameters
    ----------
    signal
        In millivolts.
    title
        What it is called for those who do not see it.
    """
    if has_sheet(signal):
        return draw_sheet(signal, title=title)
    return draw_strip(signal, seconds=min(SECONDS, signal.seconds), title=title)
