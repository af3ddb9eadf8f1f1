"""Write cells of CSV tables that no spreadsheet takes for a formula (RFC 4180)."""

from __future__ import annotations


def escape_cell(text: str) -> str:
    """Write a cell: formulas begin with an apostrophe, line breaks are spaces, commas and quotes are quoted."""
    safe = escape_formula(text)
    safe = " ".join(safe.splitlines()) if safe else safe
    return '"' + safe.replace('"', '""') + '"' if any(c in safe for c in '",;\t') else safe


def escape_formula(cell: str) -> str:
    """Put a quotation mark before what a spreadsheet would take for a formula, and run."""
    return f"'{cell}" if cell.lstrip()[:1] in tuple("=+-@|%") or cell[:1] in ("\t", "\r", "\n") else cell


def unescape_cell(cell: str) -> str:
    """Take away the quotation mark that `escape_formula` put before a cell."""
    return cell[1:] if cell[:1] == "'" and escape_formula(cell[1:]) == cell else cell
