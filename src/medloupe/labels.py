"""What names of labels tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEALTHY = re.compile(
    r"^(no|not|non)[\s_-]|(?<!ab)normal|healthy|negative|uninfected|benign|control|no.?finding|others?$"
    r"|^(none|absent|0|false|no)$",
    re.IGNORECASE,
)


def positive(labels: Sequence[str], task: str) -> str | None:
    """Of two classes the one that is looked for: the one whose name does not say healthy, else the second."""
    if task != "multiclass" or len(labels) != 2:
        return None
    ill = [name for name in labels if not _HEALTHY.search(name)]
    return ill[0] if len(ill) == 1 else labels[-1]
