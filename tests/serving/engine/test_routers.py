"""Among which check-ups the app chooses: those on the shared network, and detectors by what they look like to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medloupe.embed.registry import backbone
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.routers import routers_by_network
from medloupe.starter.shipped import load_shipped


@pytest.fixture(scope="module")
def checkups() -> list[CheckUp]:
    return [CheckUp.of(load_shipped(name)) for name in ("malaria", "blood_cells", "heart_size")]


def test_detectors_are_found_by_the_pass_of_the_shared_network(checkups: list[CheckUp]) -> None:
    malaria, cells, _ = checkups
    assert cells.whole and cells.network_sha256 != malaria.network_sha256
    ((router, first),) = routers_by_network(checkups)
    assert first is malaria, "its network is the shared one"
    assert set(router.checkups) == {"malaria", "blood_cells", "heart_size"}
    assert cells.sight is not None and router.checkups["blood_cells"] is cells.sight.novelty
    assert router.printed is not None, "printed ECGs are told by the pass of the shared network, too"


def test_what_was_fitted_to_another_network_finds_nothing(checkups: list[CheckUp]) -> None:
    malaria, cells, _ = checkups
    assert cells.sight is not None and cells.sight.network == backbone().sha256
    other = replace(cells, sight=replace(cells.sight, network="0" * 64))
    ((router, _),) = routers_by_network([malaria, other])
    assert set(router.checkups) == {"malaria"}


def test_without_a_check_up_on_the_shared_network_nothing_is_chosen(checkups: list[CheckUp]) -> None:
    assert routers_by_network(checkups[1:]) == ()
