"""Draw an ECG on paper as SVG: 25 mm a second, 10 mm a millivolt, each lead under its name, beats in colours.

The drawing's unit is the millimetre, so that printed at its own size it can be measured with a ruler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from medloupe.ecg.signal import Signal, keep_recorded_leads

SPEED, GAIN = 25.0, 10.0  # mm a second, mm a mV
COLOURS = ("#0b6e4f", "#d1495b", "#7b2cbf", "#c77700", "#1d6fa5", "#6b705c")
"""Of classes, in the order of the labels: told apart by people who are colour-blind, too, and named beside."""

SHEET_SECONDS = 10.0
"""How long the usual sheet of twelve leads is."""

_SHEET = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
_SHEET_LEADS = frozenset(name for row in _SHEET for name in row)
_MARGIN, _PULSE, _LEAST, _MOST = 3.0, 9.0, 14.0, 60.0  # mm around the drawing, for the pulse; height of a lead's row
_ABOVE, _BELOW = 5.0, 5.0  # mm for letters of beats, for the scale
_POINTS = 200.0  # a second: finer than a pixel of any screen
_INK = "#1a1a1a"
_FONT = 'font-family="sans-serif"'


@dataclass(frozen=True, slots=True)
class _Piece:
    """A lead from one second of the drawing to another."""

    lead: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A beat to be coloured.

    Attributes
    ----------
    second : float
        Of its R peak.
    label : str
        Its class.
    colour : str
        Of that class.
    words : str
        For the pointer.
    """

    second: float
    label: str
    colour: str
    words: str = ""


def draw_strip(
    signal: Signal,
    *,
    marks: Sequence[Mark] = (),
    attention: np.ndarray | None = None,
    start: float = 0.0,
    seconds: float | None = None,
    title: str = "ECG",
) -> str:
    """Draw the leads, one below the other.

    A lead without numbers is not drawn. Before each lead stands the pulse of 1 mV and 200 ms, below the scale. Needs no
    script and no style sheet.

    Parameters
    ----------
    signal : Signal
        The ECG.
    marks : Sequence of Mark
        Beats whose stretch is drawn in the colour of their class, with its letter above.
    attention : ndarray of float, shape (n,), optional
        At the signal's samples, 0 to 1, shaded behind the trace (class "shade") where the network looked.
    start : float
        Second from which on.
    seconds : float, optional
        How many at most; else all of them.
    title : str
        For those who do not see it.

    Returns
    -------
    str
        An <svg>.
    """
    shown = _cut_time(keep_recorded_leads(signal), start, seconds)
    length = shown.samples.shape[1] / signal.rate
    rows = [[_Piece(k, 0, length)] for k in range(len(shown.leads))]
    return _draw(shown, rows, marks, attention, start, title)


def has_sheet(signal: Signal) -> bool:
    """Tell whether there is enough of it for `draw_sheet`."""
    named = set(keep_recorded_leads(signal).leads) >= _SHEET_LEADS
    return named and signal.seconds >= 0.9 * SHEET_SECONDS


def draw_sheet(signal: Signal, *, attention: np.ndarray | None = None, start: float = 0.0, title: str = "ECG") -> str:
    """Draw twelve leads as usual: three rows of four leads, 2.5 s each, and lead II all along below.

    Time runs on from column to column, so that what stands below each other happened at once. Parameters as of
    `draw_strip`.

    Raises
    ------
    ValueError
        Without the leads.
    """
    if not has_sheet(signal):
        raise ValueError(f"no sheet of {signal.leads}, {signal.seconds:.1f} s")
    shown = _cut_time(signal, start, SHEET_SECONDS)
    length = shown.samples.shape[1] / signal.rate
    step = length / 4
    rows = [
        [_Piece(shown.leads.index(name), i * step, (i + 1) * step) for i, name in enumerate(names)] for names in _SHEET
    ]
    return _draw(shown, [*rows, [_Piece(shown.leads.index("II"), 0, length)]], (), attention, start, title)


def draw_beat(signal: Signal, *, attention: np.ndarray | None = None, title: str = "ECG") -> str:
    """Draw one beat, all of each lead.

    Twelve leads stand in three rows of four, as on the usual sheet; others, and fewer, below each other. Parameters as
    of `draw_strip`.
    """
    if not set(keep_recorded_leads(signal).leads) >= _SHEET_LEADS:
        return draw_strip(signal, attention=attention, title=title)
    times = len(_SHEET[0])
    again = Signal(samples=np.tile(signal.samples, times), rate=signal.rate, leads=signal.leads)
    step = signal.samples.shape[1] / signal.rate
    rows = [
        [_Piece(signal.leads.index(name), i * step, (i + 1) * step) for i, name in enumerate(names)] for names in _SHEET
    ]
    return _draw(again, rows, (), None if attention is None else np.tile(attention, times), 0.0, title)


def _draw(
    shown: Signal,
    rows: Sequence[Sequence[_Piece]],
    marks: Sequence[Mark],
    attention: np.ndarray | None,
    start: float,
    title: str,
) -> str:
    length = shown.samples.shape[1] / shown.rate
    heights = [_row_height(shown, row) for row in rows]
    above = _MARGIN + (_ABOVE if marks else 0)
    bottom = above + sum(tall for _, tall in heights)
    width, height = _MARGIN + _PULSE + length * SPEED + _MARGIN, bottom + _BELOW
    out = [
        f'<svg class="paper" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}"'
        f' width="{width:.1f}mm" height="{height:.1f}mm" role="img" aria-label="{escape(title)}">',
        _grid(width, height),
    ]
    if attention is not None:
        out.append(_shade(attention, shown.rate, start, length, above, bottom))
    stretches = _stretches(marks, start, length)
    at = above
    for row, (top, tall) in zip(rows, heights, strict=True):
        zero = at + top
        out.append(_pulse(zero))
        for piece in row:
            lead, name = shown.samples[piece.lead], shown.leads[piece.lead] or "?"
            out.append(_trace(lead, shown.rate, zero, stretches, piece))
            x = _x(piece.begin)
            if piece.begin:
                out.append(f'<path d="M{x:.1f} {zero - 3:.1f}v6" stroke="{_INK}" stroke-width=".25"/>')
            out.append(_text(name, x + 1, at + 4, 3.6, _INK, 'font-weight="600" stroke="#fff" stroke-width=".8"'))
        at += tall
    out += [_letter(mark, start) for mark in marks if start <= mark.second < start + length]
    out.append(_scale(start, length, bottom))
    out.append("</svg>")
    return "".join(out)


def _x(second: float) -> float:
    """Return where a second of the drawing lies, in mm."""
    return _MARGIN + _PULSE + second * SPEED


def _cut_time(signal: Signal, start: float, seconds: float | None) -> Signal:
    first = round(start * signal.rate)
    last = signal.samples.shape[1] if seconds is None else round((start + seconds) * signal.rate)
    return Signal(samples=signal.samples[:, first:last], rate=signal.rate, leads=signal.leads)


def _row_height(signal: Signal, row: Sequence[_Piece]) -> tuple[float, float]:
    """Return where a row's zero lies below its top, and the row's height, in mm."""
    highest, lowest = 0.0, 0.0
    for piece in row:
        lead = signal.samples[piece.lead, round(piece.begin * signal.rate) : round(piece.end * signal.rate)]
        known = lead[np.isfinite(lead)]
        if known.size:
            high, low = (np.percentile(known, (99.9, 0.1)) * GAIN).tolist()
            highest, lowest = max(highest, high), min(lowest, low)
    top, bottom = max(GAIN + 1, highest + 3), max(5.0, 2.5 - lowest)  # the pulse fits, too
    scale = min(1.0, _MOST / (top + bottom))
    return top * scale, max(_LEAST, (top + bottom) * scale)


def _pulse(zero: float) -> str:
    """Draw a pulse, 1 mV high and 200 ms long: by it a drawing of any size can be measured."""
    return (
        f'<path d="M{_MARGIN} {zero:.1f}h1.5v{-GAIN:g}h{0.2 * SPEED:g}v{GAIN:g}h1.5" stroke="{_INK}"'
        ' stroke-width=".3" fill="none"/>'
    )


def _scale(start: float, length: float, bottom: float) -> str:
    """Write the seconds, and what the squares are."""
    out = [_text(f"{SPEED:g} mm/s, {GAIN:g} mm/mV", _MARGIN, bottom + 4, 2.8, "#555")]
    first = int(np.ceil(start + 40 / SPEED)) if length > 40 / SPEED else int(np.floor(start + length)) + 1
    for second in range(first, int(np.floor(start + length)) + 1):
        x = _x(second - start)
        out.append(f'<path d="M{x:.1f} {bottom:.1f}v1.2" stroke="#555" stroke-width=".2"/>')
        if x < _x(length) - 2:
            out.append(_text(f"{second} s", x, bottom + 4, 2.8, "#555", 'text-anchor="middle"'))
    return "".join(out)


def _text(words: str, x: float, y: float, size: float, colour: str, more: str = "") -> str:
    paint = ' paint-order="stroke"' if "stroke=" in more else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" {_FONT} fill="{colour}"{paint}{" " * bool(more)}{more}>'
        f"{escape(words)}</text>"
    )


def _grid(width: float, height: float) -> str:
    """Draw small squares of 1 mm (40 ms, 0.1 mV), large ones of 5 mm (200 ms, 0.5 mV)."""

    def lines(step: float) -> str:
        down = "".join(f"M{x:.0f} 0V{height:.1f}" for x in np.arange(_x(0) % step, width, step))
        across = "".join(f"M0 {y:.0f}H{width:.1f}" for y in np.arange(_MARGIN % step, height, step))
        return down + across

    return (
        f'<rect width="{width:.1f}" height="{height:.1f}" fill="#fffafa"/>'
        f'<path d="{lines(1)}" stroke="#f6d5d5" stroke-width=".1" fill="none"/>'
        f'<path d="{lines(5)}" stroke="#eaa9a9" stroke-width=".2" fill="none"/>'
    )


def _stretches(marks: Sequence[Mark], start: float, length: float) -> list[tuple[float, float, str]]:
    """List (from, to, colour) in seconds of the drawing.

    A beat reaches from half way after the beat before to half way before the next.
    """
    inside = [m for m in marks if start - 1 <= m.second < start + length + 1]
    found = []
    for i, mark in enumerate(inside):
        before = mark.second - 0.5 * min(1.2, mark.second - inside[i - 1].second) if i else mark.second - 0.35
        last = i + 1 == len(inside)
        after = mark.second + (0.5 if last else 0.5 * min(1.4, inside[i + 1].second - mark.second))
        found.append((before - start, after - start, mark.colour))
    return found


def _trace(lead: np.ndarray, rate: float, zero: float, stretches: list[tuple[float, float, str]], piece: _Piece) -> str:
    if not np.isfinite(lead).any():
        return ""
    step = max(1, int(rate // _POINTS))
    at = np.arange(round(piece.begin * rate), min(len(lead), round(piece.end * rate)), step)
    times = at / rate
    xs, ys = _x(0) + times * SPEED, zero - lead[at] * GAIN
    pieces = []
    done = 0
    for begin, end, colour in stretches:
        a, b = (int(np.clip(np.searchsorted(times, t), 0, len(at))) for t in (begin, end))
        pieces += [(done, a, _INK), (a, b, colour)] if a > done else [(max(done, a), b, colour)]
        done = max(done, b)
    pieces.append((done, len(at), _INK))
    return "".join(
        f'<path d="{_path(xs[max(0, a - 1) : b], ys[max(0, a - 1) : b])}" stroke="{colour}" stroke-width=".35"'
        ' fill="none" stroke-linejoin="round"/>'
        for a, b, colour in pieces
        if b > a
    )


def _path(xs: np.ndarray, ys: np.ndarray) -> str:
    parts, pen = [], "M"
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        if y != y:  # a gap in the recording
            pen = "M"
            continue
        parts.append(f"{pen}{x:.2f} {y:.2f}")
        pen = " "  # a line, after the first
    return "".join(parts)


def _shade(attention: np.ndarray, rate: float, start: float, length: float, top: float, bottom: float) -> str:
    """Draw bands behind the traces, the darker the more the network found there."""
    first, last = round(start * rate), round((start + length) * rate)
    part = np.clip(attention[first:last], 0, 1)
    width = max(1, round(0.02 * rate))
    bands = []
    for i in range(0, len(part), width):
        value = float(part[i : i + width].max())
        if value > 0.15:
            bands.append(
                f'<rect x="{_x(i / rate):.2f}" y="{top:.1f}" width="{width / rate * SPEED:.2f}"'
                f' height="{bottom - top:.1f}" fill-opacity="{0.45 * value:.2f}"/>'
            )
    return f'<g class="shade" fill="#ffb703">{"".join(bands)}</g>'


def _letter(mark: Mark, start: float) -> str:
    words = f"<title>{escape(mark.words)}</title>" if mark.words else ""
    return (
        f'<text x="{_x(mark.second - start):.1f}" y="{_MARGIN + 3.2:.1f}" text-anchor="middle" font-size="3.4" {_FONT}'
        f' font-weight="700" fill="{mark.colour}">{words}{escape(mark.label)}</text>'
    )
