"""Make src/medloupe/starter/printed-ecg.npz: what tells pictures of printed ECGs from all other kinds.

    python scripts/build_printed_ecg.py

Drawn from the statistics of the kind bank alone: no picture is needed. Sketches as its sets of ECG reports have them
stand on one side, those of all other sets on the other. The boundary is then moved to SHARE of the way from the nearest
of the other kinds to the nearest of ECG reports: who photographs a print sees it worse than the bank does.
"""

from __future__ import annotations

import io

import numpy as np

from medloupe.embed.registry import backbone
from medloupe.model.printed_ecg import KIND
from medloupe.starter.kind_bank import load_kind_bank
from medloupe.starter.printed_ecg import FILE
from medloupe.training.heads.contrast import fit_contrast
from medloupe.utils.files import write_atomically

DRAWN = 600  # sketches of each set of ECG reports
OTHERS = 100  # of each other set
ASKED = 2000  # of each other set, by which the boundary is moved
LET_IN = 0.001  # share of the set that lies nearest that may lie beyond
SHARE = 0.2  # of the way from these to the reports; at 0.1 a checkerboard was named


def build() -> dict[str, np.ndarray]:
    """Give the arrays of the file."""
    network = backbone()
    bank = load_kind_bank(network.sha256, network.card.levels)
    if bank is None:
        raise SystemExit("The kind bank is of another network: run scripts/build_kind_bank.py first.")
    rng = np.random.default_rng(0)
    own = np.concatenate([known.draw(DRAWN, rng) for known in bank.sets if known.kind == KIND])
    found = fit_contrast(own, bank.draw_others((KIND,), OTHERS, 0))
    others = max(
        float(np.quantile(found.side(known.draw(ASKED, rng)), 1 - LET_IN)) for known in bank.sets if known.kind != KIND
    )
    nearest = float(np.quantile(found.side(own), LET_IN))
    line = others + SHARE * (nearest - others)
    return {
        "levels": np.array(network.card.levels, np.int64),
        "weight": found.weight.astype(np.float32),
        "bias": np.array(found.bias - line, np.float32),
    }


def main() -> None:
    """Write the file."""
    arrays, file = build(), io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    write_atomically(FILE, file.getvalue())
    print(f"{FILE}: bias {float(arrays['bias']):.2f}")


if __name__ == "__main__":
    main()
