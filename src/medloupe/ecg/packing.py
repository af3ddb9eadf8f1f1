"""Write an ECG as one file that says all that is known of it."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath

import numpy as np

from medloupe.ecg.signal import Signal

_SAME_TIME = (1980, 1, 1, 0, 0, 0)  # of every part, so that the same ECG makes the same bytes


def pack_signal(signal: Signal) -> bytes:
    """Write an ECG as .npz, as `ecg.files.read_ecg` reads it: the same signal gives the same bytes.

    Parameters
    ----------
    signal
        In millivolts.
    """
    arrays = {
        "signal": signal.samples.astype(np.float32),
        "fs": np.float64(signal.rate),
        "lead_names": np.array(signal.leads, dtype=str),
        "units": np.array("mV"),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, values in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, np.asarray(values), allow_pickle=False)
            packed.writestr(zipfile.ZipInfo(f"{name}.npy", _SAME_TIME), part.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def name_packed(file: str) -> str:
    """Name an ECG that was packed by `pack_signal` after the file that it was read from."""
    path = PurePosixPath(file)
    return str(path) if path.suffix.lower() == ".npz" else f"{path}.npz"
