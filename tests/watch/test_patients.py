"""A patient counts once: many pictures of few patients are no change, and whose they are is kept only as a hash."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

import generated
from clinic import add_people
from live import running
from medloupe.accounts.log import AuditLog
from medloupe.erasure.eraser import Eraser
from medloupe.errors import UnknownError
from medloupe.metrics.drift import BATCH
from medloupe.model.drift import fit_patients, fit_reference, observe
from medloupe.model.gaussian import Gaussian
from medloupe.model.novelty import Novelty
from medloupe.store.chain import keyed_hash
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.tables import PredictionRow
from medloupe.watch.pictures import ObservedPicture, SiteWatch, count_streams, watch_site
from negatives import png
from trained import Trained

WIDTH = 96


def visit(
    rng: np.random.Generator, patients: int, most: int, shift: float = 0.0, *, least: int = 1, within: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Sketches of patients who bring so many pictures each, alike among themselves; and whose each is."""
    counts = rng.integers(least, most + 1, patients)
    whose = np.repeat(np.arange(patients), counts)
    own = rng.standard_normal((patients, WIDTH)) * np.linspace(2, 0.2, WIDTH)
    z = own[whose] + within * rng.standard_normal((len(whose), WIDTH)) * np.linspace(2, 0.2, WIDTH)
    z[:, 40] += shift
    return z.astype(np.float32), whose


@pytest.fixture(scope="module")
def novelty() -> Novelty:
    return learn(*visit(np.random.default_rng(0), 200, 3))


def learn(z: np.ndarray, whose: np.ndarray) -> Novelty:
    """What a model file keeps of a training on these."""
    fitted = Novelty.fit(z, whose, (WIDTH,))
    assert fitted is not None
    own = Gaussian.fit(z, len(fitted.spread))  # z are sketches already
    fitted = replace(fitted, mean=own.mean, axes=own.axes, spread=own.spread, noise=own.noise)
    targets = np.ones((len(z), 1))
    return replace(
        fitted,
        reference=fit_reference(z, whose, targets, fitted.gaussian),
        patients=fit_patients(z, whose, targets, fitted.gaussian),
    )


def arrive(novelty: Novelty, z: np.ndarray, whose: np.ndarray, first: int = 0) -> list[ObservedPicture]:
    at = (f"2026-11-{1 + i // 1000:02}T00:00:{i % 1000:06.3f}" for i in range(first, first + len(z)))
    kept = (observe(novelty.gaussian, one) for one in z)
    return [ObservedPicture(a, k, f"{w}") for a, k, w in zip(at, kept, whose, strict=True)]


def look(novelty: Novelty, seen: list[ObservedPicture]) -> SiteWatch:
    (one,) = watch_site("Ward A", novelty, seen, 1)
    return one


def test_many_pictures_of_a_patient_are_no_change_where_patients_are_known(novelty: Novelty) -> None:
    by_patient, by_picture = [], []
    for seed in range(1, 7):
        seen = arrive(novelty, *visit(np.random.default_rng(seed), 110, 40))
        told = look(novelty, seen)
        assert (told.by, told.patients, told.pictures, told.told) == ("patients", 110, len(seen), len(seen))
        assert len(told.evidence) == 110 // BATCH
        by_patient.append(told.state)
        by_picture.append(look(novelty, [replace(one, patient=None) for one in seen]).state)
    assert set(by_patient) == {"steady"}
    assert "drift" in by_picture, "which is what counting pictures takes for a change"


@pytest.mark.parametrize(("trained", "served"), [((5, 15), (1, 1)), ((20, 40), (1, 1)), ((1, 3), (5, 15))])
def test_how_many_pictures_patients_bring_is_no_change(trained: tuple[int, int], served: tuple[int, int]) -> None:
    spread = {"within": 0.7}
    own = learn(*visit(np.random.default_rng(0), 200, trained[1], least=trained[0], **spread))
    states = [
        look(own, arrive(own, *visit(np.random.default_rng(seed), 300, served[1], least=served[0], **spread))).state
        for seed in range(1, 5)
    ]
    assert states == ["steady"] * 4


def test_a_change_is_found_by_patients_and_told_from_when_on(novelty: Novelty) -> None:
    rng = np.random.default_rng(11)
    before = arrive(novelty, *visit(rng, 2 * BATCH, 10))
    z, whose = visit(rng, 6 * BATCH, 10, shift=4)
    after = arrive(novelty, z, whose + 1000, len(before))
    told = look(novelty, before + after)
    assert told.state == "drift" and told.since == after[0].at
    assert look(novelty, before).state == "steady"


def test_a_batch_is_full_when_another_patient_comes(novelty: Novelty) -> None:
    z, _ = visit(np.random.default_rng(4), BATCH + 1, 1)
    seen = arrive(novelty, z, np.arange(BATCH + 1))
    again = [replace(one, at=f"2026-11-02T{i:02}:00") for i, one in enumerate(seen[:20])]
    assert look(novelty, seen[:BATCH] + again).state == "few"
    assert len(look(novelty, [*seen[:BATCH], *again, seen[BATCH]]).evidence) == 1


def test_pictures_of_nobody_known_count_by_themselves(novelty: Novelty) -> None:
    seen = arrive(novelty, *visit(np.random.default_rng(5), 60, 1))
    mixed = [replace(one, patient=None) if i % 2 else one for i, one in enumerate(seen)]
    alone, known = watch_site("Ward A", novelty, mixed, 2)
    assert (alone.by, alone.pictures, alone.told, alone.patients) == ("training", 30, 0, None)
    assert (known.by, known.pictures, known.patients) == ("patients", 30, 30)
    assert count_streams(novelty, mixed) == 2 and count_streams(novelty, seen) == 1
    untaught = look(replace(novelty, patients=None), mixed)
    assert (untaught.by, untaught.pictures, untaught.told) == ("training", 60, 30)


@pytest.fixture(scope="module")
def home(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import shutil

    home = tmp_path_factory.mktemp("patients") / "home"
    shutil.copytree(_trained.home, home)
    yield home


def test_whose_it_is_is_kept_as_a_hash_and_forgotten_with_the_patient(home: Path) -> None:
    tokens = add_people(home, {"bea": "clinician", "ada": "admin"})
    with running(home, "--review", "single", "--no-worker") as live:
        with live.client(headers={"Authorization": f"Bearer {tokens['bea']}"}) as client:

            def ask(number: int, **headers: str) -> str:
                files = {"image": ("p.png", png(generated.tissue(8800 + number, True)))}
                said = client.post("/api/v1/models/spots/predict", files=files, headers=headers)
                assert said.status_code == 200, said.text
                assert "patient" not in said.text
                return said.json()["id"]

            told = [ask(n, **{"Medloupe-Patient": "P-47110815"}) for n in range(2)]
            unknown = ask(2)
            odd = ask(3, **{"Medloupe-Patient": "Å-7".encode()})
            for wrong in (b"x" * 101, "P\u200b1".encode()):  # too long; a space of no width
                refused = client.get("/api/v1/models", headers={"Medloupe-Patient": wrong})
                assert (refused.status_code, refused.json()["error"]["code"]) == (400, "bad_patient")
            sent = ask(4)
            files = {"image": ("p.png", png(generated.tissue(8804, True)))}
            where = f"/api/v1/predictions/{sent}/review"
            refused = client.post(where, files=files, data={"basis": "curiosity", "patient": "P-0816"})
            assert refused.status_code in (409, 422), refused.text
            with transaction(Store(home).engine) as session:
                assert session.scalars(select(PredictionRow.patient).where(PredictionRow.id == sent)).one() is None
            case = client.post(where, files=files, data={"basis": "consent", "patient": "P-0815"})
            assert case.status_code == 201, case.text
        with live.client(headers={"Authorization": f"Bearer {tokens['ada']}"}) as admin:
            (board,) = (c for c in admin.get("/api/v1/watch").json()["checkups"] if c["model"] == "spots")
            assert sum(site["told"] for site in board["sites"]) == 3, "not who is contested"
            assert sum(site["pictures"] for site in board["sites"]) == 5
            figures = admin.get("/metrics").text
            page = admin.get("/watch").text
        assert "medloupe_watch_told{" in figures
        assert "P-47110815" not in page + figures
    store = Store(home)
    with transaction(store.engine) as session:
        whose = {row.id: row.patient for row in session.scalars(select(PredictionRow))}
    known = keyed_hash(store.engine, "P-47110815")
    assert [whose[id] for id in (*told, unknown, odd, sent)] == [
        known,
        known,
        None,
        keyed_hash(store.engine, "Å-7"),
        None,
    ]
    with sqlite3.connect(home / "medloupe.sqlite") as opened:
        assert "P-47110815" not in "\n".join(opened.iterdump())
    assert all("P-47110815" not in str(line) for line in AuditLog(store.engine).entries())

    Eraser(store).forget("P-47110815", by="ada")
    with transaction(store.engine) as session:
        left = set(session.scalars(select(PredictionRow.id)))
    assert left == {unknown, odd, sent}
    with pytest.raises(UnknownError):
        Eraser(store).forget("P-0816", by="ada")
    (again,) = Eraser(store).forget_again([keyed_hash(store.engine, "P-0815")], by="ada") or (None,)
    assert again is not None
    with transaction(store.engine) as session:
        assert set(session.scalars(select(PredictionRow.id))) == {unknown, odd}
