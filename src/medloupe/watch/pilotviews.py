"""Choose what the page of a pilot shows, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.errors import MedloupeError
from medloupe.metrics.pilot import ASSURANCE, ReaderTable, Share
from medloupe.serving.web.language import Language
from medloupe.store.pilots import Pilot
from medloupe.watch.pilots import PilotReport

PLANNED = ("sensitivity", "specificity", "half_width", "prevalence")
_USUAL = {"sensitivity": 90.0, "specificity": 90.0, "half_width": 5.0, "prevalence": 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderTableView:
    """A reader table. cells: tp, fp, fn, tn; undecided: rows of state, with and without; figures: name and words."""

    label: str
    cells: tuple[str, str, str, str]
    undecided: tuple[tuple[str, str, str], ...]
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotReportView:
    """What came of a pilot for one check-up. about: how many of its answers have a reference."""

    title: str
    about: str
    tables: tuple[ReaderTableView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotView:
    """The page of the pilot. fields: of its plan, name and percent; planned: what the plan says, or ()."""

    running: bool
    about: str
    any: bool
    fields: tuple[tuple[str, str], ...]
    planned: tuple[str, ...]
    reports: tuple[PilotReportView, ...]


def read_plan(fields: Mapping[str, str]) -> dict[str, float]:
    """Read the fields of a plan, in percent, as shares.

    Raises
    ------
    MedloupeError
        One is no number.
    """
    found = {}
    for name, text in fields.items():
        try:
            found[name] = float(text.replace(",", ".").strip() or _USUAL[name]) / 100
        except ValueError as e:
            raise MedloupeError(f"{text[:40]!r} is no percentage.", "Write 90.") from e
    return found


def view_pilot(
    pilot: Pilot | None,
    reports: Sequence[PilotReport],
    plan: Mapping[str, Any] | None,
    titles: Mapping[str, str],
    lang: Language,
) -> PilotView:
    """Show a pilot.

    Parameters
    ----------
    pilot
        The last one, or None.
    reports
        What came of it so far.
    plan
        One that was just computed, instead of the one that is kept.
    titles
        Of check-ups by name.
    lang
        The language of the page.
    """
    plan = plan or (pilot.plan if pilot else None)
    if pilot is None:
        about = lang.t("pilot.none")
    elif pilot.ended is None:
        about = lang.t("pilot.runs", since=lang.date(pilot.started), by=pilot.started_by)
    else:
        about = lang.t(
            "pilot.ended", since=lang.date(pilot.started), until=lang.date(pilot.ended), by=pilot.ended_by or ""
        )
    shares = {name: 100 * float(plan[name]) if plan else usual for name, usual in _USUAL.items()}
    return PilotView(
        running=pilot is not None and pilot.ended is None,
        about=about,
        any=pilot is not None,
        fields=tuple((name, f"{share:g}") for name, share in shares.items()),
        planned=() if plan is None else _word_plan(plan, lang),
        reports=tuple(_view_report(report, titles, lang) for report in reports),
    )


def _word_plan(plan: Mapping[str, Any], lang: Language) -> tuple[str, ...]:
    return (
        lang.t("pilot.people", n=plan["people"], having=plan["having"], lacking=plan["lacking"]),
        lang.t("pilot.assured", n=plan["assured"], share=lang.percent(ASSURANCE)),
        lang.t("pilot.normal", n=plan["normal"]),
    )


def _view_report(report: PilotReport, titles: Mapping[str, str], lang: Language) -> PilotReportView:
    return PilotReportView(
        title=titles.get(report.model) or lang.label(report.model),
        about=lang.t("pilot.referred", n=report.answers, referred=report.referred),
        tables=tuple(_view_table(table, lang) for table in report.tables),
    )


def _view_table(table: ReaderTable, lang: Language) -> ReaderTableView:
    figures = table.figures()
    names = ["sensitivity", "specificity", "ppv", "npv"]
    states = [s for s in table.undecided_with if table.undecided_with[s] + table.undecided_without[s]]
    names += ["sensitivity_all", "specificity_all"] if states else []
    return ReaderTableView(
        label=lang.label(table.label) if table.label else lang.t("pilot.any_finding"),
        cells=(lang.number(table.tp), lang.number(table.fp), lang.number(table.fn), lang.number(table.tn)),
        undecided=tuple(
            (
                lang.t(f"answer.state_{state}"),
                lang.number(table.undecided_with[state]),
                lang.number(table.undecided_without[state]),
            )
            for state in states
        ),
        figures=tuple((lang.t(f"pilot.{name}"), _word_share(figures[name], lang)) for name in names),
    )


def _word_share(share: Share, lang: Language) -> str:
    if share.value is None or share.low is None or share.high is None:
        return lang.t("pilot.no_cases")
    return lang.t(
        "pilot.share",
        share=lang.percent(share.value),
        low=lang.percent(share.low),
        high=lang.percent(share.high),
        hits=share.hits,
        n=share.n,
    )
