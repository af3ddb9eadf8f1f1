"""Rank label issues with cleanlab: `python find_cleanlab.py IN.npz OUT.npz`, of `../label_errors.py`.

IN holds `labels` int (N,) and `probabilities` (N, K) out of fold; OUT `ranked`, the rows flagged, the worst first.
"""

import sys

import numpy as np
from cleanlab.filter import find_label_issues

given = np.load(sys.argv[1])
ranked = find_label_issues(
    given["labels"], given["probabilities"], return_indices_ranked_by="self_confidence", n_jobs=1
)
np.savez(sys.argv[2], ranked=ranked)
