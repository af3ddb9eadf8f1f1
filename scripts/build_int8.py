"""Makes the shipped 8-bit backbone from the shipped one, calibrated on open pictures.

    python scripts/build_int8.py DATA/chest_pneumonia DATA/breast_ultrasound DATA/malaria DATA/blood_cells

Only how wide the network's activations range on these pictures goes into the file, no picture and no label does. Used
were: paediatric chest X-rays (Kermany et al. 2018, CC BY 4.0), breast ultrasound (Al-Dhabyani et al. 2020, CC BY 4.0),
blood cells with and without malaria (US National Library of Medicine, public domain), blood smears (BCCD, MIT).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from medloupe.embed.eightbit import SHIPPED, quantise_backbone
from medloupe.embed.registry import backbone
from medloupe.imaging.decode import load

EACH = 40  # pictures of each set
KINDS = (".jpg", ".jpeg", ".png")


def pictures(folder: Path, size: int) -> list[np.ndarray]:
    """EACH pictures uint8 (size, size, 3) of a folder, the same ones every time."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in KINDS)
    chosen = np.random.default_rng(0).choice(len(found), EACH, replace=False)
    return [load(found[i], size) for i in chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    told = parser.parse_args()
    network = backbone()
    images = [image for folder in told.folders for image in pictures(folder, network.card.input_size)]
    made = quantise_backbone(network, images)
    shutil.copyfile(made.path, SHIPPED)
    print(f"{SHIPPED}: {SHIPPED.stat().st_size:,} bytes, sha256 {made.sha256}")


if __name__ == "__main__":
    main()
