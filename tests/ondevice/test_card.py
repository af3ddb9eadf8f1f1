"""What a browser is handed of a check-up."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from medloupe.model.sketch import deal_order
from medloupe.ondevice.card import describe_for_device, withheld_because
from medloupe.ondevice.kinds import deal_bytes
from medloupe.serving.engine.checkup import CheckUp
from medloupe.starter.shipped import load_shipped
from medloupe.utils.files import sha256_of
from trained import Trained


@pytest.mark.parametrize(
    ("name", "because"), [("pneumonia", ""), ("ecg12", ""), ("arrhythmia", ""), ("heart_size", "boxes")]
)
def test_what_is_withheld(home: object, name: str, because: str) -> None:
    assert withheld_because(CheckUp.of(load_shipped(name))) == because


def test_what_reads_neither_pictures_nor_ecgs_is_withheld(home: object) -> None:
    checkup = CheckUp.of(load_shipped("ecg12"))
    assert checkup.windows is not None
    sounds = replace(checkup, windows=replace(checkup.windows, modality="sound"))
    assert withheld_because(sounds) == "signal"
    assert withheld_because(replace(checkup, whole=True)) == "file"


@pytest.mark.parametrize("name", ["ecg12", "arrhythmia"])
def test_a_check_up_of_ecgs_tells_its_window_and_little_more(home: object, name: str) -> None:
    checkup = CheckUp.of(load_shipped(name))
    assert checkup.windows is not None
    assert checkup.leads is not None
    made = describe_for_device(checkup, {})
    ecg = json.loads(json.dumps(made.card, allow_nan=False))["ecg"]
    assert (ecg["leads"], ecg["rate"], ecg["before"]) == (
        list(checkup.windows.leads),
        checkup.windows.rate,
        checkup.windows.before,
    )
    assert ecg["may_miss"] == [sorted(names) for names in checkup.leads.may_miss]
    assert ecg["asked"] == ([] if ecg["beats"] else ["age", "sex"])
    assert (ecg["rhythm"] is not None) == ecg["beats"]
    total = sum(len(d) if isinstance(d, bytes) else d.stat().st_size for d in made.blobs.values())
    assert total < 500_000  # bytes: little beside what pictures need


def test_a_card_names_all_its_blobs(home: object) -> None:
    checkup = CheckUp.of(load_shipped("breast"))
    made = describe_for_device(checkup, {"en": {"title": "Breast ultrasound"}})
    card = json.loads(json.dumps(made.card, allow_nan=False))  # no infinity, which JSON has not
    parts = [card["network"], card["tail"], card["head"], card["novelty"]["deal"]]
    parts += [card["printed"], card["printed"]["deal"]]
    assert {p["sha256"] for p in parts} == set(made.blobs)
    for part in parts:
        data = made.blobs[part["sha256"]]
        assert part["bytes"] == (len(data) if isinstance(data, bytes) else data.stat().st_size)
    assert card["network"]["sha256"] == checkup.network_sha256 == sha256_of(checkup.network)
    assert card["rule"]["lines"] == [float(v) for v in checkup.decision.rule.lines]


def test_numbers_can_be_read_back(home: object) -> None:
    checkup = CheckUp.of(load_shipped("pneumonia"))
    made = describe_for_device(checkup, {})
    data, at, read = made.blobs[made.card["head"]["sha256"]], 0, {}
    assert isinstance(data, bytes)
    for field in made.card["numbers"]:
        read[field["name"]] = np.frombuffer(data, f"<{field['type']}", field["length"], at)
        at += read[field["name"]].nbytes
    assert at == len(data)
    assert np.array_equal(read["weight"].reshape(checkup.weight.shape), checkup.weight)
    assert checkup.novelty is not None
    assert np.array_equal(read["axes"].reshape(checkup.novelty.axes.shape), checkup.novelty.axes)


def test_the_deal_holds_order_and_signs() -> None:
    levels = (112, 80, 40)
    order, signs = deal_order(sum(levels))
    told = np.frombuffer(deal_bytes(levels), "<u2")
    assert np.array_equal(told & 0x7FFF, order)
    assert np.array_equal(np.where(told >> 15, 1, -1), signs)


def test_a_version_of_the_store(trained: Trained) -> None:
    from medloupe.inference.find import find_model

    checkup = CheckUp.of(find_model("spots"))
    assert withheld_because(checkup) == ""
    assert describe_for_device(checkup, {}).card["version"] == 1
