"""Hold classifiers of crops against the same on whole pictures, pair by pair on the same patients.

    python benchmarks/crops.py ../shared/data

Both are judged out of fold, each by heads that had not seen the patient; the difference of the AUC is drawn over
patients and groups of copies. Of sets whose boxes are the classes there are no whole pictures to hold against.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

PAIRED = (
    ("chest_heart_size", {"crop": 0.15}),
    ("chest_heart_size", {"crop": 0.15, "crop_to": "heart"}),
    ("chest_nodule", {"crop": 0.15}),
    ("covid_cxr", {"crop": 0.1}),
)
SINGLE = (("blood_cells", {"crop": 0.15}), ("bone_boxes", {"crop": 0.5, "task": "detection"}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", default="")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["MEDLOUPE_HOME"] = home
        print(
            "| data | cropped to | crops / groups | AUC | balanced accuracy | whole pictures refused"
            " | AUC, whole | difference |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for k, (name, how) in enumerate((*PAIRED, *SINGLE)):
            if told.only in ("", name):
                _compare(told.data / name, how, k, k < len(PAIRED))


def _compare(path: Path, how: dict[str, Any], number: int, paired: bool) -> None:
    import medloupe

    cropped = medloupe.read(path, **how)
    model = medloupe.train(cropped, name=f"crops-{number}", field="none")
    card, cropping = model.card, cropped.cropped
    assert cropping is not None
    row = [
        path.name,
        ("each " if cropping.each else "") + ", ".join(cropping.labels) + f" (margin {cropping.margin:g})",
        f"{card['data']['labelled']:,} / {card['split']['groups']:,}",
        _figure(card["metrics"]["auc"]),
        _figure(card["metrics"]["balanced_accuracy"]),
        _figure(card["crop"].get("whole_refused")),
    ]
    if paired:
        whole = medloupe.train(medloupe.read(path), name=f"whole-{number}", field="none")
        row += [_figure(whole.card["metrics"]["auc"]), _figure(_difference(model, cropped, whole, medloupe.read(path)))]
    print("| " + " | ".join([*row, "", ""][:8]) + " |", flush=True)


def _difference(one: Any, data: Any, other: Any, others: Any) -> Any:
    """Difference of the macro AUC on the records that both judged, drawn over the groups of either."""
    from medloupe.metrics.evidence import join_groups
    from medloupe.metrics.weighted import Ranking, average, bootstrap_intervals

    a, b = (_by_record(model, part) for model, part in ((one, data), (other, others)))
    shared = [i for i in a if i in b]
    (pa, ya, ga), (pb, _, gb) = ([np.array(x) for x in zip(*(d[i] for i in shared), strict=True)] for d in (a, b))
    first, second = (average([Ranking(s, t).auc for s, t in zip(p.T, ya.T, strict=True)]) for p in (pa, pb))
    groups = join_groups(ga, gb)
    return bootstrap_intervals({"d": lambda w: first(w) - second(w)}, groups)["d"]


def _by_record(model: Any, data: Any) -> dict[str, Any]:
    from medloupe.data.scan import scan_dataset
    from medloupe.metrics.evidence import FILE, Evidence
    from medloupe.store.models import Store

    found = Evidence.from_bytes((Store.open().folder(model.name, model.version) / FILE).read_bytes())
    digests = scan_dataset(data).digest
    names = {int(Evidence.digest([d])[0]): i for i, d in digests.items() if d}
    rows = zip(found.digests.tolist(), found.probabilities.mean(0), found.targets, found.groups, strict=True)
    return {names[int(d)]: (p, y, g) for d, p, y, g in rows if int(d) in names}


def _figure(metric: Any) -> str:
    if not metric or metric["value"] is None:
        return ""
    low, high = metric["low"], metric["high"]
    return f"{metric['value']:.3f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})")


if __name__ == "__main__":
    main()
