"""scikit-learn on raw pixels, 32 by 32 and grey: principal components and logistic regression, or a random forest."""

from __future__ import annotations

import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from train_data import arguments, table, thumbs, write


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", choices=("logistic", "forest"), default="logistic")
    told = parser.parse_args()
    files, names = table(told.open)
    x = thumbs(told.open, files)
    if told.model == "logistic":
        parts = PCA(min(100, len(x) // 2), random_state=told.seed)
        model = make_pipeline(StandardScaler(), parts, LogisticRegression(max_iter=2000))
    else:
        model = RandomForestClassifier(500, n_jobs=-1, random_state=told.seed)
    model.fit(x, np.array(names))
    started = time.perf_counter()
    asked, _ = table(told.aside)
    p = model.predict_proba(thumbs(told.aside, asked))
    write(told.out, asked, [str(c) for c in model.classes_], p, time.perf_counter() - started)


if __name__ == "__main__":
    main()
