"""Field views: what is drawn depends on picture, round and seed alone, and every kind does what it says."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import synthetic
from medloupe.imaging.field.faults import SEVERITIES, Severity
from medloupe.imaging.field.views import VIEW_KINDS, draw_view, make_views, severity_of, wear

DIGEST = hashlib.sha256(b"a picture").digest()


def test_views_are_the_same_each_time_and_others_for_another_round_or_seed() -> None:
    image = synthetic.scene(1, 160)
    one, again = make_views(image, DIGEST, 0, 0), make_views(image, DIGEST, 0, 0)
    assert set(one) == set(VIEW_KINDS)
    assert all(np.array_equal(one[k], again[k]) for k in VIEW_KINDS)
    for number, seed in ((1, 0), (0, 1)):
        other = make_views(image, DIGEST, number, seed)
        assert any(one[k].shape != other[k].shape or not np.array_equal(one[k], other[k]) for k in VIEW_KINDS)


def test_a_kind_asked_for_alone_is_the_same_as_among_others() -> None:
    image = synthetic.scene(2, 160)
    every = make_views(image, DIGEST, 0, 0)
    for kind in VIEW_KINDS:
        assert np.array_equal(make_views(image, DIGEST, 0, 0, (kind,))[kind], every[kind])


def test_all_surfaces_and_severities_are_drawn() -> None:
    drawn = [draw_view(hashlib.sha256(bytes([i])).digest(), 0, 0) for i in range(200)]
    assert {d.severity for d in drawn} == {d.worn for d in drawn} == set(SEVERITIES)
    assert {d.surface for d in drawn} == {"screen", "film", "print", "eyepiece"}
    assert severity_of(drawn[0], "worn") == drawn[0].worn and severity_of(drawn[0], "whole") == drawn[0].severity


@pytest.mark.parametrize("severity", SEVERITIES)
def test_odd_shapes_are_worn_too(severity: Severity) -> None:
    for shape in ((9, 200), (64, 5), (300, 280)):
        image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
        for seed in range(12):
            made = wear(image, np.random.default_rng(seed), severity)
            assert made.dtype == np.uint8 and made.ndim == 3 and min(made.shape[:2]) >= 1
