"""Say in words what the pages of the loop show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.metrics.paired import PairedDifference
from medloupe.retrain.conclude import promotes_automatically
from medloupe.retrain.figures import MOST_CASES, CandidateFigures, Flip
from medloupe.retrain.prequential import Prequential
from medloupe.serving.web.language import Language
from medloupe.store.candidates import REFUSED, Candidate
from medloupe.studio.candidates import LoopOverview

SHOWN = 24  # pictures of a list
_BASES = {"consent": "review.basis_consent", "house_rule": "review.basis_house_rule"}


def view_loop(seen: LoopOverview, lang: Language) -> dict[str, Any]:
    """Describe corrections, the frozen test, the rule, and all candidates."""
    t = lang.t
    rule = seen.rule
    return {
        "data": seen.data,
        "production": seen.production,
        "previous": seen.previous,
        "corrections": t("loop.corrections", n=len(seen.corrections)),
        "fresh": t("loop.fresh", n=len(seen.fresh)),
        "any": bool(seen.unmade),
        "none": lang.t("loop.made_of_these" if seen.fresh else "loop.nothing_new"),
        "why_not": seen.why_not,
        "frozen": _say_frozen(seen, lang),
        "rule": {
            "corrections": rule.corrections or "",
            "days": "" if rule.days is None else lang.number(rule.days, 0 if rule.days == int(rule.days) else 2),
        },
        "automatic": promotes_automatically(seen.data.name),
        "at_work": None if seen.at_work is None else _say_work(seen.at_work, lang),
        "candidates": [_view_candidate(one, seen, lang) for one in seen.candidates if not one.open],
    }


def view_comparison(
    seen: LoopOverview, candidate: Candidate, figures: CandidateFigures | None, lang: Language
) -> dict[str, Any]:
    """Describe a candidate beside production."""
    own = _view_candidate(candidate, seen, lang)
    base = {"data": seen.data, "candidate": own, "production": seen.production, "previous": seen.previous}
    if figures is None:
        return {**base, "figures": None, "error": candidate.error}
    t, gate = lang.t, figures.gate
    aucs = {} if figures.paired is None else {row.label: row.auc for row in figures.paired.per_label}
    answers = candidate.version == seen.production
    return {
        **base,
        "figures": True,
        "versions": (str(figures.production), str(figures.version)),
        "answers": answers,
        "passed": gate.passed,
        "verdict": _say_verdict(figures, lang),
        "refused": candidate.state == REFUSED or not gate.passed,
        "can_promote": not answers,
        "frozen": _say_frozen(seen, lang),
        "judged": t("loop.judged", n=gate.records, groups=gate.groups),
        "rows": _view_rows(figures, lang),
        "lines": [
            {
                "label": lang.label(line.label),
                "n": line.n,
                "sensitivity": _view_pair(line.sensitivity, lang, percent=True),
                "specificity": _view_pair(line.specificity, lang, percent=True),
                "auc": _view_pair(aucs.get(line.label), lang),
            }
            for line in figures.lines
        ],
        "flips": _view_flips(figures, lang),
        "added": _view_added(figures.added, lang),
        "contradicted": _view_contradicted(figures.contradicted, lang),
    }


def _view_candidate(one: Candidate, seen: LoopOverview, lang: Language) -> dict[str, Any]:
    answers = one.version is not None and one.version == seen.production
    state = "answers" if answers else one.state
    decided = ""
    if one.decision and one.decided and one.decided_by:
        decided = lang.t("loop.decided", by=_say_actor(one.decided_by, lang), at=lang.date(one.decided))
    return {
        "id": one.id,
        "version": one.version,
        "state": lang.t(f"loop.state_{state}"),
        "kind": state,
        "added": lang.t("loop.corrections", n=one.added),
        "cause": lang.t(f"loop.cause_{one.cause}"),
        "by": _say_actor(one.created_by, lang),
        "at": lang.date(one.created),
        "decided": decided,
        "error": one.error,
    }


def _say_actor(name: str, lang: Language) -> str:
    key = f"loop.actor_{name}"
    return lang.t(key) if name in ("gate", "automatic", "schedule") else name


def _say_work(one: Candidate, lang: Language) -> dict[str, Any]:
    stage = str((one.progress or {}).get("stage", "")).replace(" ", "_").replace("-", "_")
    known = f"jobs.stage_{stage}"
    return {
        "stage": lang.t(known) if lang.has(known) else lang.t(f"studio.training_{one.state}"),
        "added": lang.t("loop.corrections", n=one.added),
    }


def _say_frozen(seen: LoopOverview, lang: Language) -> str:
    frozen = seen.frozen
    if frozen is None:
        return lang.t("loop.frozen_none")
    said = lang.t(f"loop.frozen_{frozen.kind}", n=len(frozen.digests), at=lang.date(frozen.at))
    return f"{said} {lang.t('loop.frozen_erased', n=frozen.erased)}" if frozen.erased else said


def _say_verdict(figures: CandidateFigures, lang: Language) -> str:
    gate = figures.gate
    if gate.auc is None:
        return lang.t("loop.verdict_none", why=gate.why_not)
    d = gate.auc
    key = "passed" if gate.passed else "worse" if d.high < 0 else "unsure"
    return lang.t(
        f"loop.verdict_{key}",
        candidate=lang.number(d.candidate, 3),
        production=lang.number(d.production, 3),
        low=_signed(d.low, lang),
        margin=lang.number(gate.margin, 2),
    )


def _view_rows(figures: CandidateFigures, lang: Language) -> list[dict[str, Any]]:
    t = lang.t
    rows: list[dict[str, Any]] = []
    if figures.paired is not None:
        rows.append({"title": t("loop.auc"), **(_view_pair(figures.paired.auc, lang) or {})})
        balanced = _view_pair(figures.paired.balanced_accuracy, lang, percent=True)
        rows.append({"title": t("loop.balanced"), **(balanced or {})})
    of = "findings_" if figures.several else ""
    for key, told in ((f"{of}wrong_new", figures.fresh), (f"{of}wrong_all", figures.prequential)):
        rows += _view_prequential(key, told, lang)
    return rows


def _view_prequential(key: str, told: Prequential | None, lang: Language) -> list[dict[str, Any]]:
    if told is None or told.wrong is None:
        return []
    pair = _view_pair(told.wrong, lang, percent=True, fewer=True)
    return [{"title": lang.t(f"loop.{key}", n=told.corrections), **(pair or {})}]


def _view_pair(
    pair: PairedDifference | None, lang: Language, *, percent: bool = False, fewer: bool = False
) -> dict[str, Any] | None:
    """Describe a figure of both; fewer: whether less is better."""
    if pair is None:
        return None
    show = lang.percent if percent else (lambda x: lang.number(x, 3))
    difference = _points(pair.difference, lang) if percent else _signed(pair.difference, lang)
    interval = ""
    if pair.low is not None and pair.high is not None:
        ends = [_signed(100 * x if percent else x, lang, 1 if percent else 3) for x in (pair.low, pair.high)]
        interval = lang.t("loop.interval", low=ends[0], high=ends[1])
    better = (pair.difference < 0) == fewer
    return {
        "before": show(pair.a),
        "after": show(pair.b),
        "difference": difference,
        "interval": interval,
        "mark": ("better" if better else "worse") if pair.apart else "",
    }


def _signed(x: float, lang: Language, digits: int = 3) -> str:
    """Write a difference, with a minus that is as wide as a plus."""
    x = round(x, digits)
    sign = "+" if x > 0 else "−" if x < 0 else "±"
    return sign + lang.number(abs(x), digits)


def _points(share: float, lang: Language) -> str:
    """Write a difference of shares in percentage points."""
    return lang.t("loop.points", x=_signed(100 * share, lang, 1))


def _view_flips(figures: CandidateFigures, lang: Language) -> dict[str, Any]:
    def show(flips: Sequence[Flip]) -> list[dict[str, Any]]:
        return [
            {
                "item": f.item,
                "words": _say_flip(f, lang),
            }
            for f in flips[:SHOWN]
        ]

    parts = [
        ("worse", [f for f in figures.flips if f.worse]),
        ("better", [f for f in figures.flips if f.better]),
        ("neither", [f for f in figures.flips if not f.worse and not f.better]),
    ]
    return {
        "words": lang.t("loop.findings_flipped" if figures.several else "loop.flipped", n=figures.flipped),
        "parts": [
            {"kind": kind, "title": lang.t(f"loop.flips_{kind}", n=len(flips)), "flips": show(flips)}
            for kind, flips in parts
            if flips
        ],
    }


def _say_flip(flip: Flip, lang: Language) -> str:
    if not flip.finding:
        said = {name: lang.label(getattr(flip, name)) for name in ("truth", "before", "after")}
        return lang.t("loop.flip", **said)
    said = {name: lang.t(f"loop.is_{getattr(flip, name)}") for name in ("truth", "before", "after")}
    return lang.t("loop.flip_finding", label=lang.label(flip.finding), **said)


def _view_added(added: Mapping[str, Any], lang: Language) -> dict[str, Any]:
    def rows(counts: Mapping[str, int], *, labels: bool = False) -> list[tuple[str, int]]:
        none = lang.t("review.none_of_these")
        return [((lang.label(name) or none) if labels else name, n) for name, n in counts.items()]

    t = lang.t
    bases = {t(_BASES[name]) if name in _BASES else name: n for name, n in added["bases"].items()}
    answered = {t("loop.version", n=name): n for name, n in added["versions"].items()}
    return {
        "words": t("loop.added_words", n=added["corrections"], wrong=added["wrong"]),
        "tables": [
            (t("loop.by_label"), rows(added["labels"], labels=True)),
            (t("loop.by_reader"), rows(added["readers"])),
            (t("loop.by_basis"), rows(bases)),
            (t("loop.by_version"), rows(answered)),
        ],
    }


def _view_contradicted(told: Mapping[str, Any], lang: Language) -> dict[str, Any]:
    usual = told["usual"]
    return {
        "usual": "" if usual is None else lang.t("loop.usual", share=lang.percent(usual)),
        "readers": [
            {
                "name": reader["reader"],
                "words": lang.t("loop.contradicted_of", n=reader["contradicted"], of=reader["corrections"]),
                "share": lang.percent(reader["contradicted"] / max(1, reader["corrections"])),
            }
            for reader in told["readers"]
        ],
        "cases": [
            {
                "item": case["item"],
                "case": case["case"],
                "short": case["case"][:8],
                "readers": lang.join(case["readers"]),
                "words": _say_contradicted(case, lang),
            }
            for case in told["cases"][:MOST_CASES]
        ],
    }


def _say_contradicted(case: Mapping[str, Any], lang: Language) -> str:
    own, other = (lang.percent(case[name]) for name in ("probability_given", "probability_likely"))
    finding = case.get("finding")
    if finding:
        key = "there" if case["given"] == finding else "absent"
        return lang.t(f"loop.contradicted_{key}", label=lang.label(finding), own=own, other=other)
    given, likely = lang.label(case["given"]), lang.label(case["likely"])
    return lang.t("loop.contradicted_case", given=given, likely=likely, own=own, other=other)
