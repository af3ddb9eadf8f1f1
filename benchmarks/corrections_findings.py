"""A check-up of several findings made better by corrections, on chest X-rays: corrections.py, finding by finding.

    python benchmarks/corrections_findings.py [--data ../shared/data/chest_findings] [--seeds 1]

As corrections.py: learned from a tenth, 200 pictures as corrections, 50 a round, patients kept whole; after the second
round mallory turns each finding of 50 pictures round. A reader says all findings that are there. Findings are those
that 60 pictures have. Each is looked for. AUC is the mean over findings; held out it is of pictures that were never in
the data set, by the version that ships.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import corrections
from corrections import EACH, Loop, describe, print_table, run_loop
from holdout import grouped, labelled
from medloupe.inference.predictors import predictor
from medloupe.metrics.weighted import Ranking
from medloupe.retrain.roles import find_taught
from medloupe.serving.engine.service import Service
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.models import Store
from medloupe.studio.auditor import name_data

FEWEST = 60


class FindingsLoop(Loop):
    """One check-up of several findings. findings: those that are told."""

    findings: tuple[str, ...] = ()

    def told(self, i: int) -> dict[str, int]:
        """What a picture shows: 1 or 0 by finding."""
        there = self.rows[i]["labels"].split("|")
        return {name: int(name in there) for name in self.findings}

    def publish_first(self) -> None:
        """The weakened check-up."""
        classes = [DatasetClass(name=name, role="sought") for name in self.findings]
        self.id = self.sets.create(self.name, task="multilabel", classes=classes).id
        for i in (*self.base, *np.flatnonzero(self.part == "frozen").tolist()):
            split = "test" if self.part[i] == "frozen" else "train"
            file, patient = self.rows[i]["file"], f"g{self.groups[i]}"
            new = NewItem(
                key=file[-80:], data=self._read(i), file=file, labels=self.told(i), patient=patient, split=split
            )
            self.sets.add(self.id, [new], batch="base")
        version = self.sets.freeze(self.id)
        taught = find_taught(version.classes, self.sets.items(self.id))
        table = self.sets.version_folder(self.id, version.number)
        arguments = [*name_data(table, self.sets.get(self.id), taught), "--sought", ",".join(taught)]
        self.queue.add("train", [*arguments, "--name", self.name, "--held", "--field", "none"])
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
            if answer.refused is not None or not answer.probabilities:
                self.unanswered += 1
                continue
            right = [name for name, value in self.told(i).items() if value != (reader is not None)]
            self._asked += 1
            case = self.desk.queue.add(
                data,
                prediction_id=f"{self._asked:04d}{self.id[:28]}",
                model=self.name,
                version=version,
                task="multilabel",
                labels=self.findings,
                answer={
                    "prediction": answer.prediction,
                    "flagged": list(answer.flagged),
                    "probabilities": dict(answer.probabilities),
                },
                said=None,
                size=(224, 224),
                basis="house_rule",
                patient=f"g{self.groups[i]}",
                by="benchmark",
            )
            by = reader or corrections.READERS[self._asked % len(corrections.READERS)]
            settled = self.desk.queue.give_opinion(case.id, by, verdict="label", labels=right)
            settled = self.desk.place(settled, by=by)
            assert settled.item is not None, settled.why
            cases.add(case.id)
        return cases

    def held_out(self, version: int) -> float:
        """The mean AUC of a version that ships, on pictures that were never in the data set and that it answers."""
        answering = predictor(self.store.get(self.name, version))
        p, truth = [], []
        for i in np.flatnonzero(self.part == "held"):
            answer = answering.predict(self._read(int(i)))
            if answer.probabilities:
                p.append([answer.probabilities.get(name, 0.0) for name in self.findings])
                truth.append([self.told(int(i))[name] for name in self.findings])
        scores, shown = np.array(p), np.array(truth, float)
        ones = np.ones((1, len(scores)), np.float32)
        own = [k for k in range(shown.shape[1]) if 0 < shown[:, k].sum() < len(shown)]
        return float(np.mean([Ranking(scores[:, k], shown[:, k]).auc(ones)[0] for k in own]))


def main() -> None:
    """Run the seeds, print JSON lines as they come and a table at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/chest_findings"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--home", type=Path, help="keeps the caches between runs")
    asked = parser.parse_args()
    rows = labelled(asked.data)
    groups = grouped(asked.data, rows)
    names = [name for row in rows for name in row["labels"].split("|") if name and row["label"] != "No_findings"]
    found = tuple(sorted(name for name in set(names) if names.count(name) >= FEWEST))
    every: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["MEDLOUPE_HOME"] = str((asked.home or Path(scratch)).absolute())
        for seed in range(asked.first, asked.first + asked.seeds):
            store = Store.open()
            service = Service(store, memory=256 * 2**20, workers=1)
            try:
                loop = FindingsLoop(store, service, asked.data, rows, groups, seed)
                loop.findings = found
                for one in run_loop(loop):
                    every.append({**describe("chest_findings", seed, loop, one), "findings": found, "each": EACH})
                    print(json.dumps(every[-1]), file=sys.stderr, flush=True)
            finally:
                service.close()
    print_table(every)


if __name__ == "__main__":
    main()
