"""What a process keeps for itself goes with it, be it killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from medloupe.utils.scratch import own_folder, remove_left


def test_it_is_there_as_long_as_the_block(tmp_path: Path) -> None:
    with own_folder(tmp_path / "top") as folder:
        (folder / "a").write_text("x")
        assert remove_left(tmp_path / "top") == 0
        assert (folder / "a").exists()
    assert not list((tmp_path / "top").iterdir())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from medloupe.utils.scratch import own_folder\n"
        "with own_folder(Path(sys.argv[1])) as folder:\n (folder / 'a').write_text('x'); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    end = time.monotonic() + 120
    while not list(tmp_path.glob("*/a")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    assert remove_left(tmp_path) == 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert remove_left(tmp_path) == 1
    assert not list(tmp_path.iterdir())
