"""What the app says of pictures of printed ECGs, direct and photographed: refused, by which word, by every check-up.

    python benchmarks/printed_ecgs.py [--data ../shared/data] [--pictures 387] [--photographed 60] > table.md

Pictures of ECG reports (ecg_images), as they are, photographed from a screen and from a light box
(imaging/rephotograph.py) and, a third of those, by field_family.py at each severity; and sheets drawn here
(tests/support/printed.py), of another making. Each is decoded as the app does, which cuts out what it takes for a
photograph, and embedded once. Told are: the share that every picture check-up in the box refuses when it is asked by
name and that none takes where the app chooses, and the share that is named as a printed ECG. The kind bank by which
they are named was made of these same pictures, direct and in simulated photographs: photographs here are of another
making, drawn sheets are new to it. Other kinds of picture show how often something else is called a printed ECG.
Intervals: 95 %, over groups of records, joined with Wilson's.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import field_family
import medloupe
from medloupe.data.contents import read_content
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session, run
from medloupe.imaging import rephotograph
from medloupe.imaging.decode import decode, decode_picture
from medloupe.imaging.photo import AUTO
from medloupe.metrics import weighted
from medloupe.model.novelty import Novelty
from medloupe.starter import shipped
from medloupe.starter.printed_ecg import load_printed_ecg
from printed import printed_ecg

LONGER = 900  # pixels of a photograph
OTHERS = {
    "chest_findings": "labels",
    "breast_ultrasound": None,
    "oct": None,
    "fundus_idrid": None,
    "malaria_colour": None,
}
DRAWN = 12
Seen = tuple[np.ndarray, bool, str]  # an embedding (D,), whether a photograph was found, and the group


def photographs(image: np.ndarray, seed: int, *, every: bool) -> Iterator[tuple[str, bytes]]:
    """Photograph a picture; with `every` also by field_family. By form, the file."""
    rng = np.random.default_rng([7, seed])
    yield "photographed from a screen", _file(rephotograph.photograph_screen(image, rng))
    yield "photographed from a light box", _file(rephotograph.photograph_light_box(image, rng))
    for severity in field_family.SEVERITIES if every else ():
        scene = field_family.SCENES[int(rng.integers(3))]  # none through an eyepiece
        yield f"another making, {severity}", _file(field_family.photograph(image, rng, scene, severity, LONGER)[0])


def _file(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=92)
    return out.getvalue()


class Looker:
    """Sees files as the app does."""

    def __init__(self) -> None:
        self._network, self._size = open_session(backbone().path, threads=1), backbone().card.input_size

    def see(self, content: bytes, group: str) -> Seen:
        """Decode a file, cut out what is taken for a photograph, and embed it."""
        picture = decode_picture(content, min_side=self._size, photo=AUTO)
        (found,) = run(self._network, ["embedding"], picture.fit(self._size)[None])
        return found[0], picture.photo is not None, group


def novelties() -> dict[str, Novelty]:
    """By what each picture check-up refuses, of detectors by what they look like to the shared network."""
    found = {}
    for name in shipped.list_offered():
        model = shipped.load_shipped(name)
        seen = model.novelty if model.detector is None else model.sight and model.sight.novelty
        if model.backbone.card.modality == "image" and seen is not None:
            found[name] = seen
    return found


def row(form: str, seen: list[Seen], known: dict[str, Novelty]) -> str:
    """The row of a form."""
    printed = load_printed_ecg(backbone().sha256)
    assert printed is not None
    x = np.stack([one[0] for one in seen])
    groups = np.unique([one[2] for one in seen], return_inverse=True)[1]
    taken = np.stack([novelty.score(x) <= 1 for novelty in known.values()])
    cells = [f"{np.mean([one[1] for one in seen]):.0%}"]
    for share in (~taken.any(0), (printed.side(x) > 0) & ~taken.any(0)):
        part = weighted.share(share, np.ones(len(x), bool))
        metric = weighted.bootstrap_intervals({"it": part}, groups)["it"]
        metric = weighted.widen_share_interval(metric, len(np.unique(groups)))
        cells.append(f"{metric['value']:.1%} ({metric['low']:.1%}–{metric['high']:.1%})")
    by = ", ".join(name for name, one in zip(known, taken, strict=True) if one.any()) or "none"
    return "| " + " | ".join([form, str(len(x)), *cells, by]) + " |"


def main() -> None:
    """Ask about printed ECGs, then about other kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pictures", type=int, default=387)
    parser.add_argument("--photographed", type=int, default=60)
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    known, looker = novelties(), Looker()
    print("| pictures | n | found to be a photograph | refused by all | named as a printed ECG | taken by |")
    print("|" + 6 * "---|")
    features = embed(scan_dataset(medloupe.read(asked.data / "ecg_images")), backbone())
    records = features.data.records
    order = np.random.default_rng(0).permutation(len(records))[: asked.pictures]
    group = [records[i].columns.get("group") or records[i].id for i in range(len(records))]
    print(row("ECG reports, direct", [(features.embeddings[i], False, group[i]) for i in order], known), flush=True)
    forms: dict[str, list[Seen]] = defaultdict(list)
    for k, i in enumerate(order[: asked.photographed]):
        image = decode(read_content(records[i].picture))
        for form, file in photographs(image, int(i), every=3 * k < asked.photographed):
            forms[form].append(looker.see(file, group[i]))
    for form, seen in forms.items():
        print(row(f"ECG reports, {form}", seen, known), flush=True)
    forms.clear()
    for seed in range(DRAWN if asked.photographed else 0):
        sheet = printed_ecg(seed)
        forms["direct"].append(looker.see(_file(sheet), str(seed)))
        for form, file in photographs(sheet, seed, every=True):
            forms[form].append(looker.see(file, str(seed)))
    for form, seen in forms.items():
        print(row(f"sheets drawn here, {form}", seen, known), flush=True)
    printed = load_printed_ecg(backbone().sha256)
    assert printed is not None
    for name, labels in OTHERS.items():
        data = medloupe.read(asked.data / name, labels=labels) if labels else medloupe.read(asked.data / name)
        x = embed(scan_dataset(data), backbone()).embeddings
        print(f"<!-- {name}: {int((printed.side(x) > 0).sum())} of {len(x)} would be called a printed ECG -->")


if __name__ == "__main__":
    main()
