"""Options are checked before any work, and all of them are part of an outcome's name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from medloupe.embed.hub.text import TextNetwork
from medloupe.embed.tail import Tail
from medloupe.errors import DataError
from medloupe.training.options import FINETUNE_MODES, Options

TAIL = Tail(path=Path("x.onnx"), sha256="ab" * 32, width=6)
NETWORK = TextNetwork(folder=Path("x"), words="x", sha256="cd" * 32)


@pytest.mark.parametrize(
    ("wrong", "said", "hint"),
    [
        ({"sensitivity": 0.4}, "sensitivity 0.4", "0.95"),
        ({"sensitivity": 1.0}, "sensitivity 1.0", "0.95"),
        ({"seed": -1}, "seed -1", "0 or"),
        ({"finetune": "tial"}, "'tial'; known are none, tail, full, auto", "tail"),
        ({"minutes": 0.0}, "0 minutes", "--minutes"),
        ({"minutes": -3.0}, "-3 minutes", "--minutes"),
        ({"minutes": float("nan")}, "nan minutes", "--minutes"),
        ({"minutes": float("inf")}, "inf minutes", "--minutes"),
        ({"search": True}, "search", "--finetune"),
        ({"search": True, "finetune": "auto"}, "search", "--finetune"),
        ({"notes_model": NETWORK}, "A network is to read notes", "--notes"),
        ({"mask": ("covid",)}, "masked in notes", "--notes"),
        ({"mask": ("x",) * 201, "notes": "report"}, "At most 200 words", "*covid*"),
        ({"mask": ("x" * 101,), "notes": "report"}, "at most 100 letters", "*covid*"),
        ({"false_flags": 0.0}, "0.0 of false flags", "0.1"),
        ({"false_flags": 0.6}, "0.6 of false flags", "0.1"),
        ({"field": "atuo"}, "'atuo'; known are auto, none", "auto"),
        ({"kind": "x" * 61}, "at most 60 letters", "chest X-ray"),
        ({"source": "hospital"}, "nothing asks for it", "--robust"),
        ({"robust": True, "finetune": "tail"}, "linear head", "--finetune"),
        ({"robust": True, "finetune": "auto"}, "linear head", "--finetune"),
        ({"robust": True, "start": TAIL}, "may have learned from the source", "--from"),
    ],
)
def test_what_makes_no_sense_is_said(wrong: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        Options(**wrong)
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("how", FINETUNE_MODES)
def test_every_way_of_fine_tuning(how: str) -> None:
    assert Options(finetune=how, minutes=0.01).finetune == how


def test_each_option_makes_another_outcome() -> None:
    others: dict[str, Any] = {
        "seed": 1,
        "sensitivity": 0.8,
        "finetune": "tail",
        "minutes": 5.0,
        "start": TAIL,
        "search": True,
        "scratch": True,
        "clinical": ("age",),
        "notes": "report",
        "notes_model": NETWORK,
        "mask": (),
        "keep_leaks": True,
        "normal": ("healthy",),
        "harmless": ("mole",),
        "sought": ("melanoma",),
        "ordered": True,
        "false_flags": 0.1,
        "roles_by": "curated",
        "false_marks": 0.5,
        "measure": ("ctr = heart.width / lungs.width",),
        "field": "none",
        "robust": True,
        "source": "hospital",
        "kind": "chest X-ray",
    }
    assert others.keys() == {f.name for f in fields(Options)}
    plain: dict[str, Any] = {"finetune": "full", "notes": "history"}
    needed: dict[str, dict[str, Any]] = {"robust": {"finetune": "none"}, "source": {"finetune": "none", "robust": True}}
    made = [Options(**plain), *(Options(**{**plain, k: v, **needed.get(k, {})}) for k, v in others.items())]
    assert len({o.key for o in made}) == len(made)
    moved = Tail(path=Path("elsewhere.onnx"), sha256=TAIL.sha256, width=6)
    assert Options(start=TAIL).key == Options(start=moved).key
