"""FLAML, an AutoML for tables, on raw pixels: --budget seconds to choose among boosted trees, forests and more."""

from __future__ import annotations

import time

import numpy as np
from flaml import AutoML
from train_data import arguments, table, thumbs, write


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--budget", type=float, default=60, help="seconds")
    told = parser.parse_args()
    files, names = table(told.open)
    labels = sorted(set(names))
    y = np.array([labels.index(n) for n in names])
    model = AutoML()
    metric = "roc_auc" if len(labels) == 2 else "roc_auc_ovr"
    model.fit(
        thumbs(told.open, files), y, task="classification", metric=metric, time_budget=told.budget, seed=told.seed
    )
    print(model.best_estimator, model.best_config)
    started = time.perf_counter()
    asked, _ = table(told.aside)
    p = np.asarray(model.predict_proba(thumbs(told.aside, asked)))
    write(told.out, asked, labels, p, time.perf_counter() - started)


if __name__ == "__main__":
    main()
