"""Can a ranking tell wrong answers on photographs from right ones? What ships tells hard photographs from others.

    python benchmarks/field_ranking.py [--data ../shared/data] [--sets breast_ultrasound] > tables.md

A head is taught field views as training does. Its answers out of fold on photographs of training's own making are
ranked: by the boundary to hard views (what ships), by how sure the answer is, by how the picture was taken, and by
regressions on these that predict wrong answers, all fitted without the group. Told are how well each ranks wrong before
right answers (AUC), and how many right answers on hard photographs are lost where 80 % of the wrong ones are withheld.
Last, what would come of answering all the same where the answer beyond the boundary is as sure as answers that are
wrong no more often than those to direct pictures, and 3 in a hundred.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import medloupe
from medloupe.data.scan import scan_dataset
from medloupe.data.split import assign_folds, plan_split, sample_rows
from medloupe.embed.features import embed
from medloupe.embed.field import embed_field
from medloupe.embed.registry import backbone
from medloupe.metrics.weighted import Ranking
from medloupe.model.sketch import sketch_many
from medloupe.training.audit.findings import audit
from medloupe.training.heads.field import teach
from medloupe.training.heads.fit import fit
from medloupe.training.heads.legibility import WITHHELD, WORSE, C
from medloupe.training.heads.solver import Problem, solve
from medloupe.training.heads.verdict import labelled_rows
from medloupe.training.pipeline.field import FEW, MOST, find_wrong

FOLDS = 5
FEWEST = 20  # photographs on which a line of sureness may rest
_SKETCH_SCALE = 0.05  # as in heads.legibility


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers out of fold to direct pictures and photographs, N in all.

    p: (N, K). label, said: int (N,), true and most probable. wrong: bool (N,). severity: str (N,), "direct" of direct
    pictures. sketch: (N, W). measures: (N, measures), 0 of direct pictures. fold: int (N,), by group.
    """

    p: np.ndarray
    label: np.ndarray
    wrong: np.ndarray
    severity: np.ndarray
    sketch: np.ndarray
    measures: np.ndarray
    fold: np.ndarray

    @property
    def photographs(self) -> np.ndarray:
        return np.asarray(self.severity != "direct")


def answer(root: Path, seed: int = 0) -> tuple[Answers, tuple[str, ...]]:
    """Teach a head on a set, and gather its answers; the names of its labels beside."""
    features = embed(scan_dataset(medloupe.read(root)), backbone())
    data, levels = features.data, backbone().card.levels
    groups = plan_split(data, audit(features, seed).groups).groups
    rows = sample_rows(labelled_rows(data.targets), data.targets, groups, MOST, seed)
    views = embed_field(features, rows, backbone(), rounds=2 if len(rows) <= FEW else 1, seed=seed).within(rows)
    x, y, groups = features.embeddings[rows], data.targets[rows], groups[rows]
    head = fit(x, y, groups, task=data.task, levels=levels, seed=seed, repeats=1)
    found = teach(head, x, y, groups, views, task=data.task, levels=levels)
    assert found is not None
    taught, field = found
    taken = field.views.kinds != "worn"
    some = field.views.part(taken)
    p = np.concatenate([taught.out_of_fold[0], field.out_of_fold[taken]])
    truth = np.concatenate([y, y[some.rows]])
    together = np.concatenate([groups, groups[some.rows]])
    severity = np.concatenate([np.full(len(y), "direct"), some.severities])
    nothing = np.zeros((len(y), some.measures.shape[1]))
    return (
        Answers(
            p=p,
            label=truth.argmax(1),
            wrong=find_wrong(p, truth, data.task),
            severity=severity,
            sketch=sketch_many(np.concatenate([x, some.embeddings]), levels),
            measures=np.nan_to_num(np.concatenate([nothing, some.measures])),
            fold=assign_folds((severity == "hard")[:, None].astype(float), together, FOLDS, seed),
        ),
        data.labels,
    )


def predict(x: np.ndarray, target: np.ndarray, able: np.ndarray, fold: np.ndarray, c: float, scale: float | None):
    """Logits float32 (N,) of a logistic regression of a target on x (N, F), out of fold; able: rows to learn from."""
    x = x.astype(np.float32)
    out = np.zeros(len(x), np.float32)
    for f in range(FOLDS):
        some = able & (fold != f)
        spread = x[some].std(0) + 1e-6 if scale is None else np.full(x.shape[1], scale)
        problem = Problem(weights=some.astype(np.float32), c=c, mean=x[some].mean(0), scale=spread.astype(np.float32))
        aim = target[:, None].astype(np.float32)
        (found,) = solve(x, aim, [problem], task="multilabel", tolerance=1e-3, iterations=300)
        out[fold == f] = x[fold == f] @ found.weight[:, 0] + found.bias[0]
    return out


def rankings(said: Answers) -> dict[str, np.ndarray]:
    """Scores (N,) by name, the higher the more likely wrong."""
    p = np.sort(said.p, 1)
    sure = p[:, -1]
    odds = np.log(sure / (1 - sure + 1e-6))
    doubt = -(said.p * np.log(np.maximum(said.p, 1e-9))).sum(1)
    confidence = np.stack([odds, sure - p[:, -2], doubt], 1)
    every, hard = np.ones(len(sure), bool), said.severity == "hard"
    boundary = predict(said.sketch, hard, every, said.fold, C, _SKETCH_SCALE)
    both = np.column_stack([confidence, said.measures])
    crossed = np.column_stack([confidence, boundary, boundary * odds])
    taken = said.photographs
    return {
        "boundary to hard views (ships)": boundary,
        "most probable label's probability": -sure,
        "quality facts": predict(said.measures, said.wrong, taken, said.fold, 1.0, None),
        "sureness and quality facts": predict(both, said.wrong, taken, said.fold, 1.0, None),
        "sketch, aimed at wrong answers": predict(said.sketch, said.wrong, every, said.fold, C, _SKETCH_SCALE),
        "sureness and boundary": predict(crossed, said.wrong, every, said.fold, 1.0, None),
    }


def tell_rankings(name: str, said: Answers, scores: dict[str, np.ndarray]) -> None:
    """Print a row a ranking."""
    hard = said.severity == "hard"
    for ranking, score in scores.items():
        parts = [said.severity == s for s in ("mild", "medium", "hard")]
        each = [float(Ranking(score[m], said.wrong[m].astype(np.float32)).auc(np.ones((1, m.sum())))[0]) for m in parts]
        up = score >= np.quantile(score[hard & said.wrong], 0.2)
        lost = [up[m].mean() for m in (hard & ~said.wrong, parts[1], said.severity == "direct")]
        cells = [name, ranking, *(f"{v:.3f}" for v in each), *(f"{v:.0%}" for v in lost)]
        print("| " + " | ".join(cells) + " |")


def tell_released(name: str, said: Answers, boundary: np.ndarray, labels: tuple[str, ...]) -> None:
    """Print what would come of answering where the answer is sure, although the photograph is too poor."""
    limit = max(float(np.quantile(boundary[said.severity == s], 1 - share)) for s, share in WITHHELD.items())
    poor, sure = boundary > limit, said.p.max(1)
    released = np.zeros(len(sure), bool)
    for f in range(FOLDS):
        others = said.fold != f
        some = np.flatnonzero(others & poor & said.photographs)
        some = some[np.argsort(-sure[some])]
        errors = np.cumsum(said.wrong[some]) / np.arange(1, len(some) + 1)
        allowed = said.wrong[others & ~said.photographs].mean() + WORSE
        fine = np.flatnonzero(errors <= allowed)
        if len(fine) and fine[-1] >= FEWEST:
            released |= poor & ~others & (sure >= sure[some[fine[-1]]])
    hard = said.severity == "hard"
    for what, stopped in (("as it ships", poor), ("sure answers given", poor & ~released)):
        wrong, right = stopped[hard & said.wrong].mean(), stopped[hard & ~said.wrong].mean()
        print(f"| {name} | {what} | {wrong:.0%} | {right:.0%} |")
    given = released & hard
    print(f"\n{name}: {given.sum()} hard photographs answered more, {said.wrong[given].mean():.0%} of them wrongly.")
    for k, label in enumerate(labels):
        own = said.label == k
        named = said.p.argmax(1) == k
        direct = own & ~said.photographs
        if (own & given).any():
            print(
                f"- {label}: {(named & own & given).sum()} of {(own & given).sum()} named so, of direct pictures"
                f" {named[direct].mean():.0%}"
            )


def main() -> None:
    """Judge rankings on the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default="breast_ultrasound")
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    for name in asked.sets.split(","):
        said, labels = answer(asked.data / name)
        scores = rankings(said)
        print("| set | ranking | mild | medium | hard | right hard lost | medium withheld | direct withheld |")
        print("|" + 8 * "---|")
        tell_rankings(name, said, scores)
        print("\n| set | withheld of hard photographs | of wrong answers | of right ones |")
        print("|" + 4 * "---|")
        tell_released(name, said, scores["boundary to hard views (ships)"], labels)


if __name__ == "__main__":
    main()
