"""ONNX Runtime sessions, opened in one way everywhere: on the CPU, quiet, without spinning threads.

Importing this module is cheap; ONNX Runtime (about 20 ms, 18 MiB) is imported when the first session opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import ModelFileError
from medloupe.settings import threads as default_threads

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SILENT = 4  # ONNX Runtime's log severity "fatal": its errors are raised as well, so stderr need not repeat them


def session(source: str | Path | bytes, threads: int | None = None) -> InferenceSession:
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


def run(opened: InferenceSession, names: Sequence[str], image: np.ndarray) -> list[np.ndarray]:
    """The outputs of those names for image uint8 (N, S, S, 3), computing nothing else.

    Raises ModelFileError when the graph fails while it runs.
    """
    return _run(opened, names, "image", image)


def run_tail(opened: InferenceSession, names: Sequence[str], cut: np.ndarray) -> list[np.ndarray]:
    """The same of a tail, for cut float32 (N, C, H, W)."""
    return _run(opened, names, "cut", cut)


def _run(opened: InferenceSession, names: Sequence[str], given: str, value: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = SILENT
    options.only_execute_path_to_fetches = True
    try:
        return [np.asarray(value) for value in opened.run(list(names), {given: value}, options)]
    except Exception as error:
        raise ModelFileError(
            f"The model failed on {value.dtype} input of shape {value.shape}: {_first_line(error)}",
            "The file is damaged or was not exported by medloupe.",
        ) from error


def _called(source: str | Path | bytes) -> str:
    return f"a model of {len(source):,} bytes" if isinstance(source, bytes) else str(source)


def _first_line(error: Exception) -> str:
    """The start of ONNX Runtime's message, which may go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
