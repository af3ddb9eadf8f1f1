"""What a card remembers of the training examples, and who is known by it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.data import digests as seeing
from medloupe.data import whereabouts
from medloupe.data.digests import (
    MOST,
    MOST_BEATS,
    decode_digests,
    encode_digests,
    remembers_part,
    sample_digests,
    seen_in_training,
)
from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.errors import DataError
from medloupe.modelfile.card import read_card
from trained import Trained

digests = st.binary(min_size=32, max_size=32)


@given(st.lists(digests, unique_by=lambda d: d[:8]), st.lists(digests))
def test_remembered_digests_are_seen_again(known: list[bytes], others: list[bytes]) -> None:
    card = {"data": {"digests": encode_digests(known)}}
    told = seen_in_training(card, [*known, *others])
    prefixes = {d[:8] for d in known}
    assert told.tolist() == [d[:8] in prefixes for d in (*known, *others)]
    assert encode_digests(known) == encode_digests(list(reversed(known)))


def test_a_card_that_remembers_nothing_has_seen_nothing() -> None:
    for data in ({}, {"digests": ""}, {"digests": None}):
        assert not seen_in_training({"data": data}, [b"\0" * 32]).any()


def many(n: int) -> list[bytes]:
    return [hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(n)]


@pytest.mark.parametrize(("things", "most"), [("images", MOST), ("ECGs", MOST), ("beats", MOST_BEATS)])
def test_of_very_many_exactly_so_many_are_remembered(things: str, most: int) -> None:
    for n in (most - 1, most, most + 1, most + most // 2):
        digests = many(n)
        kept = sample_digests(digests, things)
        assert len(kept) == min(n, most)
        card = {"data": {"digests": encode_digests(kept), "labelled": n, "things": things}}
        told = seen_in_training(card, digests)
        assert told.sum() == min(n, most)
        assert {d for d, known in zip(digests, told, strict=True) if known} == set(kept)
        assert remembers_part(card) == (n > most)
        assert not seen_in_training(card, [hashlib.sha256(d).digest() for d in digests[:200]]).any()


def test_which_are_remembered_depends_on_them_alone() -> None:
    digests = many(3 * MOST_BEATS)
    assert set(sample_digests(digests, "beats")) == set(sample_digests(digests[::-1], "beats"))
    patient = np.repeat(np.arange(30), len(digests) // 30)
    card = {"data": {"digests": encode_digests(sample_digests(digests, "beats"))}}
    assert (
        np.bincount(patient[seen_in_training(card, digests)], minlength=30).min() > 0
    )  # each patient is known by some beat


def test_a_card_from_before_names_no_things() -> None:
    assert not remembers_part({"data": {"labelled": MOST}})
    assert remembers_part({"data": {"labelled": MOST + 1}})
    assert len(decode_digests(encode_digests(many(5)))) == 5


def test_a_data_set_is_known_by_the_part_that_is_remembered(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeing, "MOST", 10)
    data = read(trained.data)
    found = scan_dataset(data)
    whole = read_card(trained.onnx)
    part = encode_digests(sample_digests([*found.digest.values()], "images"))
    card = {**whole, "data": {**whole["data"], "digests": part}}
    assert len(decode_digests(part)) == 10
    assert whereabouts.scan_training_data(data, card, "spots").digest == found.digest
    for records in (data.records[1:], (*data.records[1:], replace(data.records[0], image=np.zeros((9, 9), np.uint8)))):
        other = replace(data, records=records)
        if len(records) < len(data) or found.digest[data.records[0].id][:8] in decode_digests(part):
            with pytest.raises(DataError, match="of its 10 images are there unchanged"):
                whereabouts.scan_training_data(other, card, "spots")
