"""How check-ups hold in the field: today's training and one with field views, on photographs of another making.

    python benchmarks/field.py [--data ../shared/data] [--sets breast_ultrasound,malaria] [--pictures 670]
        [--finetune none|tail|auto] > table.md

A quarter of the groups (patients, copies) of each set is kept aside. A check-up is trained on the others without field
views and with them; both answer the pictures kept aside as they are and as photographs by field_family.py, which
shares nothing with the simulation that training uses: one photograph a picture and severity, whole and with corners
given that lie up to 1 % off. AUC is told over all pictures (what is withheld with the answer that it would have got)
and over answered ones; withheld is what is refused as foreign, stopped by its quality or found too poor. Intervals are
of 95 %, by bootstrap over groups. Everything embedded is cached in MEDLOUPE_HOME, else in a temporary home.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from field_family import SEVERITIES
from field_judged import FRAMINGS, KeptAside, prepare
from medloupe.embed.tail import join_outputs
from medloupe.graphs.session import open_session, run_tail
from medloupe.imaging.quality import Limits
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking
from medloupe.model.bundle import Model
from medloupe.training.options import FIELD_MODES, Options
from medloupe.training.pipeline.field import find_wrong
from medloupe.training.pipeline.quality import are_stopped
from medloupe.training.pipeline.run import train

PICTURES = 670
MINUTES = 600.0  # that tuning may take
WITH, WITHOUT = FIELD_MODES
COLUMNS = (
    "judged on | AUC | loss | AUC of answered | wrong | withheld | foreign / quality / too poor |"
    " of wrong ones withheld | of right ones"
)
CALLED = {WITHOUT: "direct pictures alone", WITH: "with field views"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one check-up said of the pictures kept aside, in one form: probabilities (n, K), and which were withheld."""

    p: np.ndarray
    foreign: np.ndarray
    poor: np.ndarray
    stopped: np.ndarray

    @property
    def withheld(self) -> np.ndarray:
        """bool (n,), for whatever reason."""
        return self.foreign | self.poor | self.stopped


def ask(model: Model, embeddings: np.ndarray, measures: np.ndarray, cut: np.ndarray) -> Answered:
    """Ask a check-up of embeddings (n, D) and how the pictures were taken (n, measures).

    cut: float16 (n, C, H, W), what reached the cut, which tuned stages read.
    """
    nothing = np.zeros(len(embeddings), bool)
    novelty, limits = model.novelty, Limits.from_json(model.card.get("quality"))
    return Answered(
        p=model.head.probabilities(_tuned(model, embeddings, cut)),
        foreign=nothing if novelty is None else novelty.score(embeddings) > 1,
        poor=nothing if novelty is None else novelty.too_poor(embeddings),
        stopped=nothing if limits is None else are_stopped(measures, limits),
    )


def _tuned(model: Model, embeddings: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Embeddings (n, D) by the check-up's own network."""
    if model.tail is None:
        return embeddings
    opened = open_session(model.tail.path, threads=1)
    parts = [run_tail(opened, ["embedding"], cut[i : i + 16].astype(np.float32))[0] for i in range(0, len(cut), 16)]
    return join_outputs(np.concatenate(parts), embeddings)


def figures(said: Answered, direct: Answered, y: np.ndarray, groups: np.ndarray, task: str) -> dict[str, Metric]:
    """AUC, its loss against direct pictures, and what was withheld of all, of wrong and of right answers."""
    auc = _auc(said.p, y)
    before = _auc(direct.p, y)
    wrong = find_wrong(said.p, y, task)
    every = np.ones(len(y), bool)
    known = ~said.withheld
    found = weighted.bootstrap_intervals(
        {
            "auc": auc,
            "loss": lambda w: before(w) - auc(w),
            "wrong": weighted.share(wrong, every),
            "withheld": weighted.share(said.withheld, every),
            "wrong withheld": weighted.share(said.withheld, wrong),
            "right withheld": weighted.share(said.withheld, ~wrong),
        },
        groups,
    )
    answered = Metric(value=None, low=None, high=None)
    if known.any():
        parts = {"auc": _auc(said.p[known], y[known])}
        answered = weighted.bootstrap_intervals(parts, groups[known])["auc"]
    return {**found, "answered": answered}


def _compare(before: Answered, after: Answered, kept: KeptAside) -> str:
    """Tell by how much the AUC on the same pictures differs, with its interval."""
    y = kept.clean.data.targets
    a, b = _auc(before.p, y), _auc(after.p, y)
    found = weighted.bootstrap_intervals({"difference": lambda w: b(w) - a(w)}, kept.groups)["difference"]
    return f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _auc(p: np.ndarray, y: np.ndarray) -> weighted.Weighted:
    return weighted.average([Ranking(s, t).auc for s, t in zip(p.T, y.T, strict=True)])


def tell(told: dict[str, Metric], said: Answered, *, first: bool) -> list[str]:
    """The cells of a row, from AUC on; of direct pictures, which stand first, there is no loss."""
    return [
        _decimal(told["auc"]),
        "" if first else _decimal(told["loss"]),
        _decimal(told["answered"]),
        _percent(told["wrong"]),
        _percent(told["withheld"]),
        " / ".join(f"{share.mean():.0%}" for share in (said.foreign, said.stopped, said.poor)),
        _percent(told["wrong withheld"]),
        _percent(told["right withheld"]),
    ]


def judge(root: Path, pictures: int, finetune: str) -> None:
    """Print the rows of one set."""
    kept = prepare(root, pictures)
    name = root.name
    plain: Answered | None = None
    for mode in (WITHOUT, WITH):
        began = time.process_time()
        model = train(
            kept.learned,
            name=f"{name}-{mode}",
            options=Options(field=mode, finetune=finetune, minutes=None if finetune == "none" else MINUTES),
        )
        seconds = time.process_time() - began
        task = str(model.card["task"])
        direct = ask(model, kept.clean.embeddings, kept.measures, kept.cuts["direct"])
        entry = model.card.get("field") or {}
        if plain is not None:
            print(f"<!-- {name}, direct pictures: AUC {_compare(plain, direct, kept)} with field views -->")
        plain = direct
        print(
            f"<!-- {name}, {CALLED[mode]}: {len(kept.learned.records)} learned from, {len(kept.groups)} kept aside in"
            f" {len(np.unique(kept.groups))} groups, {seconds:.0f} processor seconds, weight {entry.get('weight')},"
            f" freer {entry.get('freer')}, {_tell_network(model)}, own AUC {model.card['metrics']['auc']['value']:.3f},"
            f" withheld by reason below -->",
            flush=True,
        )
        forms = {"direct": direct}
        for severity in SEVERITIES:
            for framing in FRAMINGS:
                seen = kept.photographs[severity, framing]
                forms[f"{severity}, {framing}"] = ask(model, *seen, kept.cuts[f"{severity} {framing}"])
        for form, said in forms.items():
            told = figures(said, direct, kept.clean.data.targets, kept.groups, task)
            cells = [name, CALLED[mode], form, *tell(told, said, first=form == "direct")]
            print("| " + " | ".join(cells) + " |", flush=True)


def _tell_network(model: Model) -> str:
    found = model.card.get("finetuning") or {}
    return f"network {found.get('winner', 'linear')}, views in it {(found.get('field') or {}).get('share', 0)}"


def _decimal(metric: Metric) -> str:
    if metric["value"] is None:
        return "–"
    ends = "" if metric["low"] is None else f" ({metric['low']:.3f}–{metric['high']:.3f})"
    return f"{metric['value']:.3f}{ends}"


def _percent(metric: Metric) -> str:
    return "–" if metric["value"] is None else f"{metric['value']:.0%}"


def main() -> None:
    """Judge the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default="breast_ultrasound,chest_pneumonia,malaria,brain_mri")
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--finetune", choices=("none", "tail", "auto"), default="none")
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    print(f"| data | trained on | {COLUMNS} |")
    print("|" + 11 * "---|")
    for name in asked.sets.split(","):
        judge(asked.data / name, asked.pictures, asked.finetune)


if __name__ == "__main__":
    main()
