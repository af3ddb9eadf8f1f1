"""Load networks of `transformers` into PyTorch, quietly: from safetensors only, running no code of theirs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.errors import BackboneError
from medloupe.graphs.session import first_line

if TYPE_CHECKING:
    import torch

_EXPORTING = "torch.onnx._internal.exporter._registration"  # warns of torchvision, which is not needed


def import_libraries(*more: str) -> Any:
    """Import PyTorch, with all that reads networks, and more modules by name.

    Raises
    ------
    BackboneError
        Where one is missing; says how to install it.
    """
    try:
        for name in ("safetensors", "transformers", *more):
            import_module(name)
        return import_module("torch")
    except ImportError as e:
        raise BackboneError(
            f"Networks of `transformers` need {e.name}, which is not installed.", "Run: pip install 'medloupe[hub]'"
        ) from e


def load_network(folder: Path, called: str, kind: str = "vision") -> torch.nn.Module:
    """Load the network of a folder into PyTorch, on the CPU.

    Parameters
    ----------
    folder : Path
        As save_pretrained leaves it.
    called : str
        Its name for messages.
    kind : str
        What kind of network it should be, for messages.

    Raises
    ------
    BackboneError
        Where it does not load, or has not all its weights.
    """
    import_libraries()
    from transformers import AutoModel

    try:
        network, found = AutoModel.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="eager",
            output_loading_info=True,
        )
    except Exception as e:  # OSError, ValueError, KeyError, ImportError, SafetensorError, …
        raise BackboneError(
            f"transformers cannot load {called}: {first_line(e)}",
            f"It must be a {kind} network of a kind that transformers knows without code from the folder.",
        ) from e
    # The pooler is not used here; what else is missing would have random numbers in its place.
    lacking = sorted(k for k in found["missing_keys"] if "pooler" not in k) + [str(k) for k in found["mismatched_keys"]]
    if lacking:
        raise BackboneError(
            f"The weights of {called} do not fit its config.json: {len(lacking):,} are missing, such as {lacking[0]}.",
            "Copy or download it once more.",
        )
    return network.float().eval()


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Silence progress bars and warnings of the libraries while the block runs; all as it was afterwards."""
    from transformers.utils import logging as theirs

    logger, bars, loud = logging.getLogger(_EXPORTING), theirs.is_progress_bar_enabled(), theirs.get_verbosity()
    level = logger.level
    logger.setLevel(logging.ERROR)
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        theirs.set_verbosity(loud)
        if bars:
            theirs.enable_progress_bar()
