"""The rows of a run of serving.py as Markdown tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Rows = Sequence[Mapping[str, Any]]

TITLES = {
    "flask": "Flask, its own server",
    "gunicorn": "gunicorn + Flask",
    "fastapi": "bare FastAPI",
    "fastapi-pool": "bare FastAPI, pool",
    "litserve": "LitServe",
    "bentoml": "BentoML",
    "medloupe": "medloupe, all checks",
}
BASES = ("fastapi", "fastapi-pool", "litserve")
"""Servers that the others are divided by, where they took part."""


def ratio(rows: Rows, server: str, base: str, figure: str = "rate") -> tuple[float, float, float]:
    """(median, least, greatest) over the rounds of server over base, each round by itself. rows: of one cell."""
    values = {(r["round"], r["server"]): r[figure] for r in rows}
    of = [values[n, server] / values[n, base] for n in sorted({r["round"] for r in rows})]
    return float(np.median(of)), min(of), max(of)


def tables(result: Mapping[str, Any]) -> str:
    """A table a size and number of clients, and what stands against the aims."""
    cells: dict[tuple[int, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in result["rows"]:
        cells[row["size"], row["clients"]].append(row)
    installed = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    elsewhere = [row["elsewhere"] for row in result["rows"]]
    difference = max(row["difference"] for row in result["rows"])
    out = [
        f"{result['at'][:10]}, {result['machine']['cores']} cores, {result['rounds']} rounds, "
        f"{result['seconds']:g} s a turn. {installed}.",
        "",
        "Ratios of requests a second, round by round: median, and least to greatest of the rounds. Latencies are of "
        "all rounds together. CPU and memory are of the server's whole process tree, medians of the rounds; memory is "
        "all private pages, and once the shared ones.",
        "",
        f"Other processes kept {np.median(elsewhere):.2f} cores busy in the median turn, {max(elsewhere):.2f} in the "
        f"busiest. Largest difference of a probability from what the file gives: {difference:.4f}.",
    ]
    for (size, clients), rows in cells.items():
        many = "1 client" if clients == 1 else f"{clients} clients"
        out += ["", f"### {size}×{size * 3 // 4} ({result['kilobytes'][str(size)]} kB), {many}", "", *_table(rows)]
    aims = [line for (size, clients), rows in cells.items() for line in _aims(size, clients, rows)]
    return "\n".join([*out, *(["", "### Against the aims", "", *aims] if aims else [])])


def _table(rows: Rows) -> list[str]:
    servers = list(dict.fromkeys(sorted((r["server"] for r in rows), key=list(TITLES).index)))
    bases = [b for b in BASES if b in servers]
    head = ["server", "requests/s", *(f"/ {TITLES[b]}" for b in bases)]
    head += ["p50 ms", "p99 ms", "CPU ms/request", "memory MiB", "processes"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for server in servers:
        own = [r for r in rows if r["server"] == server]
        middle = {k: float(np.median([r[k] for r in own])) for k in ("rate", "cpu_ms", "memory", "processes")}
        latencies = [ms for r in own for ms in r["latencies_ms"]]
        cells = [TITLES[server], f"{middle['rate']:.1f}"]
        for base in bases:
            m, low, high = ratio(rows, server, base)
            cells.append("1" if base == server else f"{m:.2f} ({low:.2f}–{high:.2f})")
        cells += [f"{np.quantile(latencies, q):.1f}" for q in (0.5, 0.99)]
        cells += [f"{middle['cpu_ms']:.1f}", f"{middle['memory'] / 2**20:.0f}", f"{middle['processes']:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _aims(size: int, clients: int, rows: Rows) -> list[str]:
    """Lines on what this cell says of the aims: 1.3 and 3 times LitServe at 8 clients, no slower than bare FastAPI at
    one, less CPU a request than any."""
    servers = {r["server"] for r in rows}
    if "medloupe" not in servers:
        return []
    where = f"{size}×{size * 3 // 4}, {clients} clients" if clients > 1 else f"{size}×{size * 3 // 4}, 1 client"
    said = []
    if clients == 8 and "litserve" in servers and size in (640, 1920):
        m, low, high = ratio(rows, "medloupe", "litserve")
        aim = {640: 1.3, 1920: 3.0}[size]
        said.append((m >= aim, f"{m:.2f} ({low:.2f}–{high:.2f}) × LitServe, aim {aim:g}"))
    for base in ("fastapi", "fastapi-pool"):
        if clients == 1 and base in servers:
            m, low, high = ratio(rows, "medloupe", base)
            said.append((m >= 1, f"{m:.2f} ({low:.2f}–{high:.2f}) × {TITLES[base]}, aim 1"))
    if others := servers - {"medloupe"}:
        least = max(others, key=lambda other: ratio(rows, "medloupe", other, "cpu_ms")[0])
        m, low, high = ratio(rows, "medloupe", least, "cpu_ms")
        said.append((m < 1, f"CPU a request {m:.2f} ({low:.2f}–{high:.2f}) × that of {TITLES[least]}, aim below 1"))
    return [f"- {where}: {'met' if met else 'NOT met'}: {text}" for met, text in said]
