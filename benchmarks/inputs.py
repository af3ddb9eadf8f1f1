"""What clinical columns and notes add to the picture, with intervals, on real sets: the tables of the models' cards.

    python benchmarks/inputs.py [--data ../shared/data] > inputs.md

Each row is judged by cross-validation over patients or groups; differences are paired over the same groups.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from accuracy import figure, medloupe

SETS = (
    ("covid_cxr", ("--clinical", "age,sex", "--notes", "clinical_notes")),
    ("skin", ("--clinical", "age,sex,localization")),
    ("fundus", ("--clinical", "age,sex")),
    ("ecg_12lead", ("--clinical", "age,sex")),
)


def difference(metric: dict | None) -> str:
    if metric is None or metric["value"] is None or metric["low"] is None:
        return ""
    return f"{metric['value']:+.3f} ({metric['low']:+.3f} to {metric['high']:+.3f})"


def rows(data: Path, options: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        _, seconds = medloupe(home, "train", str(data), "--name", "bench", "--json", *options)
        card = json.loads(medloupe(home, "models", "show", "bench@1", "--json")[0])
    found = card["inputs"]
    for row in found["fusion"]:
        print(
            f"| {data.stem} | {row['name']} | {figure(row['auc'])} | {difference(row['over_image'])} |"
            f" {difference(row['over_table'])} |"
        )
    left = [f"{entry['name']} ({entry['why']})" for entry in found["columns_left_out"]]
    masked = [entry["word"] for entry in (found["notes"] or {"masked": []})["masked"]]
    print(f"\n{data.stem}: {seconds:.0f} s. {found['words']}", end="")
    print(f" Left out: {', '.join(left)}." if left else "", f"Masked: {', '.join(masked)}." if masked else "", "\n")


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--sets", default="")
    told = parser.parse_args()
    for name, options in SETS:
        if not told.sets or name in told.sets.split(","):
            print("| data | what is read | AUC | over the picture alone | over the table alone |")
            print("|---|---|---|---|---|")
            rows(told.data / name, options)


if __name__ == "__main__":
    main()
