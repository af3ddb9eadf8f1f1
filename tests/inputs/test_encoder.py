"""Notes are read by their letters unless a network is named, and files say by which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinytext
from medloupe.embed.hub.text import find_text_network
from medloupe.inputs.encoder import fit_text_encoder, read_text_encoder
from medloupe.inputs.notes import METHOD, Notes
from medloupe.inputs.projection import TextEncoder
from medloupe.inputs.sentences import Sentences

TEXTS = [f"{('fever and cough', 'came by bus')[i % 2]} {i}" for i in range(40)]


@pytest.mark.parametrize("by_network", [False, True])
def test_both_ways_are_learned_kept_and_asked_alike(by_network: bool, tmp_path: Path) -> None:
    network = find_text_network(str(tinytext.save(tmp_path / "small"))) if by_network else None
    made: TextEncoder | None = fit_text_encoder(TEXTS, network, mask=("bus",), column="report", seed=0)
    assert made is not None and isinstance(made, Sentences if by_network else Notes)
    assert made.method == (network.words if network else METHOD)
    assert fit_text_encoder(TEXTS[:9], network, mask=(), column="report", seed=0) is None
    read = read_text_encoder(json.loads(json.dumps(made.as_json())))
    assert type(read) is type(made)
    for encoder in (made, read):
        assert (encoder.column, encoder.mask, encoder.width) == ("report", ("bus",), 10)
        assert encoder.nbytes > 0 and encoder.field()["kind"] == "notes"
        np.testing.assert_array_equal(encoder.vectors([None, "bus"]), np.zeros((2, 10), np.float32))
    assert made.vectors(["fever"])[0].any()


@pytest.mark.parametrize("entry", [None, [], "x", {}, {"network": "x"}, {"network": None, "idf": ""}])
def test_what_is_neither_is_refused(entry: object) -> None:
    with pytest.raises(ValueError, match="object of"):
        read_text_encoder(entry)
