"""Open ONNX Runtime sessions in one way everywhere: on the CPU, quiet, without spinning threads.

Importing this module is cheap; ONNX Runtime (about 20 ms, 18 MiB) is imported when the first session opens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe import settings
from medloupe.errors import ModelFileError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SILENT = 4  # ONNX Runtime's log severity "fatal": its errors are raised as well, so stderr need not repeat them


def open_session(source: str | Path | bytes, threads: int | None = None) -> InferenceSession:
    """Open a session on the CPU.

    Parameters
    ----------
    source : str, Path or bytes
        An ONNX file, or its bytes.
    threads : int, optional
        Threads of one run; settings.threads() by default.

    Raises
    ------
    ModelFileError
        When ONNX Runtime cannot open it.
    """
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source),
            session_options(threads or settings.threads()),
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise ModelFileError(
            f"ONNX Runtime {onnxruntime.__version__} cannot open {_called(source)}: {first_line(error)}",
            "The file is damaged, or made for a newer ONNX Runtime (pip install -U onnxruntime).",
        ) from error


def session_options(threads: int) -> Any:
    """Make onnxruntime.SessionOptions with what every session has in common. threads: of one run."""
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
    """Run a session for the outputs of those names, computing nothing else.

    Parameters
    ----------
    opened : InferenceSession
        From `open_session`.
    names : sequence of str
        The outputs.
    given : np.ndarray or mapping
        What the first input takes, such as `image` uint8 (N, S, S, 3), or the inputs by name. An input of numbers that
        is not given is all zeros, which the models' inputs beside the picture read as missing.

    Raises
    ------
    ModelFileError
        When the graph fails while it runs.
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
    """Run a session of a tail as `run` does, for cut float32 (N, C, H, W)."""
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
            f"The model failed on {value.dtype} input of shape {value.shape}: {first_line(error)}",
            "The file is damaged or was not exported by medloupe.",
        ) from error


def _called(source: str | Path | bytes) -> str:
    return f"a model of {len(source):,} bytes" if isinstance(source, bytes) else str(source)


def first_line(error: Exception) -> str:
    """Take the start of a library's message, which may go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
