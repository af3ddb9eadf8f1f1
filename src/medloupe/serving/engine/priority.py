"""Lower the priority of work on pictures, so that requests are taken in and turned away first on a busy machine.

Both compete for the same few cores. A thread that has been computing for seconds would otherwise be as entitled to the
next milliseconds as the one that only has to say "come back later", and under overload that one would be late.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

NICENESS = 10
"""Steps of `nice`. A machine that has nothing else to do works as fast as before."""


def lower_priority() -> None:
    """Let the calling thread, and what it starts, yield to the others. Only Linux has this for threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
