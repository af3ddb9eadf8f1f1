"""ONNX Runtime sessions, opened in one way everywhere: on the CPU, quiet, without spinning threads.

Importing this module is cheap; ONNX Runtime (about 20 ms, 18 MiB) is imported when the first session opens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import ModelFileError
from medloupe.settings import threads as default_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SILENT = 4  # ONNX Runtime's log severity "fatal": its errors are raised as well, so stderr need not repeat them


def open_session(source: str | Path | bytes, threads: int | None = None) -> InferenceSession:
    """A session on the CPU.

    source: an ONNX file, or its bytes. threads: of one run (default: settings.threads()).
    Raises ModelFileError when ONNX Runtime cannot open it.
    """
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source),
            session_options(threads or default_threads()),
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise ModelFileError(
            f"ONNX Runtime {onnxruntime.__version__} cannot open {_called(source)}: {_first_line(error)}",
            "The file is damaged, or made for a newer ONNX Runtime (pip install -U onnxruntime).",
        ) from error


def session_options(threads: int) -> Any:
    """onnxruntime.SessionOptions with what every session has in common; threads: of one run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads burn a core between requests, and slow each other down where several sessions live together.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def run(
    opened: InferenceSession, names: Sequence[str], given: np.ndarray | Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """The outputs of those names, computing nothing else.

    given: what the first input takes, such as `image` uint8 (N, S, S, 3), or the inputs by name. An input of numbers
    that is not given is all zeros, which the models' inputs beside the picture read as missing.
    Raises ModelFileError when the graph fails while it runs.
    """
    inputs = opened.get_inputs()
    feed = dict(given) if isinstance(given, Mapping) else {inputs[0].name: given}
    if len(feed) < len(inputs):
        n = len(next(iter(feed.values())))
        for value in inputs:
            if value.name not in feed:
                feed[value.name] = np.zeros((n, *value.shape[1:]), np.float32)
    return _run(opened, names, feed)


def run_tail(opened: InferenceSession, names: Sequence[str], cut: np.ndarray) -> list[np.ndarray]:
    """The same of a tail, for cut float32 (N, C, H, W)."""
    return _run(opened, names, {"cut": cut})


def _run(opened: InferenceSession, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = SILENT
    options.only_execute_path_to_fetches = True
    try:
        return [np.asarray(value) for value in opened.run(list(names), feed, options)]
    except Exception as error:
        value = next(iter(feed.values()))
        raise ModelFileError(
            f"The model failed on {value.dtype} input of shape {value.shape}: {_first_line(error)}",
            "The file is damaged or was not exported by medloupe.",
        ) from error


def _called(source: str | Path | bytes) -> str:
    return f"a model of {len(source):,} bytes" if isinstance(source, bytes) else str(source)


def _first_line(error: Exception) -> str:
    """The start of ONNX Runtime's message, which may go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
