"""Makes tests/golden/tiny-v1.onnx and what it answers: a file of format 1 that every later release must still read.

    python scripts/make_golden.py

Run once for each format of the model file, under a new name; a file once released is never made again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from medloupe.embed.samples import generate_images
from medloupe.graphs.session import open_session, run
from medloupe.model.bundle import CARD_FORMAT
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import write_onnx

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS / "support"))

import tiny  # noqa: E402


def main() -> None:
    path = TESTS / "golden" / f"tiny-v{CARD_FORMAT}.onnx"
    if path.exists():
        sys.exit(f"{path} exists. A golden file is not made again: raise CARD_FORMAT, or delete it before a release.")
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(tiny.model(Path(folder)), path)
    (probabilities,) = run(open_session(path), ["probabilities"], generate_images(tiny.SIZE))
    answers = {
        "images": f"medloupe.embed.samples.generate_images({tiny.SIZE})",
        "labels": list(load(path).labels),
        "probabilities": [[round(float(p), 7) for p in row] for row in probabilities],
    }
    path.with_suffix(".json").write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
