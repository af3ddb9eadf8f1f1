"""ECGs: beats judged between patients beside published figures and gradient boosting, twelve leads, time, and sameness.

    pip install -e '.[ecg]' scikit-learn
    python benchmarks/ecg.py [--data ../shared/data] [--rounds 5] > ecg.md

`ecg_beats` is trained on the training records (DS1 of de Chazal 2004) and judged on those of the test (DS2): no patient
is on both sides. `ecg_12lead` is judged on the folds 9 and 10. Gradient boosting gets the same records: every fourth
sample of each beat and the RR intervals. Published figures are for all 22 records of DS2; the data here lacks some.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from accuracy import figure, medloupe

PUBLISHED = (
    ("de Chazal 2004", 0.862),
    ("Mar 2011", 0.899),
    ("Zhang 2014", 0.883),
    ("Mondéjar-Guerra 2019", 0.945),
)


def trained(home: Path, data: Path, name: str) -> tuple[dict, float]:
    """The card of a model, and the seconds of the whole command."""
    started = time.perf_counter()
    medloupe(home, "train", str(data), "--name", name, "--json")
    seconds = time.perf_counter() - started
    return json.loads(medloupe(home, "models", "show", name, "--json")[0]), seconds


def boosting(file: Path) -> dict[str, float]:
    """Accuracy, macro F1, and sensitivity and positive predictive value by class, of scikit-learn's boosting."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import f1_score

    with np.load(file, allow_pickle=False) as z:
        kept = (z["ds_split"] > 0) & (z["y"] < 4)
        x = np.column_stack([z["X"][kept, ::4], z["rr_pre"][kept], z["rr_post"][kept]])
        y, split, people = z["y"][kept], z["ds_split"][kept], z["subject_id"][kept]
    split[(split == 1) & np.isin(people, people[split == 2])] = 0  # no patient on both sides, as in medloupe
    model = HistGradientBoostingClassifier(max_iter=80, random_state=0).fit(x[split == 1], y[split == 1])
    said, truth = model.predict(x[split == 2]), y[split == 2]
    found = {"accuracy": float((said == truth).mean()), "macro_f1": float(f1_score(truth, said, average="macro"))}
    for k, name in enumerate("NSVF"):
        found[f"{name} sensitivity"] = float((said[truth == k] == k).mean())
        found[f"{name} ppv"] = float((truth[said == k] == k).mean()) if (said == k).any() else 0.0
    return found


def beats_table(card: dict, seconds: float, other: dict[str, float]) -> None:
    m = card["metrics"]
    print("| | accuracy | macro F1 | " + " | ".join(f"{c} Se / PPV" for c in "NSVF") + " | AUC | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = {row["label"]: row for row in card["per_label"]}
    found = {c: (rows[c]["sensitivity"]["value"], rows[c]["ppv"]["value"] or 0) for c in "NSVF" if c in rows}
    each = " | ".join("{:.3f} / {:.3f}".format(*found[c]) if c in found else "–" for c in "NSVF")
    whole = " | ".join(figure(m[name]) for name in ("accuracy", "macro_f1"))
    print(f"| medloupe | {whole} | {each} | {figure(m['auc'])} | {seconds:.0f} |")
    each = " | ".join(f"{other[f'{c} sensitivity']:.3f} / {other[f'{c} ppv']:.3f}" for c in "NSVF")
    print(f"| gradient boosting | {other['accuracy']:.3f} | {other['macro_f1']:.3f} | {each} | | |")
    for name, accuracy in PUBLISHED:
        print(f"| {name}, as published | {accuracy:.3f} | | | | | | | |")
    print()
    for row in card.get("inputs", {}).get("fusion", []):
        print(f"- {row['name']}: AUC {figure(row['auc'])}")


def twelve_table(card: dict, seconds: float) -> None:
    print("\n| label | cases | AUC | average precision |")
    print("|---|---|---|---|")
    for row in card["per_label"]:
        print(f"| {row['label']} | {row['n']} | {figure(row['auc'])} | {figure(row['average_precision'])} |")
    print(f"| macro | | {figure(card['metrics']['auc'])} | {figure(card['metrics']['average_precision'])} |")
    if card["secondary"]:
        print(f"| macro, cross-validation | | {figure(card['secondary']['metrics']['auc'])} | |")
    print(f"\n{card['split']['test']} ECGs judge, {card['split']['train']} taught; {seconds:.0f} s in all.")


def a_minute(home: Path, file: Path, rounds: int) -> None:
    """Seconds from two leads of one minute in memory to all beats' classes, on one thread."""
    from medloupe.ecg.files import read_ecg
    from medloupe.ecg.signal import Signal
    from medloupe.inference.ecgs import EcgPredictor
    from medloupe.store.models import Store

    whole = read_ecg(file)
    minute = Signal(samples=whole.samples[:, : round(60 * whole.rate)], rate=whole.rate, leads=whole.leads)
    predictor = EcgPredictor(Store(home).get("arrhythmia"), network_threads=1)
    predictor.predict(minute)
    spent = []
    for _ in range(rounds):
        started = time.perf_counter()
        predictor.predict(minute)
        spent.append(time.perf_counter() - started)
    print(f"\nOne minute of {len(minute.leads)} leads: {np.median(spent):.2f} s ({min(spent):.2f}–{max(spent):.2f})")


def sameness(home: Path, file: Path) -> None:
    """The largest difference of a probability between 360 Hz and the same minute at 250 and 500 Hz."""
    from medloupe.ecg.files import read_ecg
    from medloupe.ecg.signal import Signal, resample
    from medloupe.inference.ecgs import EcgPredictor
    from medloupe.store.models import Store

    whole = read_ecg(file)
    minute = Signal(samples=whole.samples[:, : round(60 * whole.rate)], rate=whole.rate, leads=whole.leads)
    predictor = EcgPredictor(Store(home).get("arrhythmia"), network_threads=1)
    first = predictor.predict(minute)
    for rate in (250.0, 500.0):
        other = predictor.predict(resample(minute, rate))
        apart = max(abs(first.probabilities[n] - p) for n, p in other.probabilities.items())
        print(f"\n{file.stem} at {rate:.0f} Hz: differs by {apart:.4f} from {whole.rate:.0f} Hz")


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    beats = told.data / "ecg_beats"
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        card, seconds = trained(home, beats, "arrhythmia")
        beats_table(card, seconds, boosting(next(beats.glob("*.npz"))))
        twelve_table(*trained(home, told.data / "ecg_12lead", "ecg12"))
        for record in sorted(beats.glob("wfdb/*.hea")):
            sameness(home, record)
        a_minute(home, next(beats.glob("wfdb/*.hea")), told.rounds)


if __name__ == "__main__":
    main()
