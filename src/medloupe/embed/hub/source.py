"""Find backbones of `transformers`: by name on the Hugging Face hub, or in a folder as `save_pretrained` leaves it.

Weights are read from safetensors only, never from pickles, and no code of the folder is run. The network is written as
ONNX once, into home/cache/backbones, and is a backbone like any other from then on: neither PyTorch nor transformers
take part in embedding, training a head or answering.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.errors import BackboneError
from medloupe.settings import home
from medloupe.utils.files import sha256_of, write_atomically

PREFIX = "hub:"
METHOD = 1  # raise when the same folder gives another ONNX file
MOST_BYTES = 1_500_000_000  # of weights; one ONNX file holds up to 2 GB
UNKNOWN = "unknown; see its page"
_CONFIG, _CARD = "config.json", "README.md"
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")
_WEIGHTS = "model*.safetensors"
_WANTED = [_CONFIG, _CARD, *_PROCESSORS, _WEIGHTS, "model.safetensors.index.json"]
_REPOSITORY = re.compile(r"([\w.-]+/)?[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFiles:
    """A network's files at hand. name: short, for cards. words: where it comes from."""

    folder: Path
    name: str
    words: str


def is_reference(text: str) -> bool:
    """Tell whether text names a network of this module: `hub:OWNER/NAME`, or an existing folder."""
    return text.startswith(PREFIX) or Path(text).is_dir()


def hub_backbone(reference: str) -> Backbone:
    """Return the backbone of `hub:OWNER/NAME`, `hub:OWNER/NAME@REVISION` or a folder.

    It is written as ONNX when first asked for.

    Raises
    ------
    BackboneError
        When the hub cannot be reached or does not have it, when the folder lacks what is needed, or when the network is
        none that gives a feature map.
    """
    source = (
        fetch_source(reference.removeprefix(PREFIX)) if reference.startswith(PREFIX) else local_source(Path(reference))
    )
    config = read_settings(source.folder / _CONFIG, source.name)
    weights = find_weights(source)
    stated = _pixel_settings(source)
    licence = read_licence(source.folder)
    key = hashlib.sha256(repr((METHOD, source.name, source.words, licence, stated, config)).encode())
    for path in weights:
        key.update(path.name.encode() + bytes.fromhex(sha256_of(path)))
    out = home() / "cache" / "backbones" / f"{source.name}-{key.hexdigest()[:16]}.onnx"
    described = out.with_suffix(".json")  # written last: where it is, both are
    if not (out.exists() and described.exists()):
        _write_backbone(source, config, stated, licence, out, described)
    card = BackboneCard.from_json(json.loads(described.read_text("utf-8")))
    return Backbone(card=card, path=out, sha256=sha256_of(out))


def read_licence(folder: Path) -> str:
    """Read the licence that the model card's header (README.md) states, or UNKNOWN."""
    try:
        text = (folder / _CARD).read_text("utf-8", errors="replace")
    except OSError:
        return UNKNOWN
    lines = [line.rstrip() for line in text.removeprefix("\ufeff").split("\n")]
    end = next((k for k, line in enumerate(lines[1:], 1) if line == "---"), 0) if lines[0] == "---" else 0
    pairs = (line.partition(":") for line in lines[1:end])
    said = {key: value.strip() for key, _, value in pairs if key in ("license", "license_name") and value.strip()}
    kind = said.get("license", "").strip("\"'")
    if kind.lower() == "other":
        kind = said.get("license_name", "").strip("\"'")
    kind = "".join(c for c in kind if c.isprintable())
    return kind[:200] or UNKNOWN


def _write_backbone(
    source: NetworkFiles, config: Mapping[str, Any], stated: Mapping[str, Any], licence: str, out: Path, described: Path
) -> None:
    from medloupe.embed.hub.pixels import read_pixel_format
    from medloupe.embed.hub.vision import export_backbone

    given = read_pixel_format(stated, config, source.name)
    made = export_backbone(source.folder, given, source.name)
    assumed = "; its normalisation is not stated, ImageNet's is assumed" if given.assumed else ""
    card = BackboneCard(
        name=source.name,
        source=source.words + assumed,
        licence=licence,
        input_size=given.size,
        dimension=made.dimension,
        levels=made.levels,
        places=made.places,
        cut=(made.dimension, *made.places),
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, made.data)
        write_atomically(described, json.dumps(asdict(card)).encode())
    except OSError as e:
        raise BackboneError(
            f"{out.parent} cannot be written: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home.",
        ) from e


def local_source(folder: Path) -> NetworkFiles:
    """Find the files of a network in a folder.

    Raises
    ------
    BackboneError
        Where the folder is no network's.
    """
    if not (folder / _CONFIG).is_file():
        raise BackboneError(
            f"The folder {folder} holds no {_CONFIG}.",
            "A network is a folder with config.json and model.safetensors, as save_pretrained of transformers writes.",
        )
    name = _clean_name(folder.resolve().name)
    return NetworkFiles(folder=folder, name=name, words=f"transformers network of the folder {name}")


def fetch_source(asked: str, wanted: Sequence[str] = _WANTED, *, cached: bool = False) -> NetworkFiles:
    """Fetch the files of a repository of the hub, from its cache where they are there already.

    Parameters
    ----------
    asked : str
        OWNER/NAME, optionally with @REVISION.
    wanted : sequence of str
        Patterns of the files.
    cached : bool
        Whether to take them from the cache alone.

    Raises
    ------
    BackboneError
        When it cannot be fetched, is not shown to everyone, or is no network.
    """
    repository, _, revision = asked.partition("@")
    if not _REPOSITORY.fullmatch(repository):
        raise BackboneError(
            f"{PREFIX}{asked} names no repository of the hub.",
            f"Write for example {PREFIX}facebook/convnextv2-atto-1k-224, or the path of a folder.",
        )
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
    except ImportError as e:
        raise BackboneError(
            f"Networks of the hub need {e.name}, which is not installed.", "Run: pip install 'medloupe[hub]'"
        ) from e
    try:
        folder = Path(
            snapshot_download(
                repository, revision=revision or None, allow_patterns=list(wanted), local_files_only=cached
            )
        )
    except GatedRepoError as e:
        raise BackboneError(
            f"{repository} on the Hugging Face hub is only given to those who agree to its terms.",
            "Agree on its page and log in (hf auth login), or give the path of a folder with its files.",
        ) from e
    except (RepositoryNotFoundError, RevisionNotFoundError) as e:
        raise BackboneError(
            f"The Hugging Face hub has no {asked}, or does not show it to everyone.",
            "Check the spelling: OWNER/NAME, optionally @REVISION.",
        ) from e
    except Exception as e:  # of the network, of several libraries
        if cached:
            raise BackboneError(f"{asked} was not downloaded yet.", f"Run: hf download {repository}") from e
        raise BackboneError(
            f"{repository} cannot be fetched: the Hugging Face hub cannot be reached from here"
            f" ({type(e).__name__}), and it was not fetched before.",
            "Download its files (config.json, model.safetensors and those beside them) elsewhere, copy them into a"
            " folder, and give its path.",
        ) from e
    if not (folder / _CONFIG).is_file():
        raise BackboneError(f"{repository} on the Hugging Face hub has no {_CONFIG}.", "It is no transformers network.")
    commit = folder.name[:12]
    words = f"{repository} on the Hugging Face hub, revision {commit}"
    return NetworkFiles(folder=folder, name=_clean_name(repository.rpartition("/")[2]), words=words)


def _clean_name(name: str) -> str:
    """Make a name as cards may have it: short, and never like a path or a file."""
    return re.sub(r"[^\w.+-]", "-", name).strip(".-")[:80].removesuffix(".onnx") or "network"


def find_weights(source: NetworkFiles) -> list[Path]:
    """Find the files of a network's weights.

    Raises
    ------
    BackboneError
        Where there are none in safetensors, or too many bytes.
    """
    found = sorted(p for p in source.folder.glob(_WEIGHTS) if p.is_file())
    if not found:
        others = sorted(p.name for p in source.folder.iterdir() if p.suffix in (".bin", ".h5", ".pt", ".pth", ".ckpt"))
        raise BackboneError(
            f"{source.name} holds no model.safetensors"
            + (f"; {others[0]} is not read, since such files may run code when opened." if others else "."),
            "Convert it with save_pretrained of transformers on a machine where you trust the file."
            if others
            else "A network is a folder with config.json and model.safetensors.",
        )
    if (total := sum(p.stat().st_size for p in found)) > MOST_BYTES:
        raise BackboneError(
            f"{source.name} has {total / 1e9:.1f} GB of weights; up to {MOST_BYTES / 1e9} GB are taken.",
            "Choose a smaller network of its kind.",
        )
    return found


def _pixel_settings(source: NetworkFiles) -> dict[str, Any]:
    """Read how a network wants its pixels; empty where no file says so."""
    for name in _PROCESSORS:
        path = source.folder / name
        if path.is_file():
            said = read_settings(path, source.name)
            inner = said.get("image_processor")
            return inner if isinstance(inner, dict) else said
    return {}


def read_settings(path: Path, called: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Parameters
    ----------
    path : Path
        The file.
    called : str
        The network's name for messages.

    Raises
    ------
    BackboneError
        When it cannot be read or is no object.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise BackboneError(f"{path.name} of {called} cannot be read: {e}", "Copy or download it once more.") from e
    if not isinstance(found, dict):
        raise BackboneError(f"{path.name} of {called} holds no settings.", "Copy or download it once more.")
    return found
