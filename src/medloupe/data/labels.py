"""Tell from the names of labels which one means healthy and which one is looked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEALTHY = re.compile(
    r"^(no|not|non)[\s_-]|(?<!ab)normal|healthy|negative|uninfected|benign|control|no.?finding|others?$"
    r"|^(norm|none|absent|0|false|no)$",
    re.IGNORECASE,
)


def is_healthy(label: str) -> bool:
    """Tell whether the name of a label says that nothing is wrong: normal, no finding, benign."""
    return _HEALTHY.search(label) is not None


def positive_label(labels: Sequence[str], task: str) -> str | None:
    """Find the one of two classes that is looked for: whose name does not say healthy, else the second.

    None unless the task is multi-class and there are two labels.
    """
    if task != "multiclass" or len(labels) != 2:
        return None
    for one, other in (labels, reversed(labels)):  # NonCOVID is healthy because its counterpart is called COVID
        if re.fullmatch(rf"(no|not|non|un)[\s_-]*{re.escape(one)}", other, re.IGNORECASE) and not is_healthy(one):
            return one
    ill = [name for name in labels if not is_healthy(name)]
    return ill[0] if len(ill) == 1 else labels[-1]
