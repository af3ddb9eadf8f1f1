"""Run the tests; where a few of several thousand failed, run those once more with nothing beside them.

    python scripts/run_tests.py -n 2 --dist worksteal

Two cores that run servers, browsers, clusters and kills at a time miss a deadline now and then, and a run of an hour is
too dear to be lost to one. What fails alone, too, fails the run; what passes alone is named at the end as unsteady, for
somebody to mend. More than MOST failures are no accident: they fail at once. Arguments are pytest's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

MOST = 5
FAILED = Path(".pytest_cache/v/cache/lastfailed")
TESTS_FAILED = 1  # pytest's exit status; all others say that the run itself went wrong


def main(arguments: list[str]) -> int:
    pytest = [sys.executable, "-m", "pytest"]
    FAILED.unlink(missing_ok=True)
    status = subprocess.call([*pytest, *arguments])
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if status != TESTS_FAILED or not 0 < len(failed) <= MOST:
        return status
    print(f"\n{len(failed)} failed: once more, alone.", flush=True)
    status = subprocess.call([*pytest, "--last-failed", "--last-failed-no-failures", "none"])
    if status == 0:
        print("Unsteady, failed beside others and passed alone:", *failed, sep="\n  ", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
