"""Load language networks of `transformers`, which turn texts into numbers: by name from the hub, or from a folder.

Weights are read from safetensors only, and no code of the folder is run. A model file only says by its sha256 which
network its notes need. It is looked for among those that a training here read notes with, and those that the setting
MEDLOUPE_NOTES_MODELS names, so that no file can make a server open a folder or download anything.

Source: mean over the token vectors, as in Sentence-BERT, Reimers & Gurevych (2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from medloupe.embed.hub.source import PREFIX, fetch_source, find_weights, local_source
from medloupe.errors import BackboneError, StoreError
from medloupe.settings import home, setting
from medloupe.utils.files import sha256_of, write_atomically

MOST_TOKENS = 256  # of a text that are read
_BATCH = 32
_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json")
_TOKENIZER = ("tokenizer*.json", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model")
_READ = ("config.json", *_TOKENIZER, *_WEIGHTS)
_CHOOSE = "Choose an encoder of texts, such as hub:sentence-transformers/all-MiniLM-L6-v2."
_opening = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextNetwork:
    """A network at hand.

    Attributes
    ----------
    folder : Path
        Where its files lie.
    words : str
        Where it comes from.
    sha256 : str
        Of its files that count: settings, tokenizer, weights; in hex.
    known : dict
        The numbers of texts that were embedded with `remembering`.
    """

    folder: Path
    words: str
    sha256: str
    known: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    def open(self) -> None:
        """Load it, if it is not yet. Raises BackboneError where it cannot be used, or is not the one that it was."""
        self._opened()

    def embed(self, texts: Sequence[str], *, remembering: bool = False) -> np.ndarray:
        """Embed texts: each becomes the mean over the vectors of its first tokens, scaled to length 1.

        Parameters
        ----------
        texts : sequence of str
            N texts, of each of which MOST_TOKENS tokens are read at most.
        remembering : bool
            Texts embedded before are not embedded again; for trainings, which go over their notes repeatedly.

        Returns
        -------
        np.ndarray
            float32 (N, E).

        Raises
        ------
        BackboneError
            Where the network cannot be used.
        """
        found: dict[str, np.ndarray] = self.known if remembering else {}
        new = sorted({t for t in texts if t not in found}, key=len)  # texts of like length together: less padding
        opened = self._opened()
        for i in range(0, len(new), _BATCH):
            batch = new[i : i + _BATCH]
            found.update(zip(batch, opened.embed(batch), strict=True))
        return np.stack([found[t] for t in texts]) if texts else np.zeros((0, opened.width), np.float32)

    def _opened(self) -> _OpenTextNetwork:
        with _opening:
            return _open(self.folder, self.words, self.sha256, _stamp(self.folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenTextNetwork:
    tokenizer: Any
    network: Any
    most: int
    width: int = 0
    one_at_a_time: Lock = field(default_factory=Lock)  # tokenizers are no good in two threads at once

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        with self.one_at_a_time:
            given = self.tokenizer(
                list(texts), padding=True, truncation=True, max_length=self.most, return_tensors="pt"
            )
        with torch.inference_mode():
            vectors = self.network(**given).last_hidden_state
            counts = given["attention_mask"][..., None].to(vectors.dtype)
            mean = (vectors * counts).sum(1) / counts.sum(1).clamp(min=1)
            return torch.nn.functional.normalize(mean, dim=1).numpy()


def find_text_network(reference: str) -> TextNetwork:
    """Find the network of `hub:OWNER/NAME[@REVISION]`, fetched if need be, or of a folder.

    Raises
    ------
    BackboneError
        Where there is none, or it cannot be fetched.
    """
    return _find(reference, cached=False)


def remember_network(network: TextNetwork) -> None:
    """Let models of this home read notes with this network from now on.

    Raises
    ------
    StoreError
        When the disk is full.
    """
    path = _remembered(network.sha256)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, str(network.folder.absolute()).encode())
    except OSError as e:
        raise StoreError(
            f"{path.parent} cannot be written: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home.",
        ) from e


def find_by_sha256(sha256: str, words: str) -> TextNetwork:
    """Find a network among those that this home was trained with or that the setting names; nothing is downloaded.

    Parameters
    ----------
    sha256 : str
        Of the network, in hex.
    words : str
        What a model file says of it, for the message alone.

    Raises
    ------
    BackboneError
        When it is not at hand.
    """
    named: list[str] = []
    with suppress(OSError, ValueError):
        named.append(_remembered(sha256).read_text("utf-8"))
    named += [name for part in setting("MEDLOUPE_NOTES_MODELS").split(",") if (name := part.strip())]
    others = []
    for reference in named:
        try:
            network = _find(reference, cached=True)
        except BackboneError as e:
            others.append(f"{reference} cannot be used ({e.message})")
            continue
        if network.sha256 == sha256:
            return network
        others.append(f"{reference} is another network")
    raise BackboneError(
        f"The network that reads them is not at hand: {words} (sha256 {sha256[:12]}…)."
        + (f" {'; '.join(others[:3])}." if others else ""),
        "Name its folder, or hub:OWNER/NAME once it was downloaded (hf download OWNER/NAME), in MEDLOUPE_NOTES_MODELS;"
        " or leave the notes empty.",
    )


def _find(reference: str, *, cached: bool) -> TextNetwork:
    if reference.startswith(PREFIX):
        source = fetch_source(reference.removeprefix(PREFIX), _READ, cached=cached)
    elif Path(reference).is_dir():
        source = local_source(Path(reference))
    else:
        raise BackboneError(f"There is no folder {reference}.", "Give that of a language network, or hub:OWNER/NAME.")
    find_weights(source)
    return TextNetwork(folder=source.folder, words=source.words, sha256=_digest(source.folder, _stamp(source.folder)))


def _remembered(sha256: str) -> Path:
    return home() / "notes-models" / f"{sha256}.txt"


def _files(folder: Path) -> list[Path]:
    return sorted({p for pattern in _READ for p in folder.glob(pattern) if p.is_file()})


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Describe the files by what changes when they do: name, size and time of change."""
    try:
        return tuple((p.name, (s := p.stat()).st_size, s.st_mtime_ns) for p in _files(folder))
    except OSError as e:
        raise BackboneError(f"{folder.name} cannot be read: {e.strerror or e}.", "Copy it once more.") from e


@lru_cache(maxsize=64)
def _digest(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> str:
    key = hashlib.sha256()
    try:
        for name, _, _ in stamp:
            key.update(name.encode() + bytes.fromhex(sha256_of(folder / name)))
    except OSError as e:
        raise BackboneError(f"{folder.name} cannot be read: {e.strerror or e}.", "Copy it once more.") from e
    return key.hexdigest()


@lru_cache(maxsize=4)
def _open(folder: Path, words: str, sha256: str, stamp: tuple[tuple[str, int, int], ...]) -> _OpenTextNetwork:
    from medloupe.embed.hub.pretrained import import_libraries, load_network, silence_libraries
    from medloupe.graphs.session import first_line

    import_libraries()
    if _digest(folder, stamp) != sha256:
        raise BackboneError(f"{words} changed while it was in use.", "Train again, or put its files back.")
    with silence_libraries():
        from transformers import AutoTokenizer

        network = load_network(folder, words, "language")
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
            most = min(MOST_TOKENS, tokenizer.model_max_length, _positions(network.config))
            opened = _OpenTextNetwork(tokenizer=tokenizer, network=network, most=int(most))
            tried = opened.embed(["one", "two " * MOST_TOKENS])
        except Exception as e:  # of a tokenizer, or of a network that wants more than texts
            raise BackboneError(f"{words} cannot read texts: {first_line(e)}", _CHOOSE) from e
    if tried.ndim != 2 or not np.isfinite(tried).all():
        raise BackboneError(f"{words} gives no vectors of texts.", _CHOOSE)
    return _OpenTextNetwork(tokenizer=tokenizer, network=network, most=int(most), width=tried.shape[1])


def _positions(config: Any) -> int:
    """Tell how many tokens it can tell the places of."""
    most = getattr(config, "max_position_embeddings", None)
    return most if isinstance(most, int) and most > 0 else MOST_TOKENS
