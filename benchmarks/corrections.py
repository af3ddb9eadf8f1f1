"""A deliberately weakened check-up made better by corrections, round by round; and a round that somebody poisoned.

    python benchmarks/corrections.py [--data ../shared/data] [--sets breast_ultrasound chest_pneumonia] [--seeds 3]

Of each set whole patients (where none are named, groups of copies) are dealt into the frozen test (30 %), pictures held
out, that never come into the data set (15 %), and the rest; of a set of more than 800 pictures so many are drawn, by
whole patients. The check-up learns from 10 % of the set (not from simulated photographs, nor do its candidates) and is
published. 200 further pictures are answered by whatever is in production, looked at by ada or bob, who say what is
right, and come into the data set as the review queue brings them, 50 a round; after each round a candidate is made by
the queue, and promoted where the gate lets it. After the second round mallory says of 50 other pictures that they are
of another class (the next one): that round's verdict is noted, how many of the cases that it names are mallory's, and
how many of mallory's it names; then mallory's cases are withdrawn, as an operator would.

AUC on the frozen test is of the predictions that the gate sees: of heads that have learned nothing of it. AUC held out
is of the model that ships, which has learned the frozen test too (docs/loop.md).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from holdout import Row, grouped, labelled, some
from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.errors import PromotionRefusedError
from medloupe.inference.predictors import predictor
from medloupe.metrics.weighted import Ranking
from medloupe.retrain.begin import start_candidate
from medloupe.retrain.conclude import conclude_candidate
from medloupe.retrain.figures import CandidateFigures
from medloupe.review.desk import ReviewDesk
from medloupe.serving.engine.service import Service
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.models import Store
from medloupe.store.queue import JobQueue
from medloupe.store.worker import Worker
from medloupe.studio.auditor import name_data

SHARE, FROZEN, HELD = 0.1, 0.3, 0.15
ROUNDS, EACH = 4, 50
POISONED_AFTER = 2
READERS, POISONER = ("ada", "bob"), "mallory"


@dataclass
class Round:
    """What came of one round. named, own: cases that the refusal names, and those of them that are mallory's."""

    title: str
    figures: CandidateFigures
    seconds: float
    held_out: float
    promoted: bool
    named: list[str] = field(default_factory=list)
    poisoned: set[str] = field(default_factory=set)


class Loop:
    """One check-up of one set and seed.

    Parameters
    ----------
    store, service
        Of the home that all seeds share, for its caches.
    data, rows, groups
        The set.
    """

    def __init__(self, store: Store, service: Service, data: Path, rows: Sequence[Row], groups: np.ndarray, seed: int):
        self.store, self.service, self.data, self.rows = store, service, data, rows
        self.name = f"{data.name.replace('_', '-')}-{seed}"
        self.desk = ReviewDesk(service)
        self.sets, self.queue = self.desk.sets, JobQueue(store.engine)
        self.labels = sorted({row["label"] for row in rows})
        self.rng = np.random.default_rng(seed)
        order = self.rng.permutation(np.unique(groups))
        share = np.cumsum([np.count_nonzero(groups == g) for g in order]) / len(rows)
        ends = ((FROZEN, "frozen"), (FROZEN + HELD, "held"), (2.0, "rest"))
        part = {g: next(name for end, name in ends if s <= end) for g, s in zip(order, share, strict=True)}
        self.part = np.array([part[g] for g in groups])
        self.groups = groups
        rest = [g for g in order if part[g] == "rest"]
        rows_of = {g: np.flatnonzero(groups == g) for g in rest}
        self.base: list[int] = []
        while len(self.base) < SHARE * len(rows):
            self.base += rows_of[rest.pop(0)].tolist()
        self.stream = [int(i) for g in rest for i in rows_of[g]]
        self.rng.shuffle(self.stream)
        self.unanswered = 0
        self._asked = 0

    def publish_first(self) -> None:
        """The weakened check-up."""
        classes = [DatasetClass(name=label) for label in self.labels]
        self.id = self.sets.create(self.name, classes=classes).id
        for i in (*self.base, *np.flatnonzero(self.part == "frozen")):
            test = self.part[i] == "frozen"
            self.sets.add(self.id, [self._item(int(i), split="test" if test else "train")], batch="base")
        table = self.sets.version_folder(self.id, self.sets.freeze(self.id).number)
        arguments = [*name_data(table, self.sets.get(self.id)), "--name", self.name, "--held", "--field", "none"]
        self.queue.add("train", arguments)
        self._work()
        self.store.promote(self.name, 1, actor="benchmark")

    def correct(self, count: int, reader: str | None = None) -> set[str]:
        """So many pictures answered and looked at; the ids of the cases."""
        version, _ = self.store.production()[self.name]
        answering = predictor(self.store.get(self.name, version))
        cases: set[str] = set()
        while len(cases) < count:
            i = self.stream.pop(0)
            data = self._read(i)
            answer = answering.predict(data)
            if answer.refused is not None or not answer.prediction:
                self.unanswered += 1
                continue
            right = self.rows[i]["label"]
            if reader is not None:
                right = self.labels[(self.labels.index(right) + 1) % len(self.labels)]
            self._asked += 1
            case = self.desk.queue.add(
                data,
                prediction_id=f"{self._asked:04d}{self.id[:28]}",
                model=self.name,
                version=version,
                task="multiclass",
                labels=self.labels,
                answer={"prediction": answer.prediction, "probabilities": dict(answer.probabilities)},
                said=None,
                size=(224, 224),
                basis="house_rule",
                by="benchmark",
            )
            by = reader or READERS[self._asked % len(READERS)]
            settled = self.desk.queue.give_opinion(case.id, by, verdict="label", labels=[right])
            settled = self.desk.place(settled, by=by)
            assert settled.item is not None, settled.why
            patient = f"g{self.groups[i]}"
            if self.sets.item(self.id, settled.item).patient != patient:  # of a copy it is known
                self.sets.change(self.id, "assign", {settled.item: {"patient": patient}})
            cases.add(case.id)
        return cases

    def retrain(self, title: str) -> Round:
        """A candidate, promoted where the gate lets it."""
        began = time.perf_counter()
        candidate = start_candidate(self.store, self.sets, self.id, cause="command", by="benchmark")
        self._work()
        concluded, figures = conclude_candidate(self.store, candidate.id)
        seconds = time.perf_counter() - began
        promoted = False
        if figures.gate.passed:
            try:
                self.store.promote(self.name, figures.version, actor="benchmark")
                promoted = True
            except PromotionRefusedError:
                pass
        assert concluded.version is not None
        named = [c["case"] for c in figures.contradicted["cases"]]
        return Round(title, figures, seconds, self.held_out(concluded.version), promoted, named)

    def withdraw(self, cases: set[str]) -> None:
        """What somebody said is taken back, with the pictures."""
        for case in cases:
            self.desk.withdraw(case, by="benchmark")

    def held_out(self, version: int) -> float:
        """The AUC of a version that ships, on pictures that were never in the data set."""
        model = self.store.get(self.name, version, report=False)
        every = read(self.data)
        ids = {self.rows[i]["file"] for i in np.flatnonzero(self.part == "held")}
        held = replace(every, records=tuple(r for r in every.records if r.id in ids))
        features = embed(scan_dataset(held), model.backbone)
        p, truth = model.head.probabilities(features.embeddings), features.data.targets
        order = [model.labels.index(label) for label in held.labels]
        ones = np.ones((1, len(p)), np.float32)
        return float(np.mean([Ranking(p[:, order[k]], truth[:, k]).auc(ones)[0] for k in range(truth.shape[1])]))

    def _work(self) -> None:
        worker = Worker(self.queue, self.store.home)
        while worker.run_one():
            pass
        for job in self.queue.list("failed", most=1):
            raise SystemExit(job.error)

    def _item(self, i: int, split: str) -> NewItem:
        row = self.rows[i]
        patient = f"g{self.groups[i]}"
        file, data = row["file"], self._read(i)
        return NewItem(key=file[-80:], data=data, file=file, label=row["label"], patient=patient, split=split)

    def _read(self, i: int) -> bytes:
        return (self.data / self.rows[i]["file"]).read_bytes()


def run_loop(loop: Loop) -> Iterator[Round]:
    """All rounds of one check-up."""
    loop.publish_first()
    for number in range(1, ROUNDS + 1):
        loop.correct(EACH)
        yield loop.retrain(f"{number}")
        if number == POISONED_AFTER:
            wrong = loop.correct(EACH, POISONER)
            yield replace(loop.retrain("poisoned"), poisoned=wrong)
            loop.withdraw(wrong)


def describe(data: str, seed: int, loop: Loop, one: Round) -> dict[str, object]:
    """Bring a round to one line of figures."""
    gate, told = one.figures.gate, one.figures.fresh
    auc = gate.auc
    assert auc is not None, gate.words
    line = {
        "set": data,
        "seed": seed,
        "round": one.title,
        "production": auc.production,
        "candidate": auc.candidate,
        "worst": auc.low,
        "passed": gate.passed,
        "promoted": one.promoted,
        "records": gate.records,
        "groups": gate.groups,
        "wrong_before": None if told is None or told.wrong is None else told.wrong.a,
        "wrong_after": None if told is None or told.wrong is None else told.wrong.b,
        "held_out": one.held_out,
        "seconds": one.seconds,
        "unanswered": loop.unanswered,
    }
    if one.poisoned:
        own = [case in one.poisoned for case in one.named]
        readers = one.figures.contradicted["readers"]
        line |= {
            "named": len(own),
            "named_right": sum(own),
            "first_50_right": sum(own[:EACH]),
            "first_reader": readers[0]["reader"] if readers else "",
            "readers": {r["reader"]: [r["contradicted"], r["corrections"]] for r in readers},
            "usual": one.figures.contradicted["usual"],
        }
    return line


def main() -> None:
    """Run all sets and seeds, print JSON lines as they come and a table at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=["breast_ultrasound", "chest_pneumonia"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=800, help="pictures of a set: whole patients, drawn once")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--home", type=Path, help="keeps the caches between runs")
    parser.add_argument("--lines", type=Path, help="only print the table of lines that earlier runs wrote to stderr")
    asked = parser.parse_args()
    if asked.lines:
        print_table([json.loads(line) for line in asked.lines.read_text().splitlines() if line.startswith("{")])
        return
    every: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        home = (asked.home or Path(scratch)).absolute()
        os.environ["MEDLOUPE_HOME"] = str(home)
        for name in asked.sets:
            folder = asked.data / name
            rows = labelled(folder)
            groups = grouped(folder, rows)
            if asked.most and len(rows) > asked.most:
                kept = some(groups, asked.most, seed=0)
                rows, groups = [row for row, keep in zip(rows, kept, strict=True) if keep], groups[kept]
            for seed in range(asked.first, asked.first + asked.seeds):
                store = Store.open()
                service = Service(store, memory=256 * 2**20, workers=1)
                try:
                    loop = Loop(store, service, folder, rows, groups, seed)
                    for one in run_loop(loop):
                        every.append(describe(name, seed, loop, one))
                        print(json.dumps(every[-1]), file=sys.stderr, flush=True)
                finally:
                    service.close()
    print_table(every)


def print_table(lines: Sequence[dict[str, object]]) -> None:
    """Mean and standard deviation over seeds of each set and round."""
    print(
        "| set | round | AUC frozen: production | candidate | at worst | let in | answered wrongly when they came "
        "| out of fold | AUC held out | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(line["set"] for line in lines):
        for title in dict.fromkeys(line["round"] for line in lines):
            own = [line for line in lines if (line["set"], line["round"]) == (name, title)]
            keys = ("production", "candidate", "worst", "wrong_before", "wrong_after", "held_out", "seconds")
            said = {k: _spread([float(str(line[k])) for line in own if line[k] is not None], k) for k in keys}
            let = f"{sum(bool(line['promoted']) for line in own)} of {len(own)}"
            cells = [said[k] for k in keys[:3]] + [let] + [said[k] for k in keys[3:]]
            print(f"| {name} | {title} | " + " | ".join(cells) + " |")
    for line in (line for line in lines if "named" in line):
        readers = line["readers"]
        print(
            f"\n{line['set']}, seed {line['seed']}: {line['named']} cases named, {line['named_right']} mallory's",
            end="",
        )
        print(
            f"; of the first {EACH} {line['first_50_right']}; first {line['first_reader']}; contradicted {readers}",
            end="",
        )
        print(f", of all others {float(str(line['usual'])):.0%}")


def _spread(values: Sequence[float], key: str) -> str:
    digits = 1 if key == "seconds" else 3
    if not values:
        return ""
    return (
        f"{np.mean(values):+.{digits}f}"
        if key == "worst"
        else f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"
    )


if __name__ == "__main__":
    main()
