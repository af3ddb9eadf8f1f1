"""Make ECGs that are the same on every machine, and files of them: each wave is made of sums, products and quotients
alone, which IEEE 754 fixes to the last bit, and all samples are whole microvolts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ecgwriters
from fixed_pictures import array_digest, noise

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
TWELVE = (*LIMB, "V1", "V2", "V3", "V4", "V5", "V6")
# Wave: (milliseconds from the R peak, half its width in milliseconds, microvolts along x left, y down, z back).
SINUS = ((-160, 60, (100, 120, 20)), (-28, 28, (-80, -60, 120)), (0, 30, (950, 900, -250)))
SINUS += ((30, 30, (-120, -200, 350)), (270, 120, (220, 250, -120)))
VENTRICULAR = ((0, 85, (600, 850, 600)), (85, 95, (-450, -350, -300)), (300, 150, (-250, -400, -150)))
BLOCK = ((-190, 60, (90, 110, 20)), (0, 55, (900, 450, 800)), (45, 55, (750, 250, 600)), (310, 150, (-350, -200, -300)))
# What each lead sees of the dipole, in hundredths; the limb leads obey Einthoven and Goldberger.
SEEN = {"I": (100, 0, 0), "II": (50, 86, 0), "V1": (-42, 25, -91), "V2": (-8, 25, -99), "V3": (34, 25, -94)}
SEEN |= {"V4": (71, 25, -71), "V5": (94, 25, -34), "V6": (100, 25, 0), "MLII": (50, 86, 0)}


@dataclass(frozen=True, slots=True)
class Recording:
    """Samples float32 (leads, n) in millivolts, with what ecgwriters asks of a Signal."""

    samples: np.ndarray
    rate: float
    leads: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.rate


def _sees(lead: str) -> np.ndarray:
    one, two = np.array(SEEN["I"]), np.array(SEEN["II"])
    made = {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    return made[lead] if lead in made else np.array(SEEN[lead])


def recording(
    seconds: int,
    rate: int,
    leads: tuple[str, ...],
    *,
    waves: tuple = SINUS,
    bpm: int = 72,
    ectopic: int = 0,
    uneven: int = 0,
    seed: int = 0,
) -> Recording:
    """An ECG. ectopic: each so many beats, one comes early, from the ventricles. uneven: by how many milliseconds beats
    come too early or late."""
    milliseconds = np.arange(seconds * rate) * 1000 / rate
    dipole = np.zeros((3, milliseconds.size))
    late = noise(seed, -uneven, uneven + 1, 4 * seconds).tolist()
    for k, at in enumerate(range(400, 1000 * seconds - 500, 60_000 // bpm)):
        early = bool(ectopic) and k % ectopic == ectopic - 1
        for middle, half, axes in VENTRICULAR if early else waves:
            u = (milliseconds - (at + late[k] - 300 * early + middle)) / (2 * half)
            bump = np.maximum(1 - u * u, 0)
            dipole += np.array(axes)[:, None] * (bump * bump * bump * bump)
    seen = np.stack([_sees(lead) for lead in leads])
    volts = np.zeros((len(leads), milliseconds.size))
    for axis in range(3):  # not a matrix product, whose sums BLAS orders as it likes
        volts += seen[:, axis, None] * dipole[axis] / 100
    micro = np.rint(volts) + noise(seed + 1, -12, 13, *volts.shape)
    return Recording((micro / 1000).astype(np.float32), float(rate), leads)


def ecgs(folder: Path) -> dict[str, str]:
    """Write them all; the digest of the samples, by the file to ask about. `untold.csv` tells no rate: it is 250 Hz."""
    folder.mkdir(parents=True)
    pair = ("MLII", "V1")
    made = {
        "twelve.hea": recording(10, 500, TWELVE, seed=1),
        "block.npz": recording(10, 100, TWELVE, waves=BLOCK, bpm=64, seed=2),
        "fast.csv": recording(10, 250, TWELVE, bpm=128, seed=3),
        "twelve.dcm": recording(10, 400, TWELVE, ectopic=4, seed=4),
        "long.hea": recording(40, 360, pair, ectopic=5, seed=5),
        "untold.csv": recording(20, 250, pair, uneven=160, seed=6),
        "slow.edf": recording(20, 128, pair, bpm=48, seed=7),
    }
    flat = recording(10, 250, pair, seed=8)
    made["flat.npz"] = Recording(np.zeros_like(flat.samples), flat.rate, pair)
    for name, ecg in made.items():
        stem, _, suffix = name.partition(".")
        path = folder / name
        if suffix == "hea":
            ecgwriters.wfdb_record(ecg, folder, stem)
        elif suffix == "npz":
            path.write_bytes(ecgwriters.npz(signal=ecg.samples, fs=ecg.rate, lead_names=ecg.leads))
        elif suffix == "csv":
            told = "" if stem == "untold" else f"# fs={ecg.rate:g}\n"
            path.write_bytes(ecgwriters.text(ecg, before=told))
        else:
            path.write_bytes((ecgwriters.dicom_waveform if suffix == "dcm" else ecgwriters.edf)(ecg))
    return {name: array_digest(ecg.samples) for name, ecg in sorted(made.items())}


def labelled_ecgs(folder: Path, each: int = 16) -> Path:
    """A folder a class of twelve leads."""
    for label, waves in (("block", BLOCK), ("sinus", SINUS)):
        (folder / label).mkdir(parents=True)
        for i in range(each):
            ecg = recording(10, 100, TWELVE, waves=waves, bpm=56 + 3 * i, uneven=30, seed=2 * i + (label == "block"))
            data = ecgwriters.npz(signal=ecg.samples, fs=ecg.rate, lead_names=ecg.leads)
            (folder / label / f"{i:02}.npz").write_bytes(data)
    return folder
