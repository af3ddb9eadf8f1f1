"""A language network of a few kilobytes, saved as transformers saves them; its vocabulary is written here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = (
    *("came", "by", "bus", "waited", "an", "hour", "brother", "of", "another", "patient", "asked", "for", "water"),
    *("lives", "in", "the", "south", "fever", "and", "cough", "one", "two", "class", "##1", "dry", "since", "monday"),
)
HIDDEN, PLACES = 24, 64


def save(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Two layers with random weights and a WordPiece tokenizer; changes: of its config."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    letters = list("abcdefghijklmnopqrstuvwxyz0123456789")
    listed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{c}" for c in letters)]
    vocabulary = list(dict.fromkeys(listed))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    settings: dict[str, Any] = {
        "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": PLACES,
    }
    torch.manual_seed(seed)
    BertModel(BertConfig(**{**settings, **changes})).save_pretrained(folder)
    BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder
