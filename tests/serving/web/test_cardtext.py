"""What cards say in English, in the reader's language: every sentence of the shipped check-ups has its translation."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from medloupe.data.cropped import Cropping
from medloupe.data.labels import recognise_roles
from medloupe.embed.registry import backbone
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.cardtext import JOIN, card_text, describe_limits, describe_scope
from medloupe.serving.web.language import language
from medloupe.starter import shipped
from medloupe.starter.kind_bank import load_kind_bank
from medloupe.training.pipeline.apart import Apart
from medloupe.training.pipeline.cautions import word_scope
from medloupe.training.pipeline.crops import word_crops
from places import ROOT

EN, FR = language("en"), language("fr")


def starters() -> list[object]:
    path = ROOT / "scripts" / "starters.py"
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("starters_of_the_box", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return list(module.STARTERS)


@pytest.mark.parametrize("starter", starters(), ids=lambda s: s.name)
def test_what_people_wrote_of_shipped_check_ups_is_translated(starter: object) -> None:
    for text in (*starter.scope, *starter.weaknesses):  # type: ignore[attr-defined]
        told = card_text(text, FR)
        assert not told.foreign and told.text != text, text
        assert card_text(text, EN).text == text.replace("`", "")


@pytest.mark.parametrize("name", shipped.list_offered())
def test_the_limits_of_shipped_cards_are_translated_with_their_figures(name: str) -> None:
    checkup = CheckUp.of(shipped.load_shipped(name))
    told = describe_limits(checkup, FR)
    assert [limit.text for limit in told if limit.foreign] == []
    assert all("{" not in limit.text for limit in told)
    assert [t.text for t in describe_limits(checkup, EN)] == [limit.replace("`", "") for limit in checkup.limits]


def test_figures_labels_and_changes_are_as_the_language_has_them() -> None:
    skin = CheckUp.of(shipped.load_shipped("skin"))
    limits = [limit.text for limit in describe_limits(skin, FR)]
    counts = next(text for text in limits if "mélanome" in text and "1\u202f340" in text)
    assert "carcinome basocellulaire" in counts
    changes = next(text for text in limits if "inchangées" in text)
    assert "0,93" in changes and FR.t("stress.screen") in changes and "screen" not in changes
    refused = next(text for text in limits if "est refusé" in text)
    assert "\u00a0%" in refused


def test_what_nobody_translated_stays_english_and_is_marked() -> None:
    told = describe_scope(JOIN.join(["cannot say normal", "a scope of my own"]), FR)
    assert [(t.text, t.foreign) for t in told] == [("Ne peut pas dire normal", False), ("A scope of my own", True)]
    assert describe_scope("", FR) == ()
    assert card_text("a {strange} (text", FR).foreign


def test_what_cards_of_crops_say_is_translated() -> None:
    for each in (True, False):
        entry = {"each": each, "labels": ["RBC", "WBC"], "margin": 0.15, "whole_refused": {"value": 0.974}}
        for text in (*word_crops(entry), *word_crops({**entry, "whole_refused": None})):
            assert not card_text(text, FR).foreign, text
        scope = word_scope(recognise_roles(("RBC", "WBC")), Cropping(each=each, labels=("RBC",), margin=0, pictures=1))
        assert [t.foreign for t in describe_scope(JOIN.join(scope), FR)] == [False] * len(scope)


@pytest.mark.parametrize("own", [(), ("fundus",), ("blood cell", "blood smear")])
@pytest.mark.parametrize("told", [True, False])
def test_what_a_new_check_up_refuses_is_told_with_its_kind(own: tuple[str, ...], told: bool) -> None:
    apart = Apart(novelty=None, own=own, others=("chest X-ray", "brain MRI", "my own kind"), told=told)
    refused = EN.t("limit.any_7", things="Images", share="0.0%")
    said = card_text(f"{refused} {apart.words}", FR)
    assert not said.foreign
    assert "radiographie du thorax, IRM cérébrale, my own kind" in said.text
    assert ("cellule sanguine, frottis sanguin" in said.text) == (len(own) == 2)
    assert card_text(f"{refused} And so on.", FR).foreign


def test_every_known_kind_has_its_name() -> None:
    network = backbone()
    bank = load_kind_bank(network.sha256, network.card.levels)
    assert bank is not None
    for kind in bank.kinds:
        said = card_text(f"Its own kind is {kind} (as was told); it is set apart from {kind}.", FR)
        assert kind == "fundus" or kind not in said.text, kind
